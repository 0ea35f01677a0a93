package actor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// sleepers answers addresses after the times that they are given.
func sleepers(times map[string]time.Duration) catalog {
	return catalog{"sleeper": {Function: function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
		select {
		case <-time.After(times[b.Target.ID]):
			return emit(b.Target.ID), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})}}
}

func TestCallsThatBeginAndEndTogetherShareACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), sleepers(map[string]time.Duration{
			"a": 5 * time.Millisecond, "b": 6 * time.Millisecond,
		}))
		defer a.end()
		for _, id := range []string{"a", "b"} {
			a.send(to("sleeper", id), "x")
		}
		time.Sleep(6 * time.Millisecond)
		synctest.Wait()
		a.want("emitted when both have ended", a.emitted(), []string{"a", "b"})
		a.want("commits", a.proc.Stats().Commits, uint64(1))
	})
}

func TestACommitWaitsTwoMillisecondsForACallAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), sleepers(map[string]time.Duration{"a": 5 * time.Millisecond, "slow": 30 * time.Second}))
		defer a.end()
		a.send(to("sleeper", "slow"), "x")
		a.send(to("sleeper", "a"), "x")
		time.Sleep(7 * time.Millisecond)
		synctest.Wait()
		a.want("emitted after 7 ms", a.emitted(), []string{"a"})
	})
}

func TestACommitDoesNotWaitForACallThatBeganLongBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), sleepers(map[string]time.Duration{"a": 5 * time.Millisecond, "slow": 30 * time.Second}))
		defer a.end()
		a.send(to("sleeper", "slow"), "x")
		time.Sleep(20 * time.Millisecond)
		a.send(to("sleeper", "a"), "x")
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		a.want("emitted when the call has ended", a.emitted(), []string{"a"})
	})
}

func TestADrainingPartitionCommitsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := start(t, actortest.NewMemory(), sleepers(map[string]time.Duration{"a": 5 * time.Millisecond, "slow": time.Second}))
		defer a.end()
		a.send(to("sleeper", "slow"), "x")
		a.send(to("sleeper", "a"), "x")
		synctest.Wait()
		go func() { _ = a.proc.Drain(t.Context()) }()
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		a.want("emitted when the call has ended", a.emitted(), []string{"a"})
		time.Sleep(2 * time.Second) // so that the draining ends before the test
	})
}
