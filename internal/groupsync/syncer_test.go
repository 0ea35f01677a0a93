package groupsync_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/internal/groupsync"
)

// disk counts the syncs that have begun and ended. Each takes a second.
type disk struct {
	mu           sync.Mutex
	begun, ended int
	fails        error // the next sync does
}

func (d *disk) sync() error {
	d.mu.Lock()
	d.begun++
	err := d.fails
	d.mu.Unlock()
	time.Sleep(time.Second)
	d.mu.Lock()
	d.ended++
	d.mu.Unlock()
	return err
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails = err
}

func (d *disk) counts() (begun, ended int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.begun, d.ended
}

func TestThoseWhoComeDuringASyncShareTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		s := groupsync.New(d.sync, nil)
		start := time.Now()
		var told []int
		ask := func(i int) {
			begun, _ := d.counts()
			s.After(func(err error) {
				if _, ended := d.counts(); err != nil || ended <= begun {
					t.Errorf("%d was told %v after %d syncs, %d had begun before it asked", i, err, ended, begun)
				}
				told = append(told, i)
			})
		}
		ask(0)
		time.Sleep(time.Second / 2)
		for i := range 100 {
			ask(i + 1)
		}
		s.Close()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %v, want two syncs", took)
		}
		if len(told) != 101 || !slices.IsSorted(told) {
			t.Errorf("told in the order %v", told)
		}
		if begun, _ := d.counts(); begun != 2 {
			t.Errorf("%d syncs", begun)
		}
	})
}

func TestOthersAreSyncedWhileSomebodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		s := groupsync.New(d.sync, nil)
		start := time.Now()
		s.After(func(error) { time.Sleep(10 * time.Second) })
		time.Sleep(1500 * time.Millisecond)
		s.After(func(error) {})
		time.Sleep(1200 * time.Millisecond)
		if _, ended := d.counts(); ended != 2 {
			t.Errorf("%d syncs after %v, the second one waits for who is told of the first", ended, time.Since(start))
		}
		s.Close()
	})
}

func TestAfterAFailedSyncThereIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		d := &disk{}
		var failures []error
		s := groupsync.New(d.sync, func(err error) { failures = append(failures, err) })
		if err := s.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		d.fail(broken)
		if err := s.Wait(t.Context()); !errors.Is(err, broken) {
			t.Errorf("error = %v", err)
		}
		d.fail(nil)
		for range 3 {
			if err := s.Wait(t.Context()); !errors.Is(err, broken) {
				t.Errorf("error = %v, though what was written may be lost", err)
			}
		}
		s.Close()
		if begun, _ := d.counts(); begun != 2 || len(failures) != 1 || !errors.Is(failures[0], broken) {
			t.Errorf("%d syncs, failures told: %v", begun, failures)
		}
	})
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := groupsync.New((&disk{}).sync, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if err := s.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v", err)
		}
		s.Close()
	})
}

func TestWhoAsksAClosedSyncerIsRefused(t *testing.T) {
	t.Parallel()
	d := &disk{}
	s := groupsync.New(d.sync, nil)
	s.Close()
	if err := s.Wait(t.Context()); !errors.Is(err, groupsync.ErrClosed) {
		t.Errorf("error = %v", err)
	}
	if begun, _ := d.counts(); begun != 0 {
		t.Error("there was a sync")
	}
}

func TestWithoutASyncerNobodyWaits(t *testing.T) {
	t.Parallel()
	var s *groupsync.Syncer
	told := false
	s.After(func(err error) { told = err == nil })
	if err := s.Wait(t.Context()); err != nil || !told {
		t.Errorf("error = %v, told = %v", err, told)
	}
	s.Close()
}
