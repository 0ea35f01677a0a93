package actor

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// The circuit breaker's pauses between probes of an endpoint that can't be
// reached.
const (
	breakerMin = 10 * time.Millisecond
	breakerMax = 2 * time.Second
)

// The least calls at once to an endpoint, and what it begins with, for each
// core; how many it ends at depends on what does it good.
const (
	callsLow   = 8
	callsStart = 32
)

// Calls bounds the calls in flight of a worker, and per endpoint, and keeps
// an endpoint's circuit breaker: while it can't be reached, one call at a time
// probes it. All processors of a worker share one Calls.
type Calls struct {
	mu        sync.Mutex
	limit     int
	inFlight  int
	endpoints map[string]*endpointCalls
	order     []*endpointCalls // by first use: waiting endpoints take turns
	turn      int
}

type endpointCalls struct {
	inFlight int
	limit    int // zero: none
	climb    climber
	waiting  []func()
	failures int       // in a row, all unreachable
	closedAt time.Time // before it no call is granted
	timer    *time.Timer
}

// ErrAbandoned gives a place back without saying anything of the endpoint.
var ErrAbandoned = errors.New("call abandoned")

// CallsLimit is how many calls at once limit means; zero stands for 1,024.
func CallsLimit(limit int) int {
	if limit <= 0 {
		return 1024
	}
	return limit
}

// NewCalls allows limit calls at once; zero means 1,024.
func NewCalls(limit int) *Calls {
	return &Calls{limit: CallsLimit(limit), endpoints: map[string]*endpointCalls{}}
}

// Acquire calls grant, in turn, once there is a place for a call to endpoint.
// Each grant is answered by one
// Release. A limit that isn't zero caps the calls to endpoint; the newest one
// counts.
func (c *Calls) Acquire(endpoint string, limit int, grant func()) {
	c.mu.Lock()
	e := c.endpoints[endpoint]
	if e == nil {
		cores := runtime.GOMAXPROCS(0)
		e = &endpointCalls{climb: newClimber(callsLow*cores, callsStart*cores, c.limit)}
		c.endpoints[endpoint] = e
		c.order = append(c.order, e)
	}
	e.limit = limit
	e.waiting = append(e.waiting, grant)
	grants := c.grants()
	c.mu.Unlock()
	for _, g := range grants {
		g()
	}
}

// CallResult is how a call went.
type CallResult struct {
	Messages int
	Took     time.Duration
	Err      error
}

// Release gives a place back.
func (c *Calls) Release(endpoint string, r CallResult) {
	c.mu.Lock()
	c.inFlight--
	if e := c.endpoints[endpoint]; e != nil {
		e.inFlight--
		var failure *InvokeError
		switch {
		case errors.Is(r.Err, ErrAbandoned):
		case errors.As(r.Err, &failure) && failure.Kind == Unreachable:
			c.trip(e)
		default:
			e.failures = 0
			e.climb.done(time.Now(), r, len(e.waiting) > 0)
		}
	}
	grants := c.grants()
	c.mu.Unlock()
	for _, g := range grants {
		g()
	}
}

// trip keeps calls away from an endpoint for a while.
func (c *Calls) trip(e *endpointCalls) {
	if time.Now().Before(e.closedAt) {
		return // calls that were under way fail together: they count once
	}
	pause := min(breakerMin<<min(e.failures, 16), breakerMax)
	e.failures++
	pause = pause/2 + rand.N(pause/2)
	e.closedAt = time.Now().Add(pause)
	if e.timer != nil {
		e.timer.Stop()
	}
	e.timer = time.AfterFunc(pause, c.retry)
}

func (c *Calls) retry() {
	c.mu.Lock()
	grants := c.grants()
	c.mu.Unlock()
	for _, g := range grants {
		g()
	}
}

// grants takes what may go now off the queues, endpoints taking turns.
func (c *Calls) grants() []func() {
	var out []func()
	for idle := 0; c.inFlight < c.limit && idle < len(c.order); {
		c.turn = (c.turn + 1) % len(c.order)
		e := c.order[c.turn]
		if !c.free(e) {
			idle++
			continue
		}
		idle = 0
		out = append(out, e.waiting[0])
		e.waiting = e.waiting[1:]
		e.inFlight++
		c.inFlight++
	}
	return out
}

// share is how many calls an endpoint may have in flight for each place that
// is free: an endpoint whose calls hang takes at most share/(share+1) of the
// places, several of them leave some free as well.
const share = 4

// free reports whether e may have a place now.
func (c *Calls) free(e *endpointCalls) bool {
	switch {
	case len(e.waiting) == 0, e.limit > 0 && e.inFlight >= e.limit, e.inFlight >= e.climb.limit:
		return false
	case len(c.order) > 1 && e.inFlight >= share*(c.limit-c.inFlight):
		return false
	case e.failures == 0:
		return true
	}
	return e.inFlight == 0 && !time.Now().Before(e.closedAt)
}
