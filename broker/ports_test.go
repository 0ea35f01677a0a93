package broker_test

import (
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func open(t *testing.T) *broker.App {
	t.Helper()
	return brokertest.Open(t, brokertest.Start(t).Conn(), broker.Config{App: "app", Partitions: 16})
}

// openBatching returns an application whose messages go in batches when they
// pile up, as those of a server that syncs for each do.
func openBatching(t *testing.T) *broker.App {
	t.Helper()
	return brokertest.Open(t, brokertest.Start(t).Conn(), broker.Config{App: "app", Partitions: 16, SyncAlways: true})
}

// ways are those in which an application may be opened.
func ways() map[string]func(*testing.T) *broker.App {
	return map[string]func(*testing.T) *broker.App{"singly": open, "in batches": openBatching}
}

func TestJournalPassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestJournal(t, func(t *testing.T) actor.Journal {
		t.Helper()
		return open(t).Ports(3).Journal
	})
}

func TestTimersPassTheSuite(t *testing.T) {
	t.Parallel()
	for name, open := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			actortest.TestTimerStore(t, func(t *testing.T) func(int) actor.TimerStore {
				t.Helper()
				app := open(t)
				return func(p int) actor.TimerStore { return app.Ports(p).Timers }
			})
		})
	}
}

func TestMailboxPassesTheSuite(t *testing.T) {
	t.Parallel()
	for name, open := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			actortest.TestMailbox(t, func(t *testing.T) func(int) actor.Ports {
				t.Helper()
				return open(t).Ports
			})
		})
	}
}

func TestEgressPassesTheSuite(t *testing.T) {
	t.Parallel()
	for name, open := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			actortest.TestSink(t, func(t *testing.T) func(int) actor.Sink {
				t.Helper()
				app := open(t)
				return func(p int) actor.Sink { return app.Ports(p).Egress }
			}, actortest.Egress)
		})
	}
}

func TestDeadLettersPassTheSuite(t *testing.T) {
	t.Parallel()
	for name, open := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			actortest.TestSink(t, func(t *testing.T) func(int) actor.Sink {
				t.Helper()
				app := open(t)
				return func(p int) actor.Sink { return app.Ports(p).DeadLetters }
			}, actortest.DeadLetter)
		})
	}
}
