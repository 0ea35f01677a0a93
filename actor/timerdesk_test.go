package actor_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// timers reads all pending ones, a few at a time.
func (a *app) timers(limit int, match func(*actor.Timer) bool) []actor.Timer {
	a.t.Helper()
	var out []actor.Timer
	for q := (actor.TimerQuery{Limit: limit, Match: match}); ; {
		page, err := a.proc.Timers(a.t.Context(), q)
		if err != nil {
			a.t.Fatal(err)
		}
		out = append(out, page.Timers...)
		if !page.More {
			return out
		}
		q.After = page.Next
	}
}

func names(list []actor.Timer) (out []string) {
	for i := range list {
		out = append(out, string(list[i].Envelope.Value.Data))
	}
	return out
}

// reminders sets what it is told, "<token>", in an hour, under that token.
func reminders() catalog {
	return catalog{
		"remind": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			e := &actor.Effects{}
			for _, m := range b.Envelopes {
				s := string(m.Value.Data)
				e.Delayed = append(e.Delayed, actor.Delayed{Delay: time.Hour, Target: to("count", s), Value: text(s), Token: s})
			}
			return e, nil
		})},
		"count": {Function: function(counter)},
	}
}

func TestAPendingTimerIsCancelledOnceAndItsTokenIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), reminders())
		a.send(to("remind", "a"), "one", "two", "three")
		time.Sleep(time.Minute)
		list := a.timers(2, nil)
		a.want("timers", names(list), []string{"one", "two", "three"})

		two := list[1].ID
		got, err := a.proc.CancelTimer(t.Context(), two)
		if err != nil || got.Token != "two" || got.Envelope.Caller != to("remind", "a") {
			t.Errorf("CancelTimer = %+v, %v", got, err)
		}
		if _, err := a.proc.CancelTimer(t.Context(), two); !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("CancelTimer of what is cancelled = %v, want ErrNotFound", err)
		}
		if _, err := a.proc.Timer(t.Context(), two); !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("Timer of what is cancelled = %v, want ErrNotFound", err)
		}
		if one, err := a.proc.Timer(t.Context(), list[0].ID); err != nil || one.Token != "one" {
			t.Errorf("Timer = %+v, %v, want one", one, err)
		}
		a.end() // at once: what was answered is durable

		b := start(t, a.memory, reminders())
		b.want("timers after a restart", names(b.timers(1, nil)), []string{"one", "three"})
		b.send(to("remind", "a"), "two") // its token is free
		time.Sleep(30 * time.Minute)
		b.want("timers at last", names(b.timers(10, nil)), []string{"one", "three", "two"})
		time.Sleep(time.Hour)
		b.want("egress", slices.Sorted(slices.Values(b.emitted())), []string{"one=1", "three=1", "two=1"})
		if _, err := b.proc.CancelTimer(t.Context(), list[0].ID); !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("CancelTimer of what has fired = %v, want ErrNotFound", err)
		}
		b.want("timers when all have fired", b.timers(10, nil), []actor.Timer(nil))
		b.end()
	})
}

func TestTimersAreListedInTheOrderInWhichTheyFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const many = 3000
		a := start(t, actortest.NewMemory(), catalog{"count": {Function: function(counter)}})
		r := rand.New(rand.NewPCG(1, 2))
		for i := range many {
			a.later(to("count", strconv.Itoa(i%7)), strconv.Itoa(i), time.Duration(3600+r.IntN(500))*time.Second)
		}
		time.Sleep(time.Minute)
		list := a.timers(100, nil)
		inOrder := slices.IsSortedFunc(list, func(a, b actor.Timer) int {
			return cmp.Or(cmp.Compare(a.DueAt, b.DueAt), cmp.Compare(a.ID.Commit, b.ID.Commit), cmp.Compare(a.ID.Index, b.ID.Index))
		})
		if len(list) != many || !inOrder {
			t.Fatalf("%d timers are listed, in order %v, want %d", len(list), inOrder, many)
		}
		page, err := a.proc.Timers(t.Context(), actor.TimerQuery{Limit: many})
		if err != nil || len(page.Timers) >= many || !page.More {
			t.Errorf("a page of %d timers, %v, was read at once, and there is more: %t; want fewer, so that others aren't held up", len(page.Timers), err, page.More)
		}
		// Take every other one out, from all over the list.
		for _, i := range r.Perm(many) {
			if i%2 == 0 {
				if _, err := a.proc.CancelTimer(t.Context(), list[i].ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		rest := a.timers(many, nil)
		for i := range rest {
			if want := list[2*i+1]; rest[i].ID != want.ID {
				t.Fatalf("timer %d is %v, want %v", i, rest[i].ID, want.ID)
			}
		}
		odd := a.timers(3, func(tm *actor.Timer) bool { return tm.Envelope.Target.ID == "5" })
		for i := range odd {
			if odd[i].Envelope.Target.ID != "5" {
				t.Errorf("a timer for %s is listed", odd[i].Envelope.Target)
			}
		}
		page, err = a.proc.Timers(t.Context(), actor.TimerQuery{Limit: many, Match: func(*actor.Timer) bool { return false }})
		if err != nil || len(page.Timers) > 0 || page.More {
			t.Errorf("of %d timers, of which none matches, the first page is %d, %v, and there is more: %t", many/2, len(page.Timers), err, page.More)
		}
		if len(rest) != many/2 || len(odd) == 0 {
			t.Errorf("%d timers are left, %d of them for 5, want %d and some", len(rest), len(odd), many/2)
		}
		time.Sleep(2 * time.Hour)
		if n := len(a.emitted()); n != many/2 {
			t.Errorf("%d timers have fired, want %d", n, many/2)
		}
		a.end()
	})
}

