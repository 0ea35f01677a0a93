package groupsync_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/internal/groupsync"
)

func TestASyncIsMadeEachIntervalAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start, done := time.Now(), make(chan struct{})
		time.AfterFunc(3500*time.Millisecond, func() { close(done) })
		err := groupsync.Every(time.Second, func() error {
			at = append(at, time.Since(start))
			return nil
		}, done)
		if err != nil || len(at) != 4 || at[0] != time.Second || at[2] != 3*time.Second || at[3] != 3500*time.Millisecond {
			t.Errorf("synced at %v, %v; want after 1, 2, 3 and 3.5 seconds", at, err)
		}
	})
}

func TestTheFirstSyncThatFailsIsTheLastAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, syncs := errors.New("broken"), 0
		err := groupsync.Every(time.Second, func() error {
			if syncs++; syncs == 2 {
				return broken
			}
			return nil
		}, nil)
		if !errors.Is(err, broken) || syncs != 2 {
			t.Errorf("%d syncs, %v; want two, and the error of the second one", syncs, err)
		}
	})
}
