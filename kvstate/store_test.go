package kvstate_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/kvstate"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

func open(t *testing.T) (*kvstate.Store, jetstream.JetStream) {
	t.Helper()
	js := brokertest.Start(t)
	s, err := kvstate.Open(t.Context(), js, kvstate.Config{App: "app", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, js
}

func TestStorePassesTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestStateStore(t, func(t *testing.T) actor.StateStore {
		t.Helper()
		s, _ := open(t)
		return s.Partition(0)
	})
}
