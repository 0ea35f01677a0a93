package actor

import (
	"slices"
	"strings"
	"time"
)

// Circuit is the state of an endpoint's circuit breaker.
type Circuit uint8

const (
	// CircuitClosed lets calls go.
	CircuitClosed Circuit = iota
	// CircuitHalfOpen lets one call go, to see whether the endpoint can be
	// reached again.
	CircuitHalfOpen
	// CircuitOpen keeps calls away for a while.
	CircuitOpen
)

func (c Circuit) String() string { return [...]string{"closed", "half-open", "open"}[c] }

// EndpointState is how the calls to an endpoint are doing.
type EndpointState struct {
	Endpoint string
	Circuit  Circuit
	Since    time.Time // when it opened, or closed again; zero: it never was open
	Err      error     // why it opened last; nil: it never did
	ErrAt    time.Time
	InFlight int
	Waiting  int // addresses that wait for a place
	Limit    int // calls at once that are allowed now
}

func (e *endpointCalls) state() EndpointState {
	s := EndpointState{
		Endpoint: e.name, Since: e.since, Err: e.err, ErrAt: e.errAt, InFlight: e.inFlight, Waiting: e.waiting, Limit: e.most(),
	}
	switch {
	case e.failures == 0:
	case time.Now().Before(e.closedAt):
		s.Circuit, s.Limit = CircuitOpen, 0
	default:
		s.Circuit, s.Limit = CircuitHalfOpen, 1
	}
	return s
}

// Endpoints are the endpoints that were called, by name.
func (c *Calls) Endpoints() []EndpointState {
	c.mu.Lock()
	out := make([]EndpointState, len(c.order))
	for i, e := range c.order {
		out[i] = e.state()
	}
	c.mu.Unlock()
	slices.SortFunc(out, func(a, b EndpointState) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return out
}

// Endpoint is the state of one; false if it was never called.
func (c *Calls) Endpoint(name string) (EndpointState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.endpoints[name]
	if e == nil {
		return EndpointState{}, false
	}
	return e.state(), true
}

// Tell has f called when an endpoint has not been reached for several probes
// in a row, and when it is reached again after that. It is for the time before
// the first call.
func (c *Calls) Tell(f func(EndpointState)) { c.tell = f }
