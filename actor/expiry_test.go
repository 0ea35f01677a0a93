package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// lease is a function whose state x lives for an hour. "set" writes it,
// "renew" renews it, "slow" renews it after half an hour of work, "fail"
// fails; anything else says whether x is there.
func lease(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	e := &actor.Effects{}
	for _, m := range b.Envelopes {
		switch word := string(m.Value.Data); word {
		case "set":
			e.Mutations = append(e.Mutations, actor.Mutation{Name: "x", Value: text("1"), ExpireAfter: time.Hour})
		case "slow":
			select {
			case <-time.After(30 * time.Minute):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			fallthrough
		case "renew":
			e.Mutations = append(e.Mutations, actor.Mutation{Name: "x", Renew: true, ExpireAfter: time.Hour})
		case "fail":
			return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonStatus, Err: errors.New("no")}
		default:
			_, there := b.State.Get("x")
			e.Egress = append(e.Egress, emit(fmt.Sprintf("%s: %v", word, there)).Egress...)
		}
	}
	return e, nil
}

func leases() catalog {
	return catalog{"lease": {Function: function(lease), MaxBatch: 1, Policy: actor.Policy{Budget: 2 * time.Hour}}}
}

// stored is the value x of lease/a as it is stored, and whether it is.
func (a *app) stored() (actor.StateValue, bool) {
	a.t.Helper()
	l, err := a.memory.Ports(0).State.Load(a.t.Context(), actor.StateKey{Address: to("lease", "a")})
	if err != nil {
		a.t.Fatal(err)
	}
	if l.Record == nil {
		return actor.StateValue{}, false
	}
	return l.Record.State.Get("x")
}

func TestAValueExpiresToTheMillisecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), leases())
		a.send(to("lease", "a"), "set")
		synctest.Wait()
		time.Sleep(time.Hour - time.Millisecond)
		a.send(to("lease", "a"), "a millisecond before")
		synctest.Wait()
		view, err := a.proc.Query(t.Context(), to("lease", "a"))
		if err != nil || len(view.State) != 1 {
			t.Errorf("Query a millisecond before = %+v, %v, want x", view.State, err)
		}
		time.Sleep(time.Millisecond)
		view, err = a.proc.Query(t.Context(), to("lease", "a"))
		if err != nil || len(view.State) != 0 {
			t.Errorf("Query at the deadline = %+v, %v, want nothing", view.State, err)
		}
		a.send(to("lease", "a"), "at the deadline")
		time.Sleep(time.Second)
		a.want("egress", a.emitted(), []string{"a millisecond before: true", "at the deadline: false"})
		if v, there := a.stored(); there {
			t.Errorf("the stored state still holds %+v", v)
		}
		a.end()
	})
}

func TestARenewalCountsFromTheEndOfItsInvocation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), leases())
		a.send(to("lease", "a"), "renew") // nothing: it brings nothing about
		time.Sleep(time.Second)
		a.want("state", a.proc.Stats().StateConflicts, uint64(0))
		if v, there := a.stored(); there {
			t.Errorf("a renewal of nothing stored %+v", v)
		}
		a.send(to("lease", "a"), "set")
		time.Sleep(45 * time.Minute)
		a.send(to("lease", "a"), "slow") // it expires meanwhile, but the function saw it
		time.Sleep(30*time.Minute + time.Second)
		before, _ := a.stored()
		time.Sleep(time.Hour - time.Second - time.Millisecond)
		a.send(to("lease", "a"), "before")
		time.Sleep(time.Millisecond)
		a.send(to("lease", "a"), "after")
		time.Sleep(time.Second)
		a.want("egress", a.emitted(), []string{"before: true", "after: false"})
		if lived := time.Duration(before.ExpiresAt-before.WrittenAt) * time.Millisecond; lived != 135*time.Minute || string(before.Value.Data) != "1" {
			t.Errorf("the renewed value %+v lives for %s, want 2h15m and the old content", before, lived)
		}
		a.end()
	})
}

func TestDeadlinesOutliveACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a := start(t, m, leases())
		a.send(to("lease", "a"), "set")
		time.Sleep(30 * time.Minute)
		a.send(to("lease", "a"), "renew")
		synctest.Wait()
		a.end() // the renewal is in the journal, and not in the stored record
		b := start(t, m, leases())
		time.Sleep(time.Hour - time.Millisecond)
		b.send(to("lease", "a"), "before")
		time.Sleep(time.Millisecond)
		b.send(to("lease", "a"), "after")
		time.Sleep(time.Second)
		b.want("egress", b.emitted(), []string{"before: true", "after: false"})
		b.end()
	})
}

func TestAFailedInvocationRenewsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), leases())
		a.send(to("lease", "a"), "set")
		synctest.Wait()
		time.Sleep(30 * time.Minute)
		a.send(to("lease", "a"), "fail")
		time.Sleep(30 * time.Minute)
		a.send(to("lease", "a"), "after")
		time.Sleep(time.Second)
		a.want("egress", a.emitted(), []string{"after: false"})
		a.want("dead letters", len(a.memory.DeadLetters()), 1)
		a.end()
	})
}
