package brokertest

import (
	"context"
	"sync"
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

// Gather lets outside messages into app until the test ends, or end is called.
func Gather(tb testing.TB, app *broker.App) (end func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	opened, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- app.Gather(ctx, func() { close(opened) }) }()
	select {
	case <-opened:
	case err := <-ended:
		cancel()
		tb.Fatalf("brokertest: %v", err)
	}
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("brokertest: %v", err)
		}
	})
	tb.Cleanup(end)
	return end
}
