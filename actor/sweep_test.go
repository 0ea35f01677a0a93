package actor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

func (a *app) sweep(k actor.StateKey) actor.Swept {
	a.t.Helper()
	got, err := a.proc.Sweep(a.t.Context(), k)
	if err != nil {
		a.t.Error(err)
	}
	return got
}

func TestASweepRemovesWhatHasExpiredOfAnAddressThatNobodyCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a := start(t, m, leases())
		k := actor.StateKey{Address: to("lease", "a")}
		a.send(k.Address, "set")
		time.Sleep(time.Hour - time.Minute)
		before, _ := a.stored()
		if got := a.sweep(k); got.Removed != 0 || got.Busy || got.Next != before.ExpiresAt || got.Revision == 0 {
			t.Errorf("before the deadline Sweep = %+v, want nothing removed and the deadline", got)
		}
		time.Sleep(2 * time.Minute)
		if got := a.sweep(k); got.Removed != 1 || got.Next != 0 {
			t.Errorf("after the deadline Sweep = %+v, want one removed", got)
		}
		if got := a.sweep(k); got.Removed != 0 {
			t.Errorf("Sweep again = %+v, want nothing removed", got)
		}
		time.Sleep(time.Minute)
		if v, there := a.stored(); there {
			t.Errorf("the store still holds %+v", v)
		}
		cached := a.proc.Stats().CachedAddresses
		a.sweep(actor.StateKey{Address: to("lease", "unknown")})
		if n := a.proc.Stats().CachedAddresses; n != cached {
			t.Errorf("%d more addresses stay in memory, want none: only the sweep has looked", n-cached)
		}
		a.end()
		b := start(t, m, leases()) // the removal is in the journal
		b.send(k.Address, "after")
		time.Sleep(time.Second)
		b.want("egress", b.emitted(), []string{"after: false"})
		b.end()
	})
}

func TestASweepLeavesAnAddressAloneThatIsAtWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), leases())
		k := actor.StateKey{Address: to("lease", "a")}
		a.send(k.Address, "set")
		time.Sleep(45 * time.Minute)
		a.send(k.Address, "slow") // half an hour, which is beyond the deadline, and then it renews
		time.Sleep(20 * time.Minute)
		if got := a.sweep(k); !got.Busy {
			t.Errorf("during a call Sweep = %+v, want busy", got)
		}
		time.Sleep(time.Hour)
		a.send(k.Address, "later")
		time.Sleep(time.Second)
		a.want("egress", a.emitted(), []string{"later: true"})
		a.end()
	})
}

func TestASweepTellsTheEarliestOfTheDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lives := map[string]time.Duration{"a": 3 * time.Hour, "b": time.Hour, "c": 2 * time.Hour}
		a := start(t, actortest.NewMemory(), catalog{"fn": {Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) {
			e := &actor.Effects{Mutations: []actor.Mutation{{Name: "for ever", Value: text("1")}}}
			for _, name := range []string{"a", "b", "c"} {
				e.Mutations = append(e.Mutations, actor.Mutation{Name: name, Value: text("1"), ExpireAfter: lives[name]})
			}
			return e, nil
		})}})
		k := actor.StateKey{Address: to("fn", "a")}
		begun := time.Now()
		a.send(k.Address, "set")
		time.Sleep(time.Minute)
		for _, name := range []string{"b", "c", "a"} {
			due := begun.Add(lives[name])
			if got := a.sweep(k); got.Next != due.UnixMilli() || got.Removed != 0 {
				t.Errorf("before %s expires Sweep = %+v, want nothing removed, and %d as the next deadline", name, got, due.UnixMilli())
			}
			time.Sleep(time.Until(due))
			if got := a.sweep(k); got.Removed != 1 {
				t.Errorf("when %s expires Sweep = %+v, want one removed", name, got)
			}
			time.Sleep(time.Minute)
		}
		if got := a.sweep(k); got.Next != 0 {
			t.Errorf("when nothing more expires Sweep = %+v, want no deadline", got)
		}
		a.end()
	})
}

// lostStates are states that a foreign write has destroyed.
type lostStates struct{ actor.StateStore }

// Load is part of actor.StateStore.
func (lostStates) Load(context.Context, actor.StateKey) (actor.LoadedState, error) {
	return actor.LoadedState{}, actor.ErrStateLost
}

func TestASweepSaysThatAStateIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		ports := m.Ports(0)
		ports.State = lostStates{ports.State}
		a := run(t, m, actor.NewProcessor(actor.Config{Partitions: 1}, ports, leases(), actor.NewCalls(0), zerolog.Nop()))
		k := actor.StateKey{Address: to("lease", "a")}
		limited, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := a.proc.Sweep(limited, k); !errors.Is(err, actor.ErrUnanswered) {
			t.Errorf("the first Sweep = %v, want ErrUnanswered: the state may be there when it is read again", err)
		}
		begun := time.Now()
		if _, err := a.proc.Sweep(t.Context(), k); !errors.Is(err, actor.ErrStateLost) || time.Since(begun) > 0 {
			t.Errorf("Sweep = %v after %v, want ErrStateLost at once", err, time.Since(begun))
		}
		a.end()
	})
}

func TestParseStateKeyReadsWhatKeyWrote(t *testing.T) {
	t.Parallel()
	a := actor.Address{Type: actor.TypeName{Namespace: "a.b", Name: "c d"}, ID: "é/."}
	for _, k := range []actor.StateKey{{Address: a}, {Address: a, Entry: "t/k"}, {Address: a, Entry: "t.1/k/2. "}} {
		if got, err := actor.ParseStateKey(k.Key()); err != nil || got != k {
			t.Errorf("ParseStateKey(%q) = %+v, %v, want %+v", k.Key(), got, err, k)
		}
	}
	for _, bad := range []string{"", "a", "a.b", "a.b.c.d", "a.b.c.d.e.f", "a.b.c.=.e", "a.b.c.d.=", "a.b.c.%.e", "a b.c.d"} {
		if k, err := actor.ParseStateKey(bad); err == nil {
			t.Errorf("ParseStateKey(%q) = %+v, want an error", bad, k)
		}
	}
}
