package broker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestStandbyTakesOverWhenTheHolderStopsRenewing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
		first, second := app.Lease(), app.Lease()
		if err := first.Acquire(t.Context(), "first", false, nil); err != nil {
			t.Fatal(err)
		}
		holding, freeze := context.WithCancel(t.Context())
		held := make(chan error, 1)
		go func() { held <- first.Hold(holding) }()

		acquired := make(chan time.Time, 1)
		var waitedFor []string
		go func() {
			if err := second.Acquire(t.Context(), "second", false, func(h string) { waitedFor = append(waitedFor, h) }); err != nil {
				t.Errorf("Acquire of the second = %v", err)
			}
			acquired <- time.Now()
		}()
		time.Sleep(10 * time.Minute)
		select {
		case <-acquired:
			t.Fatal("the standby took the lease from a holder that renews")
		default:
		}
		freeze()
		if err := <-held; err != nil {
			t.Errorf("Hold after its context ended = %v, want nil", err)
		}
		frozen := time.Now()
		if took := (<-acquired).Sub(frozen); took < 3*time.Second || took > 6*time.Second {
			t.Errorf("takeover after %v, want about the lease's 5s less a renewal", took)
		}
		if len(waitedFor) != 1 || waitedFor[0] != "first" {
			t.Errorf("waited for %q, want the first once", waitedFor)
		}
		if err := first.Hold(t.Context()); !errors.Is(err, broker.ErrLeaseLost) {
			t.Errorf("Hold of the woken holder = %v, want ErrLeaseLost", err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Errorf("Release of a lost lease = %v, want nil", err)
		}
		keeping, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := second.Hold(keeping); err != nil {
			t.Errorf("Hold of the second = %v, want nil", err)
		}
	})
}

func TestReleasedLeaseIsTakenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := open(t)
		for _, holder := range []string{"a", "b", "c"} {
			start := time.Now()
			l := app.Lease()
			if err := l.Acquire(t.Context(), holder, false, func(h string) { t.Errorf("%s waits for %s", holder, h) }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("Acquire of %s took %v", holder, took)
			}
			if err := l.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestOwnLeaseIsTakenAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t).Lease()
		for range 2 {
			start := time.Now()
			if err := l.Acquire(t.Context(), "me", false, func(h string) { t.Errorf("waits for %s", h) }); err != nil || time.Since(start) > time.Second {
				t.Errorf("Acquire = %v after %v", err, time.Since(start))
			}
		}
	})
}

func TestForcedLeaseDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := open(t)
		first, second := app.Lease(), app.Lease()
		if err := first.Acquire(t.Context(), "first", false, nil); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := second.Acquire(t.Context(), "second", true, nil); err != nil || time.Since(start) > time.Second {
			t.Errorf("forced Acquire = %v after %v", err, time.Since(start))
		}
		if err := first.Hold(t.Context()); !errors.Is(err, broker.ErrLeaseLost) {
			t.Errorf("Hold of the first = %v, want ErrLeaseLost", err)
		}
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := open(t)
		if err := app.Lease().Acquire(t.Context(), "first", false, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := app.Lease().Acquire(ctx, "second", false, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire = %v, want the context's error", err)
		}
	})
}