// slowJournal takes a while for each record.
type slowJournal struct {
	actor.Journal
	takes time.Duration
}

// Append is part of actor.Journal.
func (j slowJournal) Append(data []byte, after uint64, done func(actor.WriteResult)) {
	time.AfterFunc(j.takes, func() { j.Journal.Append(data, after, done) })
}

// slowly starts an application whose records take so long each.
func slowly(t *testing.T, takes time.Duration, functions catalog) *app {
	t.Helper()
	memory := actortest.NewMemory()
	ports := memory.Ports(0)
	ports.Journal = slowJournal{ports.Journal, takes}
	return run(t, memory, actor.NewProcessor(actor.Config{Partitions: 1}, ports, functions, actor.NewCalls(0), zerolog.Nop()))
}

func TestOfTwoCancellationsAtOnceOneIsTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := slowly(t, 10*time.Millisecond, reminders())
		a.send(to("remind", "a"), "one")
		time.Sleep(time.Hour - 5*time.Millisecond)
		id := a.timers(1, nil)[0].ID
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := a.proc.CancelTimer(t.Context(), id)
				errs <- err
			}()
		}
		one, other := <-errs, <-errs
		if (one == nil) == (other == nil) || !errors.Is(errors.Join(one, other), actor.ErrNotFound) {
			t.Errorf("two cancellations of a timer end with %v and %v, want one nil and one ErrNotFound", one, other)
		}
		time.Sleep(time.Hour) // it was due before the cancellation was durable
		a.want("egress", a.emitted(), []string(nil))
		a.end()
	})
}

func TestATimerIsCancelledThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		known := slowly(t, 10*time.Millisecond, reminders())
		known.send(to("remind", "a"), "one")
		time.Sleep(time.Second)
		id := known.timers(1, nil)[0].ID // the next application gives it the same
		known.end()

		a := slowly(t, 10*time.Millisecond, reminders())
		a.send(to("remind", "a"), "one")
		time.Sleep(5 * time.Millisecond)
		if len(a.timers(1, nil)) > 0 {
			t.Fatal("the timer is durable before its record is")
		}
		if got, err := a.proc.CancelTimer(t.Context(), id); err != nil || got.Token != "one" {
			t.Errorf("CancelTimer = %+v, %v, want one", got, err)
		}
		time.Sleep(2 * time.Hour)
		a.want("egress", a.emitted(), []string(nil))
		a.end()
	})
}

func TestManyTimersThatAreDueAtOnceLetOthersThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := actortest.NewMemory()
		ports := memory.Ports(0)
		ports.Journal = slowJournal{ports.Journal, 10 * time.Millisecond}
		functions := catalog{"count": {Function: function(counter)}}
		a := run(t, memory, actor.NewProcessor(actor.Config{Partitions: 1, MaxPack: 4000}, ports, functions, actor.NewCalls(0), zerolog.Nop()))
		const many = 3000 // some ten in a commit
		for i := range many {
			a.later(to("count", strconv.Itoa(i)), "timer", time.Hour)
		}
		time.Sleep(time.Hour + 50*time.Millisecond)
		a.send(to("count", "other"), "x")
		time.Sleep(100 * time.Millisecond)
		if !slices.Contains(a.emitted(), "other=1") {
			t.Errorf("a message that was sent while %d timers fire has had no effect after ten commits", many)
		}
		time.Sleep(time.Minute)
		if n := len(a.emitted()); n != many+1 {
			t.Errorf("%d messages have arrived, want %d", n, many+1)
		}
		a.end()
	})
}
