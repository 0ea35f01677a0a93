package actortest_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryJournalPassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestJournal(t, func(*testing.T) actor.Journal { return actortest.NewMemory().Ports(2).Journal })
}

func TestMemoryStatePassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestStateStore(t, func(*testing.T) actor.StateStore { return actortest.NewMemory().Ports(0).State })
}

func TestMemoryTimersPassTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestTimerStore(t, func(*testing.T) func(int) actor.TimerStore {
		m := actortest.NewMemory()
		return func(p int) actor.TimerStore { return m.Ports(p).Timers }
	})
}

func TestMemoryMailboxPassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestMailbox(t, func(*testing.T) func(int) actor.Ports { return actortest.NewMemory().Ports })
}

func TestMemorySinksPassTheSuite(t *testing.T) {
	t.Parallel()
	t.Run("egress", func(t *testing.T) {
		t.Parallel()
		actortest.TestSink(t, func(*testing.T) func(int) actor.Sink {
			m := actortest.NewMemory()
			return func(p int) actor.Sink { return m.Ports(p).Egress }
		}, actortest.Egress)
	})
	t.Run("dead letters", func(t *testing.T) {
		t.Parallel()
		actortest.TestSink(t, func(*testing.T) func(int) actor.Sink {
			m := actortest.NewMemory()
			return func(p int) actor.Sink { return m.Ports(p).DeadLetters }
		}, actortest.DeadLetter)
	})
}

func TestMemoryFeedsWhatIsStoredBeforeAndAfterItsStart(t *testing.T) {
	t.Parallel()
	m := actortest.NewMemory()
	first := m.Send(actor.SourceMailbox, 3, true, actor.Input{})
	errEnough := errors.New("enough")
	var got []uint64
	err := m.Feed(t.Context(), actor.SourceMailbox, first, func(_ context.Context, p int, d actor.Delivery) error {
		if p != 3 || !d.Dedup {
			t.Errorf("delivery %+v for partition %d, want one with dedup for 3", d, p)
		}
		got = append(got, d.Seq)
		if len(got) == 3 {
			return errEnough
		}
		go m.Send(actor.SourceMailbox, 3, true, actor.Input{})
		return nil
	})
	if !errors.Is(err, errEnough) || len(got) != 3 || got[0] != first || got[2] != first+2 {
		t.Errorf("Feed = %v after %v", err, got)
	}
}

// pauses is Memory's as the suite wants it.
type pauses struct {
	actor.PauseStore
	m *actortest.Memory
}

func (p pauses) SetPaused(_ *testing.T, k actor.PauseKey, paused bool) actor.PauseNews {
	return p.m.SetPaused(k, paused)
}

func (p pauses) Paused(*testing.T) []actortest.Paused { return p.m.Paused() }

func TestMemoryPausesPassTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestPauseStore(t, func(*testing.T) actortest.PauseStore {
		m := actortest.NewMemory()
		return pauses{m.Ports(0).Pauses, m}
	})
}
