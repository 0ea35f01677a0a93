package actor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// Ids of messages, dead letters and timers begin with an epoch. A journal that
// has lost its end, here all of it, must not give one again.
func TestAnEpochNeverComesTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)))
		functions := catalog{"count": {Function: function(counter)}}
		opened := func(m *actortest.Memory) uint64 {
			start(t, m, functions).end()
			last, err := m.Ports(0).Journal.Last(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, err := actor.Inspect(last.Data)
			if err != nil {
				t.Fatal(err)
			}
			return r.Epoch
		}
		memory := actortest.NewMemory()
		first := opened(memory)
		second := opened(memory) // within the same second
		if second != first+1 {
			t.Errorf("the epoch is %d after %d, want one more", second, first)
		}
		time.Sleep(2 * time.Second)
		if lost := opened(actortest.NewMemory()); lost <= second {
			t.Errorf("the epoch is %d after %d was lost, want more", lost, second)
		}
	})
}
