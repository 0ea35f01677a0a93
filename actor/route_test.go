package actor_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// later sends a message that is due after d.
func (a *app) later(target actor.Address, s string, d time.Duration) {
	a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{
		Envelope: actor.Envelope{Target: target, Value: text(s)},
		Route:    &actor.Route{DueAt: time.Now().Add(d).UnixMilli()},
	})
}

// seen notes the messages of its calls, without their traces.
func seen(got *[]actor.Envelope) actor.Function {
	return function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
		for _, e := range b.Envelopes {
			e.StoredAt = 0
			*got = append(*got, e)
		}
		return &actor.Effects{}, nil
	})
}

func TestADelayedInputArrivesOnceInItsTimeAlsoAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"count": {Function: function(counter)}}
		a := start(t, actortest.NewMemory(), functions)
		a.later(to("count", "late"), "x", time.Hour)
		a.later(to("count", "soon"), "x", time.Minute)
		a.send(to("count", "now"), "x")
		time.Sleep(time.Minute - time.Second)
		a.want("egress before a minute", a.emitted(), []string{"now=1"})
		a.end()

		b := start(t, a.memory, functions)
		time.Sleep(2 * time.Second)
		b.want("egress after a minute", b.emitted(), []string{"now=1", "soon=1"})
		b.end()
		time.Sleep(2 * time.Hour) // nobody is there when it is due

		c := start(t, a.memory, functions)
		time.Sleep(time.Second)
		c.want("egress after all", c.emitted(), []string{"now=1", "soon=1", "late=1"})
		if n := c.proc.Stats().Timers; n != 0 {
			t.Errorf("timers = %d, want none left", n)
		}
		c.end()
	})
}

func TestADelayedInputHasNoCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []actor.Envelope
		a := start(t, actortest.NewMemory(), catalog{"see": {Function: seen(&got)}})
		a.later(to("see", "a"), "x", time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		a.want("envelopes", got, []actor.Envelope{{Target: to("see", "a"), Value: text("x")}})
		a.end()
	})
}

func TestADelayedInputForNobodyDeadLettersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), catalog{})
		a.later(to("nobody", "a"), "x", time.Hour)
		time.Sleep(time.Second)
		letters := a.memory.DeadLetters()
		if len(letters) != 1 || letters[0].DeadLetter.Reason != actor.ReasonUnknownFunction {
			t.Errorf("dead letters = %+v, want one of an unknown function", letters)
		}
		a.end()
	})
}

func TestARecordOfAForeignStreamReachesEachTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var one, two []actor.Envelope
		functions := catalog{"one": {Function: seen(&one)}, "two": {Function: seen(&two)}}
		source := actor.ForeignSource(actor.TypeName{Namespace: "test", Name: "orders"})
		targets := []actor.TypeName{to("one", "").Type, to("two", "").Type, to("nobody", "").Type}
		record := func(seq uint64, value actor.Value, bad *actor.Problem) actor.Delivery {
			return actor.Delivery{Source: source, Seq: seq, Inputs: []actor.Input{{
				Envelope: actor.Envelope{Target: to("one", "a"), Value: value}, Problem: bad, Route: &actor.Route{Targets: targets},
			}}}
		}
		a := start(t, actortest.NewMemory(), functions)
		for _, d := range []actor.Delivery{
			record(7, text("x"), nil), record(9, text("y"), &actor.Problem{Reason: actor.ReasonBadType, Detail: "odd"}),
			record(12, text(strings.Repeat("z", 2<<20)), nil),
		} {
			if err := a.proc.Deliver(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		a.want("envelopes", [][]actor.Envelope{one, two},
			[][]actor.Envelope{{{Target: to("one", "a"), Value: text("x")}}, {{Target: to("two", "a"), Value: text("x")}}})
		var reasons []string
		for _, l := range a.memory.DeadLetters() {
			reasons = append(reasons, l.DeadLetter.Envelope.Target.Type.Name+" "+l.DeadLetter.Reason)
		}
		a.want("dead letters", reasons, []string{"nobody unknown-function", "one bad-type", "one limit", "two limit", "nobody unknown-function"})
		a.end()

		b := start(t, a.memory, functions)
		if at := b.proc.Position(source); at != 13 {
			t.Errorf("Position(%s) = %d, want 13: behind the last record", source, at)
		}
		b.end()
	})
}
