package kvstate_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/kvstate"
)

// expiring is a record whose values expire at these times; zero is never.
func expiring(commit uint64, at ...time.Time) actor.StateRecord {
	r := actor.StateRecord{Epoch: 1, Commit: commit}
	for i, t := range at {
		v := actor.StateValue{Name: string(rune('a' + i)), Value: actor.Value{Type: "a/b"}, WrittenAt: 1}
		if !t.IsZero() {
			v.ExpiresAt = t.UnixMilli()
		}
		r.State = append(r.State, v)
	}
	return r
}

// sweeping runs Sweep until the test ends, and returns what it asks about.
func sweeping(t *testing.T, s *kvstate.Store, answer func(k actor.StateKey) actor.Swept) <-chan string {
	t.Helper()
	asked := make(chan string, 1000)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Sweep(ctx, func(_ context.Context, k actor.StateKey) (actor.Swept, error) {
			swept := answer(k)
			asked <- k.String()
			return swept, nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Sweep = %v, want nil at its context's end", err)
		}
	})
	return asked
}

func TestASweepAsksOnceForEachRecordThatHoldsSomethingExpired(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	p := s.Partition(0)
	past, later := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	write(t, p, "never", expiring(1, time.Time{}), 0)
	write(t, p, "later", expiring(2, later, later), 0)
	first := write(t, p, "renewed", expiring(3, past), 0)
	latest := write(t, p, "renewed", expiring(4, later), first)
	write(t, p, "gone", expiring(6), write(t, p, "gone", expiring(5, past), 0))
	write(t, p, "partly", expiring(7, time.Time{}, later, past), 0)
	entry := actor.StateKey{Address: address("table"), Entry: "t.1/k/2"}
	if r := actortest.Await(t, func(done func(actor.WriteResult)) { p.Write(entry, expiring(8, past), 0, done) }); r.Outcome != actor.Stored {
		t.Fatalf("Write = %+v", r)
	}
	asked := sweeping(t, s, func(k actor.StateKey) actor.Swept {
		if k == record("renewed") {
			return actor.Swept{Next: later.UnixMilli(), Revision: latest}
		}
		return actor.Swept{Removed: 1}
	})
	got := map[string]int{}
	for range 3 {
		got[<-asked]++
	}
	want := map[string]int{"ns/fn/partly": 1, entry.String(): 1, "ns/fn/renewed": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	// Something new is due at once: the next pass asks for that, and not
	// again for what an older revision says.
	write(t, p, "soon", expiring(9, time.Now().Add(10*time.Millisecond)), 0)
	for id := range asked {
		if id == "ns/fn/renewed" {
			t.Errorf("a revision that is past is asked for again")
		}
		if id == "ns/fn/soon" {
			break
		}
	}
}

func TestASweepComesBackToARecordWhoseAddressIsBusy(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	write(t, s.Partition(0), "x", expiring(1, time.Now()), 0)
	busy := true
	asked := sweeping(t, s, func(actor.StateKey) actor.Swept {
		defer func() { busy = false }()
		return actor.Swept{Busy: busy, Removed: 1}
	})
	for range 2 {
		if got := <-asked; got != "ns/fn/x" {
			t.Errorf("asked for %s", got)
		}
	}
}

func TestTheMarkOfARemovalGoesByItself(t *testing.T) {
	t.Parallel()
	s, js := openWith(t, kvstate.Config{MarkerTTL: 3 * time.Second})
	p := s.Partition(0)
	revision := write(t, p, "x", count(1), 0)
	write(t, p, "x", actor.StateRecord{Epoch: 1, Commit: 2}, revision)
	stream, err := js.Stream(t.Context(), "KV_app_state")
	if err != nil {
		t.Fatal(err)
	}
	messages := func() uint64 {
		info, err := stream.Info(t.Context(), jetstream.WithDeletedDetails(false))
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs
	}
	if n := messages(); n != 1 {
		t.Errorf("after the removal the bucket has %d messages, want the mark", n)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(time.Minute); messages() > 0; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the mark is still there")
		}
	}
	write(t, p, "x", count(3), 0)
}
