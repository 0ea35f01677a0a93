//go:build e2e

package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// letsStateExpire calls an address for six seconds. What expires four seconds
// after a write is gone then; what expires after a call is not, until nobody
// calls.
func letsStateExpire(t *testing.T, s *suite) {
	t.Helper()
	for try := 1; ; try++ {
		id := fmt.Sprintf("expiring-%d", try)
		if s.calledThroughout(t, id, 6*time.Second) {
			s.send(t, "expiring", id, "get")
			s.want(t, id, "written=- called=1")
			time.Sleep(4500 * time.Millisecond)
			s.send(t, "expiring", id, "get")
			s.want(t, id, "written=- called=-")
			return
		}
		if try == 5 {
			t.Fatal("the machine is too busy to call a function every two seconds")
		}
	}
}

// calledThroughout calls it again and again, and says whether it did so
// without a gap that would let the state expire.
func (s *suite) calledThroughout(t *testing.T, id string, d time.Duration) bool {
	t.Helper()
	s.send(t, "expiring", id, "add")
	s.want(t, id, "added")
	last := time.Now()
	for end := last.Add(d); last.Before(end); {
		time.Sleep(500 * time.Millisecond)
		s.send(t, "expiring", id, "touch")
		if time.Since(last) > 3*time.Second {
			return false
		}
		last = time.Now()
	}
	return true
}

// countsExpiringState floods an address whose states expire.
func countsExpiringState(t *testing.T, s *suite) {
	t.Helper()
	const messages = 50
	s.flood(t, "expiring", []string{"adds"}, messages, func(int) string { return "add" })
	s.out.take(t, "suite.out.adds", messages)
	s.send(t, "expiring", "adds", "get")
	s.want(t, "adds", fmt.Sprintf("written=%d called=%d", messages, messages))
}
