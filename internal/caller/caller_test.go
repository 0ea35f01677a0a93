package caller_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/jetfn/jetfn/internal/caller"
)

// app is one partition in memory, with the caller's function and one of the
// user's, and a client. It lives in a synctest bubble.
type app struct {
	t      *testing.T
	memory *actortest.Memory
	desk   *caller.Desk
	client *caller.Client
	lose   bool // nothing arrives in the mailbox
	user   func(m *actor.Envelope) []actor.Send
	mu     sync.Mutex
	seen   []string // by the user's function
	stop   func()
}

func start(t *testing.T, m *actortest.Memory, user func(m *actor.Envelope) []actor.Send) *app {
	t.Helper()
	a := &app{t: t, memory: m, desk: caller.NewDesk(1000), user: user}
	a.client = &caller.Client{Desk: a.desk, Mailboxes: a}
	ports := m.Ports(0)
	ports.Replies = a
	proc := actor.NewProcessor(actor.Config{Partitions: 1}, ports, a, actor.NewCalls(0), zerolog.Nop())
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := proc.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	<-proc.Opened()
	from := proc.Position(actor.SourceMailbox)
	running.Go(func() {
		_ = m.Feed(ctx, actor.SourceMailbox, from, func(ctx context.Context, _ int, d actor.Delivery) error { return proc.Deliver(ctx, d) })
	})
	a.stop = func() {
		cancel()
		running.Wait()
	}
	return a
}

// Lookup implements actor.Catalog.
func (a *app) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	if t == actor.CallerType() {
		return actor.FunctionSpec{Function: &caller.Function{MaxAnswer: func() int { return 1000 }}, Inputs: true}, true
	}
	return actor.FunctionSpec{Function: a}, t.Name != "nobody"
}

// Invoke is the user's function.
func (a *app) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	e := &actor.Effects{}
	for i := range b.Envelopes {
		m := &b.Envelopes[i]
		a.mu.Lock()
		a.seen = append(a.seen, string(m.Value.Data)+" of "+kind(m.Caller))
		a.mu.Unlock()
		if string(m.Value.Data) == "fail" {
			return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonStatus, Err: errors.New("told to")}
		}
		e.Sends = append(e.Sends, a.user(m)...)
	}
	return e, nil
}

func kind(a actor.Address) string {
	if a.IsZero() {
		return "outside"
	}
	return a.ID[:1]
}

func (a *app) calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen
}

// Reply implements actor.Replies.
func (a *app) Reply(e *actor.Envelope) {
	if a.desk.Here(e) {
		a.desk.Deliver(e)
	}
}

// Partitions implements caller.Mailboxes.
func (*app) Partitions() (int, error) { return 1, nil }

// Put implements caller.Mailboxes.
func (a *app) Put(_ context.Context, m *caller.Message) error {
	if a.lose {
		return fmt.Errorf("lost: %w", caller.ErrUnknown)
	}
	a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{Target: m.Target, Caller: m.Caller, Value: m.Value, Trace: m.Trace}})
	return nil
}

var errSurprise = errors.New("surprise")

// call makes a call and returns its answer's text, or its error.
func (a *app) call(text, key string, later bool) (string, error) {
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	got, err := a.client.Call(ctx, &caller.Request{Target: to("echo"), Value: value(text), Key: key, Later: later})
	switch {
	case err != nil:
		return "", err
	case got.Failure != nil:
		return "failure: " + got.Failure.Error, nil
	case got.Pending:
		return "pending " + got.ID, nil
	}
	return string(got.Value.Data), nil
}

func (a *app) want(what, want string, wantErr error) func(string, error) {
	a.t.Helper()
	return func(got string, err error) {
		a.t.Helper()
		if got != want || !errors.Is(err, wantErr) {
			a.t.Errorf("%s = %q, %v; want %q, %v", what, got, err, want, wantErr)
		}
	}
}

func to(name string) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: "test", Name: name}, ID: "x"}
}

func value(s string) actor.Value { return actor.Value{Type: "test/text", Data: []byte(s)} }

// echo answers with the message.
func echo(m *actor.Envelope) []actor.Send {
	if m.Caller.IsZero() {
		return nil
	}
	return []actor.Send{{Target: m.Caller, Value: m.Value}}
}

func TestACallGetsItsFirstAnswerOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), func(m *actor.Envelope) []actor.Send {
			return append(echo(m), actor.Send{Target: m.Caller, Value: value("second")})
		})
		a.want("call", "hello", nil)(a.call("hello", "", false))
		a.want("call with a key", "hello", nil)(a.call("hello", "k", false))
		a.want("again", "hello", nil)(a.call("hello", "k", false))
		if n := a.desk.Waiting(); n != 0 {
			t.Errorf("%d wait, want none", n)
		}
		a.stop()
	})
}

func TestAKeyIsForgottenAfterADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), echo)
		a.want("first", "hello", nil)(a.call("hello", "k", false))
		time.Sleep(caller.Keep - time.Minute)
		a.want("within a day", "", caller.ErrMismatch)(a.call("other", "k", false))
		a.want("within a day", "hello", nil)(a.call("hello", "k", false))
		time.Sleep(2 * time.Minute)
		a.want("after a day", "other", nil)(a.call("other", "k", false))
		if diff := cmp.Diff([]string{"hello of k", "other of k"}, a.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		a.stop()
	})
}

func TestAFailureIsTheAnswerUntilAReplayBringsABetterOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a := start(t, m, echo)
		a.want("plain", "failure: told to", nil)(a.call("fail", "", false))
		a.want("with a key", "failure: told to", nil)(a.call("fail", "k", false))
		a.want("again", "failure: told to", nil)(a.call("fail", "k", false))
		letters := m.DeadLetters()
		if len(letters) != 2 {
			t.Fatalf("%d dead letters, want 2", len(letters))
		}
		// As a replay does, to a function that was mended.
		e := letters[1].DeadLetter.Envelope
		e.Value = value("mended")
		m.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: e})
		synctest.Wait()
		a.want("after a replay", "mended", nil)(a.call("fail", "k", false))
		a.stop()
	})
}

func TestACallThatNobodyAnswersStaysOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var answer actor.Address
		a := start(t, actortest.NewMemory(), func(m *actor.Envelope) []actor.Send {
			if string(m.Value.Data) == "now" {
				return []actor.Send{{Target: answer, Value: m.Value}}
			}
			answer = m.Caller
			return nil
		})
		a.want("plain", "", caller.ErrTimeout)(a.call("hello", "", false))
		a.want("with a key", "", caller.ErrTimeout)(a.call("hello", "k", false))
		got, err := a.call("hello", "k", true)
		id, pending := strings.CutPrefix(got, "pending ")
		if err != nil || !pending {
			t.Fatalf("asynchronous call = %q, %v", got, err)
		}
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() { a.want("who waits", "now", nil)(a.call("hello", "k", false)) })
		}
		synctest.Wait()
		a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{Target: to("other"), Value: value("now")}})
		waiting.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if found, err := a.client.Look(ctx, id); err != nil || string(found.Value.Data) != "now" {
			t.Errorf("Look = %+v, %v", found, err)
		}
		if _, err := a.client.Look(ctx, "k-unknown-0"); !errors.Is(err, caller.ErrNotFound) {
			t.Errorf("Look for an unknown call = %v", err)
		}
		if diff := cmp.Diff([]string{"hello of w", "hello of k", "now of outside"}, a.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		a.stop()
	})
}

func TestOnlySoManyWaitForOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), func(*actor.Envelope) []actor.Send { return nil })
		var waiting sync.WaitGroup
		var mu sync.Mutex
		results := map[error]int{}
		for range 120 {
			waiting.Go(func() {
				_, err := a.call("hello", "k", false)
				result := errSurprise
				for _, known := range []error{caller.ErrTimeout, caller.ErrBusy} {
					if errors.Is(err, known) {
						result = known
					}
				}
				mu.Lock()
				defer mu.Unlock()
				results[result]++
			})
		}
		waiting.Wait()
		if results[caller.ErrTimeout] != 100 || results[caller.ErrBusy] != 20 {
			t.Errorf("results = %v, want 100 time-outs and 20 busy", results)
		}
		// Those who went make room.
		a.want("later", "", caller.ErrTimeout)(a.call("hello", "k", false))
		a.stop()
	})
}

