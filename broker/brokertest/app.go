package brokertest

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/broker"
)

// StartServer runs an embedded server as jetfn does, for an application, but
// on a free port. It ends with the test.
func StartServer(tb testing.TB, app string) *broker.Server {
	tb.Helper()
	srv, err := broker.StartServer(broker.ServerConfig{StoreDir: tb.TempDir(), Port: -1, App: app})
	if err != nil {
		tb.Fatalf("brokertest: %v", err)
	}
	tb.Cleanup(srv.Shutdown)
	return srv
}

// Connect returns a connection inside the process that may do everything. It
// ends with the test.
func Connect(tb testing.TB, srv *broker.Server) *nats.Conn {
	tb.Helper()
	nc, err := srv.Connect("test")
	if err != nil {
		tb.Fatalf("brokertest: %v", err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// Open opens an application over nc. It ends with the test.
func Open(tb testing.TB, nc *nats.Conn, cfg broker.Config) *broker.App {
	tb.Helper()
	a, err := broker.Open(tb.Context(), nc, cfg)
	if err != nil {
		tb.Fatalf("brokertest: %v", err)
	}
	tb.Cleanup(a.Close)
	return a
}
