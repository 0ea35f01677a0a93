package actor_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// setting is an Edit that sets n and notes the commit it saw.
func setting(n string, saw *actor.StateView) actor.Edit {
	return func(v actor.StateView, _ int64) (actor.Edited, error) {
		*saw = v
		return actor.Edited{Mutations: []actor.Mutation{{Name: "n", Value: text(n)}}}, nil
	}
}

func valueOf(v actor.StateView, name string) string {
	got, _ := v.State.Get(name)
	return string(got.Value.Data)
}

func TestAnEditWaitsForTheCallUnderWayAndIsSeenByTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		slow := function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
			<-gate
			return counter(ctx, b)
		})
		functions := catalog{"count": {Function: slow, MaxBatch: 1}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("count", "a"), "x", "y", "z") // always one under way
		synctest.Wait()

		var saw, after actor.StateView
		edited := make(chan error, 1)
		go func() {
			var err error
			after, err = a.proc.Edit(t.Context(), to("count", "a"), setting("40", &saw))
			edited <- err
		}()
		synctest.Wait()
		select {
		case err := <-edited:
			t.Fatalf("Edit returned %v while a call was under way", err)
		default:
		}
		close(gate)
		if err := <-edited; err != nil {
			t.Fatal(err)
		}
		a.want("state before", valueOf(saw, "n"), "1")
		a.want("state after", valueOf(after, "n"), "40")
		if after.Commit <= saw.Commit {
			t.Errorf("commit %d follows %d, want a later one", after.Commit, saw.Commit)
		}
		time.Sleep(5 * time.Second)
		a.want("egress", a.emitted(), []string{"a=1", "a=41", "a=42"})
		a.end()

		b := start(t, a.memory, functions) // the edit is in the journal
		view, err := b.proc.Query(t.Context(), to("count", "a"))
		if err != nil || valueOf(view, "n") != "42" {
			t.Errorf("Query after a restart = %v, %v, want n=42", view, err)
		}
		b.end()
	})
}

func TestAnEditMayChangeTheStateOfAFailingFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fragile := function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
			if n, _ := b.State.Get("n"); string(n.Value.Data) != "7" {
				return nil, &actor.InvokeError{Kind: actor.Unreachable, Err: errors.New("not with that state")}
			}
			return counter(ctx, b)
		})
		a := start(t, actortest.NewMemory(), catalog{"count": {Function: fragile}})
		a.send(to("count", "a"), "x")
		time.Sleep(time.Minute)
		var saw actor.StateView
		if _, err := a.proc.Edit(t.Context(), to("count", "a"), setting("7", &saw)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		a.want("egress", a.emitted(), []string{"a=8"})
		a.end()
	})
}

func TestAnEditThatRefusesChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), catalog{"count": {Function: function(counter)}})
		refused := errors.New("refused")
		large := make([]byte, 1<<20)
		for name, decide := range map[string]actor.Edit{
			"by itself": func(actor.StateView, int64) (actor.Edited, error) {
				return actor.Edited{Mutations: []actor.Mutation{{Name: "n", Value: text("1")}}}, refused
			},
			"because of a limit": func(actor.StateView, int64) (actor.Edited, error) {
				return actor.Edited{Mutations: []actor.Mutation{{Name: "n", Value: actor.Value{Type: "test/bytes", Data: large}}}}, nil
			},
			"because of a bad address": func(actor.StateView, int64) (actor.Edited, error) {
				return actor.Edited{Mutations: []actor.Mutation{{Name: "n", Value: text("1")}}, Sends: []actor.Envelope{{}}}, nil
			},
		} {
			if _, err := a.proc.Edit(t.Context(), to("count", "a"), decide); err == nil {
				t.Errorf("%s: Edit = nil, want an error", name)
			}
		}
		view, err := a.proc.Query(t.Context(), to("count", "a"))
		if err != nil || len(view.State) > 0 || view.Commit != 0 {
			t.Errorf("Query = %v, %v, want no state", view, err)
		}
		a.end()
	})
}

func TestAnEditSendsWithTheCallerItNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var callers []actor.Address
		a := start(t, actortest.NewMemory(), catalog{"note": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			for i := range b.Envelopes {
				callers = append(callers, b.Envelopes[i].Caller)
			}
			return &actor.Effects{}, nil
		})}})
		decide := func(v actor.StateView, now int64) (actor.Edited, error) {
			if _, done := v.State.Get("at"); done {
				return actor.Edited{}, errors.New("done already")
			}
			return actor.Edited{
				Mutations: []actor.Mutation{{Name: "at", Value: text(strconv.FormatInt(now, 10))}},
				Sends: []actor.Envelope{
					{Target: to("note", "b"), Caller: to("count", "c"), Value: text("x")},
					{Target: to("note", "b"), Value: text("y")},
				},
			}, nil
		}
		for i := range 3 {
			_, err := a.proc.Edit(t.Context(), to("replay", "a"), decide)
			if (err == nil) != (i == 0) {
				t.Errorf("Edit %d = %v", i, err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		a.want("callers", callers, []actor.Address{to("count", "c"), {}})
		a.end()
	})
}

func TestAPausedFunctionKeepsItsMessagesInOrder(t *testing.T) {
	t.Parallel()
	for name, paused := range map[string]actor.TypeName{
		"by its name":      {Namespace: "test", Name: "count"},
		"by its namespace": {Namespace: "test", Name: actor.AnyName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { pausedKeepsOrder(t, paused) })
		})
	}
}

func pausedKeepsOrder(t *testing.T, paused actor.TypeName) {
	t.Helper()
	echo := function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
		e := &actor.Effects{}
		for i := range b.Envelopes {
			e.Egress = append(e.Egress, emit(string(b.Envelopes[i].Value.Data)).Egress...)
		}
		return e, nil
	})
	functions := catalog{"count": {Function: echo, MaxBatch: 10}}
	a := start(t, actortest.NewMemory(), functions)
	key := actor.PauseType(paused)
	<-a.proc.Pause(a.memory.SetPaused(key, true))
	var want []string
	for i := range 500 { // more than a queue holds
		want = append(want, strconv.Itoa(i))
	}
	a.send(to("count", "a"), want[:300]...)
	time.Sleep(time.Minute)
	backlog, err := a.proc.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.want("egress of a paused function", a.emitted(), []string(nil))
	a.want("backlog", backlog, map[actor.TypeName]int{{Namespace: "test", Name: "count"}: 300})
	if s := a.proc.Stats(); s.Spilled < 200 {
		t.Errorf("%d messages are kept by their position only, want most of them", s.Spilled)
	}
	a.end()

	b := actor.NewProcessor(actor.Config{Partitions: 1}, a.memory.Ports(0), functions, actor.NewCalls(0), zerolog.Nop())
	b.Pause(a.memory.Paused()[0].PauseNews) // as a worker that starts does
	after := run(t, a.memory, b)
	after.send(to("count", "a"), want[300:]...)
	time.Sleep(time.Minute)
	after.want("egress after a takeover", after.emitted(), []string(nil))
	<-b.Pause(a.memory.SetPaused(key, false))
	time.Sleep(time.Minute)
	if diff := cmp.Diff(want, after.emitted()); diff != "" {
		t.Errorf("egress after it was resumed (-want +got):\n%s", diff)
	}
	after.end()
}

func TestTimeInAPauseIsNotCountedAgainstAMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var repaired atomic.Bool
		a := start(t, actortest.NewMemory(), catalog{"count": {
			Policy: actor.Policy{Budget: 10 * time.Second, BackoffMin: time.Second, BackoffMax: time.Second},
			Function: function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
				if !repaired.Load() {
					return nil, errors.New("broken")
				}
				return counter(ctx, b)
			}),
		}})
		a.send(to("count", "a"), "x")
		time.Sleep(1500 * time.Millisecond) // tried at least once
		key := actor.PauseType(to("count", "a").Type)
		<-a.proc.Pause(a.memory.SetPaused(key, true))
		time.Sleep(time.Hour)
		<-a.proc.Pause(a.memory.SetPaused(key, false))
		time.Sleep(1500 * time.Millisecond) // tried again
		repaired.Store(true)
		time.Sleep(time.Minute)
		a.want("egress", a.emitted(), []string{"a=1"})
		if n := len(a.memory.DeadLetters()); n != 0 {
			t.Errorf("%d dead letters, want none: the pause is nobody's fault", n)
		}
		a.end()
	})
}
