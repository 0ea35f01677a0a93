package actor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// function is an actor.Function made of a func.
type function func(ctx context.Context, b *actor.Batch) (*actor.Effects, error)

func (f function) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	return f(ctx, b)
}

// catalog serves functions by the name of their type.
type catalog map[string]actor.FunctionSpec

func (c catalog) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	s, ok := c[t.Name]
	return s, ok
}

// app runs one partition in memory. It lives in a synctest bubble.
type app struct {
	t      *testing.T
	memory *actortest.Memory
	proc   *actor.Processor
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T, m *actortest.Memory, functions catalog) *app {
	t.Helper()
	return run(t, m, actor.NewProcessor(actor.Config{Partitions: 1}, m.Ports(0), functions, actor.NewCalls(0), zerolog.Nop()))
}

// run is start with a processor that was told something before.
func run(t *testing.T, m *actortest.Memory, proc *actor.Processor) *app {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := &app{t: t, memory: m, stop: cancel, ended: make(chan error, 1), proc: proc}
	var feeds sync.WaitGroup
	go func() {
		err := a.proc.Run(ctx)
		cancel()
		feeds.Wait()
		a.ended <- err
	}()
	<-a.proc.Opened()
	for _, source := range []actor.Source{actor.SourceMailbox, actor.SourceIngress} {
		from := a.proc.Position(source)
		feeds.Go(func() {
			_ = m.Feed(ctx, source, from, func(ctx context.Context, _ int, d actor.Delivery) error { return a.proc.Deliver(ctx, d) })
		})
	}
	return a
}

// end stops the processor as a crash would, without draining it.
func (a *app) end() {
	a.t.Helper()
	a.stop()
	if err := <-a.ended; err != nil {
		a.t.Errorf("Run = %v, want nil", err)
	}
}

func to(name, id string) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: "test", Name: name}, ID: id}
}

func text(s string) actor.Value { return actor.Value{Type: "test/text", Data: []byte(s)} }

func (a *app) send(target actor.Address, texts ...string) {
	for _, s := range texts {
		a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{Target: target, Value: text(s)}})
	}
}

// emitted are the texts that came out of the egress, in order.
func (a *app) emitted() []string {
	var out []string
	for _, m := range a.memory.EgressMessages() {
		out = append(out, string(m.Egress.Value.Data))
	}
	return out
}

func (a *app) want(what string, got, want any) {
	a.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		a.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func emit(texts ...string) *actor.Effects {
	e := &actor.Effects{}
	for _, s := range texts {
		e.Egress = append(e.Egress, actor.EgressMessage{ID: actor.TypeName{Namespace: "test", Name: "out"}, Value: text(s)})
	}
	return e
}

// counter counts its messages in state and emits "<id>=<count>".
func counter(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	n := 0
	if s, ok := b.State.Get("n"); ok {
		n, _ = strconv.Atoi(string(s.Value.Data))
	}
	e := &actor.Effects{}
	for range b.Envelopes {
		n++
		e.Egress = append(e.Egress, emit(fmt.Sprintf("%s=%d", b.Target.ID, n)).Egress...)
	}
	e.Mutations = []actor.Mutation{{Name: "n", Value: text(strconv.Itoa(n))}}
	return e, nil
}

func TestCountsGoOnAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"count": {Function: function(counter)}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("count", "a"), "x", "y")
		time.Sleep(3 * time.Second) // flushed and checkpointed
		a.send(to("count", "a"), "z")
		time.Sleep(50 * time.Millisecond) // committed, not flushed
		a.end()

		b := start(t, a.memory, functions)
		b.send(to("count", "a"), "w")
		time.Sleep(time.Second)
		b.want("egress", b.emitted(), []string{"a=1", "a=2", "a=3", "a=4"})
		view, err := b.proc.Query(t.Context(), to("count", "a"))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := view.State.Get("n")
		b.want("state", string(got.Value.Data), "4")
		b.end()
	})
}

func TestOnePoisonousMessageDeadLettersAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		calls, tried := 0, 0
		a := start(t, actortest.NewMemory(), catalog{"picky": {
			Policy: actor.Policy{Attempts: 3},
			Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
				<-gate // so that the rest queues up into one batch
				calls++
				e := &actor.Effects{}
				for _, m := range b.Envelopes {
					if string(m.Value.Data) == "poison" {
						tried++
						return nil, &actor.InvokeError{Reason: actor.ReasonStatus, HTTPStatus: 500, Endpoint: "http://fn", Err: errors.New("boom")}
					}
					e.Egress = append(e.Egress, emit(string(m.Value.Data)).Egress...)
				}
				return e, nil
			}),
		}})
		var want []string
		for i := range 100 {
			s := strconv.Itoa(i)
			if i == 37 {
				s = "poison"
			} else {
				want = append(want, s)
			}
			a.send(to("picky", "a"), s)
		}
		time.Sleep(time.Second)
		close(gate)
		time.Sleep(time.Minute)

		a.want("egress", a.emitted(), want)
		letters := a.memory.DeadLetters()
		if len(letters) != 1 {
			t.Fatalf("dead letters = %d, want 1", len(letters))
		}
		d := letters[0].DeadLetter
		a.want("dead letter", []any{string(d.Envelope.Value.Data), d.Reason, d.HTTPStatus, d.Endpoint, d.Error, d.Attempts},
			[]any{"poison", actor.ReasonStatus, 500, "http://fn", "boom", tried})
		if calls > 40 {
			t.Errorf("calls = %d, want the poison found by halving", calls)
		}
		a.end()
	})
}

func TestAnOutageKeepsOrderAndDeadLettersNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := time.Now().Add(3 * time.Minute)
		healthy := 0
		a := start(t, actortest.NewMemory(), catalog{
			"down": {Endpoint: "http://down", Function: function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
				if time.Now().Before(down) {
					return nil, &actor.InvokeError{Kind: actor.Unreachable, Err: errors.New("connection refused")}
				}
				return counter(ctx, b)
			})},
			"up": {Endpoint: "http://up", Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
				healthy += len(b.Envelopes)
				return nil, nil //nolint:nilnil // no effects
			})},
		})
		for i := range 3000 { // more than are kept in memory
			a.send(to("down", "a"), strconv.Itoa(i))
		}
		a.send(to("up", "b"), "x", "y")
		time.Sleep(time.Minute)
		synctest.Wait()
		if healthy != 2 {
			t.Errorf("messages to the healthy function after a minute = %d, want 2", healthy)
		}
		time.Sleep(2*time.Minute + 5*time.Second)
		a.want("dead letters", len(a.memory.DeadLetters()), 0)
		got := a.emitted()
		for i, s := range got {
			if want := fmt.Sprintf("a=%d", i+1); s != want {
				t.Fatalf("egress %d = %s, want %s", i, s, want)
			}
		}
		a.want("egress messages", len(got), 3000)
		a.end()
	})
}

func TestDelayedMessagesFireOnceUnlessCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{
			"alarm": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
				e := &actor.Effects{}
				for _, m := range b.Envelopes {
					switch s := string(m.Value.Data); {
					case strings.HasPrefix(s, "cancel "):
						e.Delayed = append(e.Delayed, actor.Delayed{Cancel: true, Token: strings.TrimPrefix(s, "cancel ")})
					default:
						e.Delayed = append(e.Delayed, actor.Delayed{Delay: time.Hour, Target: to("bell", "b"), Value: text(s), Token: s})
					}
				}
				return e, nil
			})},
			"bell": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
				e := &actor.Effects{}
				for _, m := range b.Envelopes {
					e.Egress = append(e.Egress, emit(string(m.Value.Data)+" from "+m.Caller.ID).Egress...)
				}
				return e, nil
			})},
		}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("alarm", "a"), "one", "two", "three")
		time.Sleep(10 * time.Minute)
		a.send(to("alarm", "other"), "cancel one") // another id's scope: nothing
		a.send(to("alarm", "a"), "cancel two", "cancel unknown")
		time.Sleep(10 * time.Minute)
		a.end()

		b := start(t, a.memory, functions)
		a.want("egress before they are due", b.emitted(), []string(nil))
		time.Sleep(41 * time.Minute)
		b.want("egress", b.emitted(), []string{"one from a", "three from a"})
		b.end()
		c := start(t, a.memory, functions)
		time.Sleep(2 * time.Hour)
		c.want("egress after another restart", c.emitted(), []string{"one from a", "three from a"})
		c.end()
	})
}

func TestStateExpiresAtTheInvocationAfterItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"lease": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			e := &actor.Effects{}
			for _, m := range b.Envelopes {
				if string(m.Value.Data) == "set" {
					e.Mutations = []actor.Mutation{{Name: "x", Value: text("1"), ExpireAfter: time.Hour}, {Name: "y", Value: text("2")}}
					continue
				}
				_, x := b.State.Get("x")
				_, y := b.State.Get("y")
				e.Egress = append(e.Egress, emit(fmt.Sprintf("%s: %v %v", m.Value.Data, x, y)).Egress...)
			}
			return e, nil
		})}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("lease", "a"), "set")
		time.Sleep(59 * time.Minute)
		a.send(to("lease", "a"), "before")
		time.Sleep(2 * time.Minute)
		a.send(to("lease", "a"), "after")
		time.Sleep(time.Minute)
		a.want("egress", a.emitted(), []string{"before: true true", "after: false true"})
		l, err := a.memory.Ports(0).State.Load(t.Context(), actor.StateKey{Address: to("lease", "a")})
		if _, there := l.Record.State.Get("x"); err != nil || there {
			t.Errorf("the stored state still holds what has expired: %+v, %v", l.Record, err)
		}
		a.end()
	})
}

func TestATokenInUseFailsOnlyThatInvocation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), catalog{"t": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			e := emit(string(b.Envelopes[0].Value.Data))
			e.Delayed = []actor.Delayed{{Delay: time.Hour, Target: to("gone", "x"), Token: "same"}}
			return e, nil
		}), MaxBatch: 1}})
		a.send(to("t", "a"), "first", "second")
		time.Sleep(time.Minute)
		a.want("egress", a.emitted(), []string{"first"})
		letters := a.memory.DeadLetters()
		if len(letters) != 1 || !strings.Contains(letters[0].DeadLetter.Error, `token "same"`) {
			t.Errorf("dead letters = %+v, want one that names the token", letters)
		}
		time.Sleep(time.Hour) // the first fires, at a type that nobody binds
		letters = a.memory.DeadLetters()
		if len(letters) != 2 || letters[1].DeadLetter.Reason != actor.ReasonUnknownFunction {
			t.Errorf("dead letters = %+v, want a second one for the unknown function", letters)
		}
		a.end()
	})
}

func TestEffectsBeyondALimitDeadLetterWithTheLimitNamed(t *testing.T) {
	t.Parallel()
	big := make([]byte, 3<<20)
	tests := map[string]*actor.Effects{
		"state":   {Mutations: []actor.Mutation{{Name: "n", Value: actor.Value{Data: big}}}},
		"message": {Egress: []actor.EgressMessage{{Value: actor.Value{Data: big}}}},
		"address": {Sends: []actor.Send{{Target: to("f", strings.Repeat("x", 4000))}}},
		"sends":   {Sends: slices.Repeat([]actor.Send{{Target: to("g", "b")}}, 250_001)},
		"bytes":   {Egress: slices.Repeat([]actor.EgressMessage{{Value: actor.Value{Data: big[:1<<19]}}}, 129)},
	}
	for name, effects := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := start(t, actortest.NewMemory(), catalog{
					"f": {Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) { return effects, nil })},
					"g": {Function: function(counter)},
				})
				a.send(to("f", "a"), "x")
				a.send(to("g", "a"), "x")
				time.Sleep(time.Minute)
				letters := a.memory.DeadLetters()
				if len(letters) != 1 || !strings.Contains(letters[0].DeadLetter.Error, "limit is") || letters[0].DeadLetter.Attempts != 1 {
					t.Errorf("dead letters = %+v, want one after one attempt that names the limit", letters)
				}
				a.want("egress of another function", a.emitted(), []string{"a=1"})
				a.end()
			})
		})
	}
}

