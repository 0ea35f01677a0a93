package actor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// weather answers calls by the time: it is down within an outage, and else
// fails until it is mended.
type weather struct {
	down, up, mended time.Time
	answered         []int64 // when calls came that were answered
}

func (w *weather) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	now := time.Now()
	if !now.Before(w.down) && now.Before(w.up) {
		return nil, &actor.InvokeError{Kind: actor.Unreachable, Err: errors.New("connection refused")}
	}
	w.answered = append(w.answered, now.UnixMilli())
	if now.Before(w.mended) {
		return nil, &actor.InvokeError{Reason: actor.ReasonStatus, HTTPStatus: 500, Err: errors.New("status 500")}
	}
	return counter(ctx, b)
}

func TestAnOutageUsesUpNeitherAttemptsNorBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := &weather{down: begin.Add(5 * time.Millisecond), up: begin.Add(time.Hour), mended: begin.Add(time.Hour + 30*time.Second)}
		a := start(t, actortest.NewMemory(), catalog{"w": {Endpoint: "http://w", Function: w, Policy: actor.Policy{
			Attempts: 100, Budget: time.Minute, BackoffMin: 10 * time.Millisecond, BackoffMax: time.Second,
		}}})
		a.send(to("w", "a"), "x")
		time.Sleep(time.Hour + 2*time.Minute)
		a.want("dead letters", len(a.memory.DeadLetters()), 0)
		a.want("egress", a.emitted(), []string{"a=1"})
		if len(w.answered) < 3 || w.answered[0] >= w.down.UnixMilli() || w.answered[1] < w.up.UnixMilli() {
			t.Errorf("calls were answered at %v, want one before the outage and some behind it", w.answered)
		}
		a.end()
	})
}

func TestADeadLetterTellsOfTheCallsThatMayHaveReachedTheFunction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := &weather{down: begin, up: begin.Add(time.Minute), mended: begin.Add(time.Hour)}
		a := start(t, actortest.NewMemory(), catalog{"w": {Endpoint: "http://w", Function: w, Policy: actor.Policy{Attempts: 3}}})
		a.send(to("w", "a"), "x")
		time.Sleep(2 * time.Minute)
		letters := a.memory.DeadLetters()
		if len(letters) != 1 || len(w.answered) != 3 {
			t.Fatalf("%d dead letters after %d calls that were answered, want one after three", len(letters), len(w.answered))
		}
		l := letters[0].DeadLetter
		if l.Attempts != 3 || l.FirstAt != w.answered[0] || l.LastAt != w.answered[2] {
			t.Errorf("the dead letter tells of %d attempts from %d to %d, the function answered three at %v", l.Attempts, l.FirstAt, l.LastAt, w.answered)
		}
		a.end()
	})
}

func TestTheWaitForAPlaceIsNotOfTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := &weather{mended: begin.Add(10 * time.Minute)}
		slow := function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
			time.Sleep(5 * time.Minute)
			return counter(ctx, b)
		})
		a := start(t, actortest.NewMemory(), catalog{
			"w": {Endpoint: "http://shared", MaxConcurrent: 1, Function: w, Policy: actor.Policy{
				Attempts: 5, Budget: time.Minute, BackoffMin: time.Second, BackoffMax: 2 * time.Second,
			}},
			"slow": {Endpoint: "http://shared", MaxConcurrent: 1, Function: slow},
		})
		a.send(to("w", "a"), "x")
		time.Sleep(100 * time.Millisecond)
		for _, id := range []string{"b", "c", "d"} { // each takes the place while the message pauses
			a.send(to("slow", id), "x")
		}
		time.Sleep(30 * time.Minute)
		a.want("dead letters", len(a.memory.DeadLetters()), 0)
		if n := len(w.answered); n < 2 || n > 5 {
			t.Errorf("it was called %d times", n)
		}
		a.end()
	})
}
