package runtime

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/jetfn/jetfn/broker"
)

var errNotConnected = errors.New("this worker is not connected to NATS")

// services makes the calls of functions that are NATS services, over the
// worker's connection as long as there is one.
type services struct{ now atomic.Pointer[serviceCalls] }

type serviceCalls struct {
	app       *broker.App
	transport *broker.ServiceTransport
}

// attach lets calls through until the function it returns is called.
func (s *services) attach(b *backbone) (detach func()) {
	calls := &serviceCalls{app: b.app, transport: broker.NewServiceTransport(b.nc)}
	s.now.Store(calls)
	return func() {
		s.now.Store(nil)
		calls.transport.Close()
	}
}

// RoundTrip implements http.RoundTripper.
func (s *services) RoundTrip(r *http.Request) (*http.Response, error) {
	calls := s.now.Load()
	if calls == nil {
		return nil, errNotConnected
	}
	if !calls.app.Callable(r.URL.Host) { // calls are published with the worker's own rights
		return nil, fmt.Errorf("%s is a subject of the application itself, not of a function", r.URL.Host)
	}
	return calls.transport.RoundTrip(r) //nolint:wrapcheck // the gateway tells its errors apart
}
