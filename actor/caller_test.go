package actor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// ask sends text to target as the caller that waits at gateway g under a name.
func (a *app) ask(target actor.Address, name, s string) {
	a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{
		Target: target, Caller: actor.WaitingCaller("g", name), Value: text(s),
	}})
}

// replies are those let out, as "<id of the caller>: <text>".
func (a *app) replies() []string {
	var out []string
	for _, e := range a.memory.Replies() {
		out = append(out, e.Target.ID+": "+string(e.Value.Data))
	}
	return out
}

// echo answers every message with its text.
func echo(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	e := &actor.Effects{}
	for i := range b.Envelopes {
		e.Sends = append(e.Sends, actor.Send{Target: b.Envelopes[i].Caller, Value: b.Envelopes[i].Value})
	}
	return e, nil
}

func TestAnAnswerToAWaitingCallerIsAReplyAndNoMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a := start(t, m, catalog{"echo": {Function: function(echo)}})
		a.ask(to("echo", "x"), "one", "hello")
		a.ask(to("echo", "x"), "two", "world")
		synctest.Wait()
		a.want("replies", a.replies(), []string{"w-g-one: hello", "w-g-two: world"})
		a.want("caller of the reply", m.Replies()[0].Caller, to("echo", "x"))
		if d, ok := m.Delivery(actor.SourceMailbox, 0, 3); ok {
			t.Errorf("the reply is in the mailbox: %+v", d)
		}
		time.Sleep(time.Minute) // checkpoints
		a.end()
		a = start(t, m, catalog{"echo": {Function: function(echo)}})
		a.want("replies after a restart behind the checkpoint", len(a.replies()), 2)
		a.end()
	})
}

func TestANewOwnerRepeatsTheRepliesThatNoCheckpointCovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a := start(t, m, catalog{"echo": {Function: function(echo)}})
		a.ask(to("echo", "x"), "one", "hello")
		synctest.Wait()
		a.end()
		a = start(t, m, catalog{"echo": {Function: function(echo)}})
		synctest.Wait()
		a.want("replies", a.replies(), []string{"w-g-one: hello", "w-g-one: hello"})
		a.end()
	})
}

func TestADelayedAnswerLeavesWhenItIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		later := func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			return &actor.Effects{Delayed: []actor.Delayed{{Delay: time.Minute, Target: b.Envelopes[0].Caller, Value: text("late")}}}, nil
		}
		a := start(t, m, catalog{"later": {Function: function(later)}})
		a.ask(to("later", "x"), "one", "")
		time.Sleep(59 * time.Second)
		a.want("replies before", a.replies(), []string(nil))
		time.Sleep(2 * time.Second)
		a.want("replies", a.replies(), []string{"w-g-one: late"})
		a.end()
	})
}

func TestACallerIsToldThatItsMessageWasGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		failing := func(context.Context, *actor.Batch) (*actor.Effects, error) {
			return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonStatus, HTTPStatus: 418, Err: errors.New("a teapot")}
		}
		a := start(t, m, catalog{"bad": {Function: function(failing)}})
		a.ask(to("bad", "x"), "one", "hello")
		a.ask(to("nobody", "x"), "two", "hello")
		time.Sleep(time.Second) // a marker may have to be written twice
		a.end()
		replies, letters := m.Replies(), m.DeadLetters()
		if len(replies) != 2 || len(letters) != 2 {
			t.Fatalf("%d replies and %d dead letters, want 2 and 2", len(replies), len(letters))
		}
		reasons := map[string]string{}
		for _, e := range replies {
			f, err := actor.ParseFailure(e.Value)
			if err != nil || e.Value.Type != actor.FailureType || !e.Caller.IsZero() {
				t.Fatalf("reply %+v: %v, want a failure from nobody", e, err)
			}
			reasons[e.Target.ID] = f.Reason
			found := false
			for _, l := range letters {
				if l.ID == f.Letter {
					found = true
					want := actor.Failure{
						Reason: l.DeadLetter.Reason, Error: l.DeadLetter.Error, HTTPStatus: l.DeadLetter.HTTPStatus,
						Attempts: l.DeadLetter.Attempts, Letter: l.ID,
					}
					if diff := cmp.Diff(want, f); diff != "" {
						t.Errorf("the failure differs from its dead letter (-want +got):\n%s", diff)
					}
				}
			}
			if !found {
				t.Errorf("no dead letter %+v is stored", f.Letter)
			}
		}
		a.want("reasons", reasons, map[string]string{"w-g-one": actor.ReasonStatus, "w-g-two": actor.ReasonUnknownFunction})
	})
}

func TestOwnFunctionsNameACallerAndSeeWhatBroughtTheirMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		var inputs [][]actor.InputID
		forward := func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			inputs = append(inputs, b.Inputs)
			return &actor.Effects{Sends: []actor.Send{{Target: to("echo", "x"), Value: text("on"), Caller: &b.Envelopes[0].Caller}}}, nil
		}
		a := start(t, m, catalog{"forward": {Function: function(forward), Inputs: true}, "echo": {Function: function(echo)}})
		a.ask(to("forward", "x"), "one", "hello")
		synctest.Wait()
		a.end()
		a.want("replies", a.replies(), []string{"w-g-one: on"})
		a.want("inputs", inputs, [][]actor.InputID{{{Source: actor.SourceMailbox, Seq: 1}}})
	})
}

func TestOnlyIDsOfThatFormWaitAtAGateway(t *testing.T) {
	t.Parallel()
	if g, ok := actor.WaitingCaller("g", "c").WaitsAt(); g != "g" || !ok {
		t.Errorf("WaitsAt of a waiting caller = %q, %t", g, ok)
	}
	for _, a := range []actor.Address{
		{Type: actor.CallerType(), ID: "k-1"},
		{Type: actor.CallerType(), ID: "w"},
		{Type: actor.TypeName{Namespace: "other", Name: "caller"}, ID: "w-g-c"},
		{Type: actor.TypeName{Namespace: "jetfn", Name: "other"}, ID: "w-g-c"},
	} {
		if g, ok := a.WaitsAt(); ok {
			t.Errorf("%s waits at %q", a, g)
		}
	}
}