func TestASendWithAKeyIsForwardedOnceAsFromOutside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a := start(t, m, echo)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		send := func(text string) (actor.InputID, error) {
			return a.client.Send(ctx, &caller.Request{Target: to("echo"), Value: value(text), Key: "k"})
		}
		m.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{Target: to("echo"), Value: value("first")}})
		first, err := send("hello")
		if err != nil || first != (actor.InputID{Source: actor.SourceMailbox, Seq: 2}) {
			t.Errorf("Send = %+v, %v; want the mailbox's second", first, err)
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"first of outside", "hello of outside"}, a.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		a.stop()
		a = start(t, m, echo)
		if again, err := send("hello"); err != nil || again != first {
			t.Errorf("Send after a restart = %+v, %v; want %+v", again, err, first)
		}
		if _, err := send("other"); !errors.Is(err, caller.ErrMismatch) {
			t.Errorf("Send of another value = %v", err)
		}
		a.want("a call with that key", "hello", nil)(a.call("hello", "k", false))
		synctest.Wait()
		if diff := cmp.Diff([]string{"hello of k"}, a.calls()); diff != "" {
			t.Errorf("calls after the restart (-want +got):\n%s", diff)
		}
		a.stop()
	})
}

func TestADelayedSendWithAKeyIsForwardedOnceWhenItIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), echo)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Hour)
		defer cancel()
		for range 2 {
			if _, err := a.client.Send(ctx, &caller.Request{Target: to("echo"), Value: value("hello"), Key: "k", Delay: 30 * time.Hour}); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(29 * time.Hour)
		if got := a.calls(); len(got) > 0 {
			t.Errorf("calls before it is due = %v", got)
		}
		time.Sleep(2 * time.Hour)
		if diff := cmp.Diff([]string{"hello of outside"}, a.calls()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		a.stop()
	})
}

func TestAnAnswerThatCanNotBeKeptIsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		large := value(strings.Repeat("x", 2000))
		a := start(t, actortest.NewMemory(), func(m *actor.Envelope) []actor.Send {
			return []actor.Send{{Target: m.Caller, Value: large}}
		})
		a.want("plain", string(large.Data), nil)(a.call("hello", "", false))
		got, err := a.call("hello", "k", false)
		if err != nil || !strings.Contains(got, "1000 can be kept") {
			t.Errorf("call with a key = %q, %v; want a failure that names the limit", got, err)
		}
		a.stop()
	})
}

func TestACallWhoseMessageMayBeLostWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), echo)
		a.lose = true
		began := time.Now()
		a.want("call", "", caller.ErrTimeout)(a.call("hello", "", false))
		if took := time.Since(began); took != time.Minute {
			t.Errorf("waited %v, want a minute", took)
		}
		a.stop()
	})
}

func TestADeskThatEndsLetsNobodyWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), func(*actor.Envelope) []actor.Send { return nil })
		var waiting sync.WaitGroup
		waiting.Go(func() { a.want("call", "", caller.ErrEnded)(a.call("hello", "", false)) })
		synctest.Wait()
		a.desk.End()
		a.desk.End()
		waiting.Wait()
		a.want("the next", "", caller.ErrClosed)(a.call("hello", "", false))
		a.stop()
	})
}

func TestADeskHasALimit(t *testing.T) {
	t.Parallel()
	d := caller.NewDesk(2)
	first, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Open(); !errors.Is(err, caller.ErrBusy) {
		t.Errorf("the third Open = %v, want ErrBusy", err)
	}
	first.Close()
	if _, err := d.Open(); err != nil {
		t.Errorf("Open after a Close = %v", err)
	}
	d.Deliver(&actor.Envelope{Target: first.Address()}) // nobody waits any more
}

// partitioned has many partitions and stores nothing.
type partitioned struct{ targets []actor.Address }

func (*partitioned) Partitions() (int, error) { return 64, nil }

func (p *partitioned) Put(_ context.Context, m *caller.Message) error {
	p.targets = append(p.targets, m.Target)
	return errSurprise
}

func TestAKeyStandsForOneAddressInItsTargetsPartition(t *testing.T) {
	t.Parallel()
	seen := map[actor.Address]string{}
	for i := range 200 {
		target := actor.Address{Type: actor.TypeName{Namespace: "a", Name: "b"}, ID: strconv.Itoa(i / 4)}
		p := &partitioned{}
		c := &caller.Client{Desk: caller.NewDesk(1), Mailboxes: p}
		key := strconv.Itoa(i % 4)
		for range 2 {
			if _, err := c.Call(t.Context(), &caller.Request{Target: target, Key: key}); !errors.Is(err, errSurprise) {
				t.Fatal(err)
			}
		}
		if p.targets[0] != p.targets[1] || p.targets[0].Partition(64) != target.Partition(64) {
			t.Errorf("the callers for %s and %s are %v", target, key, p.targets)
		}
		if other, ok := seen[p.targets[0]]; ok {
			t.Errorf("%s is the caller for %s %s and for %s", p.targets[0], target, key, other)
		}
		seen[p.targets[0]] = target.String() + " " + key
	}
}
