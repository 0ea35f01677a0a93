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

func TestJournalPassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestJournal(t, func(t *testing.T) actor.Journal {
		t.Helper()
		return open(t).Ports(3).Journal
	})
}

func TestTimersPassTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestTimerStore(t, func(t *testing.T) func(int) actor.TimerStore {
		t.Helper()
		app := open(t)
		return func(p int) actor.TimerStore { return app.Ports(p).Timers }
	})
}

func TestMailboxPassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestMailbox(t, func(t *testing.T) func(int) actor.Ports {
		t.Helper()
		return open(t).Ports
	})
}

func TestEgressPassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestSink(t, func(t *testing.T) func(int) actor.Sink {
		t.Helper()
		app := open(t)
		return func(p int) actor.Sink { return app.Ports(p).Egress }
	}, actortest.Egress)
}

func TestDeadLettersPassTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestSink(t, func(t *testing.T) func(int) actor.Sink {
		t.Helper()
		app := open(t)
		return func(p int) actor.Sink { return app.Ports(p).DeadLetters }
	}, actortest.DeadLetter)
}
