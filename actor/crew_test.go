package actor

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestACrewUsesItsGoroutinesAgainAndKeepsFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started, ran := 0, 0
		var alive atomic.Int64
		c := newCrew(func(member func(context.Context)) {
			started++
			alive.Add(1)
			go func() {
				member(t.Context())
				alive.Add(-1)
			}()
		})
		for range 10 {
			c.do(func(context.Context) { ran++ })
			synctest.Wait()
		}
		if ran != 10 || started != 1 {
			t.Errorf("%d jobs, one after the other, ran in %d goroutines, want 10 in one", ran, started)
		}
		gate := make(chan struct{})
		for range 20 {
			c.do(func(context.Context) { <-gate })
			synctest.Wait()
		}
		if started != 20 {
			t.Errorf("%d goroutines for 20 jobs at once, want one each", started)
		}
		close(gate)
		synctest.Wait()
		if n := alive.Load(); n != idleMembers {
			t.Errorf("%d goroutines wait, want %d", n, idleMembers)
		}
		c.end()
		synctest.Wait()
		if n := alive.Load(); n != 0 {
			t.Errorf("%d goroutines outlive the end", n)
		}
	})
}