func TestACommitLargerThanARecordIsWrittenInParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"burst": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			e := &actor.Effects{}
			for i := range 400 {
				e.Egress = append(e.Egress, emit(string(b.Envelopes[0].Value.Data)+strconv.Itoa(i)+strings.Repeat(".", 10_000)).Egress...)
			}
			return e, nil
		}), MaxBatch: 1}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("burst", "a"), "x")
		time.Sleep(10 * time.Millisecond)
		a.end() // perhaps before its effects are in place

		b := start(t, a.memory, functions)
		time.Sleep(time.Minute)
		got := b.emitted()
		b.want("egress messages", len(got), 400)
		if !slices.IsSortedFunc(got, func(x, y string) int {
			n := func(s string) int { i, _ := strconv.Atoi(strings.Trim(s, "x.")); return i }
			return n(x) - n(y)
		}) {
			t.Error("egress messages are out of order")
		}
		b.end()
	})
}

func TestAnOldOwnerIsFenced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"count": {Function: function(counter)}}
		a := start(t, actortest.NewMemory(), functions)
		b := start(t, a.memory, functions)
		a.send(to("count", "a"), "x", "y", "z")
		err := <-a.ended
		if !errors.Is(err, actor.ErrFenced) {
			t.Errorf("Run of the old owner = %v, want ErrFenced", err)
		}
		time.Sleep(time.Minute)
		b.want("egress", b.emitted(), []string{"a=1", "a=2", "a=3"})
		b.end()
	})
}

func TestStrayMessagesInTheJournalArePassedOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"count": {Function: function(counter)}}
		memory := actortest.NewMemory()
		journal := memory.Ports(0).Journal
		stray := func() { // as a server's answer gets in
			synctest.Wait() // a checkpoint that is due at this moment is appended first
			last, err := journal.Last(t.Context())
			if err != nil && !errors.Is(err, actor.ErrNotFound) {
				t.Fatal(err)
			}
			r := actortest.Await(t, func(done func(actor.WriteResult)) { journal.Append([]byte(`{"stream":"S","seq":1}`), last.Seq, done) })
			if r.Outcome != actor.Stored {
				t.Fatalf("Append = %+v", r)
			}
		}
		stray() // before the first owner
		a := start(t, memory, functions)
		a.send(to("count", "a"), "x")
		time.Sleep(time.Second)
		stray()
		stray()
		a.send(to("count", "a"), "y")
		time.Sleep(10 * time.Millisecond)
		a.end()
		stray() // behind the last record
		b := start(t, memory, functions)
		b.send(to("count", "a"), "z")
		time.Sleep(time.Minute)
		b.want("egress", b.emitted(), []string{"a=1", "a=2", "a=3"})
		b.end()
	})
}

func TestDrainLeavesNothingToRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"count": {Function: function(counter)}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("count", "a"), "x", "y", "z")
		time.Sleep(20 * time.Millisecond)
		if err := a.proc.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := a.proc.Stats(); s.Unapplied != 0 || s.CheckpointAt == 0 {
			t.Errorf("after Drain: %d commits unapplied, last checkpoint at %d; want none, and one", s.Unapplied, s.CheckpointAt)
		}
		loaded, err := a.memory.Ports(0).State.Load(t.Context(), actor.StateKey{Address: to("count", "a")})
		if err != nil || loaded.Record == nil {
			t.Fatalf("Load = %+v, %v, want a record", loaded, err)
		}
		n, _ := loaded.Record.State.Get("n")
		a.want("stored state", string(n.Value.Data), "3")
		a.end()
	})
}
