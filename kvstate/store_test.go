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
	return openWith(t, kvstate.Config{})
}

func openWith(t *testing.T, cfg kvstate.Config) (*kvstate.Store, jetstream.JetStream) {
	t.Helper()
	js := brokertest.Start(t)
	cfg.App, cfg.Partitions = "app", 1
	s, err := kvstate.Open(t.Context(), js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, js
}

func TestStorePassesTheSuite(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]kvstate.Config{"singly": {}, "in batches": {SyncAlways: true}, "read directly": {Alone: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			actortest.TestStateStore(t, func(t *testing.T) actor.StateStore {
				t.Helper()
				s, _ := openWith(t, cfg)
				return s.Partition(0)
			})
		})
	}
}
