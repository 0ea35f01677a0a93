package actor

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
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

const (
	// keptLines is how many functions of an endpoint are remembered that have
	// nothing to do.
	keptLines = 64
	// maxEndpoints is how many endpoints are remembered that need not be.
	maxEndpoints = 4096
	// tellAfter is how many failures of a circuit breaker's probes in a row are
	// worth a line in the log; one of them comes and goes.
	tellAfter = 5
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
	tell      func(EndpointState)
}

type endpointCalls struct {
	name     string
	inFlight int
	limit    int // zero: none
	climb    climber
	waiting  int          // calls, of all functions
	lines    []*callsLine // functions take turns
	busy     int          // of the lines: those that wait or have calls in flight
	turn     int

	failures int       // in a row, all unreachable
	closedAt time.Time // before it no call is granted
	timer    *time.Timer
	since    time.Time // when the circuit breaker opened, or closed again
	err      error     // why it opened last
	errAt    time.Time
}

// callsLine is the calls of one function at an endpoint.
type callsLine struct {
	function TypeName
	waiting  []func() // from head on
	head     int
	inFlight int
}

func (l *callsLine) idle() bool { return l.head == len(l.waiting) && l.inFlight == 0 }

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

// Place is what a call takes while it is made.
type Place struct {
	Function TypeName
	Endpoint string
	// Limit caps the calls to Endpoint, unless it is zero. The newest one
	// counts.
	Limit int
}

// Acquire calls grant once there is a place for a call. Endpoints take turns,
// and so do the functions of one. Each grant is answered by one Release.
func (c *Calls) Acquire(p Place, grant func()) {
	c.mu.Lock()
	e := c.endpoints[p.Endpoint]
	if e == nil {
		c.trim()
		cores := runtime.GOMAXPROCS(0)
		e = &endpointCalls{name: p.Endpoint, climb: newClimber(callsLow*cores, callsStart*cores, c.limit)}
		c.endpoints[p.Endpoint] = e
		c.order = append(c.order, e)
	}
	e.limit = p.Limit
	l := e.line(p.Function)
	if l == nil {
		l = &callsLine{function: p.Function}
		e.lines = append(e.lines, l)
	}
	if l.idle() {
		e.busy++
	}
	l.waiting = append(l.waiting, grant)
	e.waiting++
	grants := c.grants()
	c.mu.Unlock()
	for _, g := range grants {
		g()
	}
}

// trim forgets endpoints that nothing is known of, when there are very many:
// outsiders can make them up by the names of functions.
func (c *Calls) trim() {
	if len(c.order) < maxEndpoints {
		return
	}
	c.order = slices.DeleteFunc(c.order, func(e *endpointCalls) bool {
		idle := e.waiting == 0 && e.inFlight == 0 && e.failures == 0
		if idle {
			delete(c.endpoints, e.name)
		}
		return idle
	})
	c.turn = 0
}

// line returns the line of a function; nil if it has none.
func (e *endpointCalls) line(function TypeName) *callsLine {
	for _, l := range e.lines {
		if l.function == function {
			return l
		}
	}
	return nil
}

// next takes the next call, of the function whose turn it is; nil if none may
// go. A function whose calls hang leaves places for others that are there.
func (e *endpointCalls) next() func() {
	for range e.lines {
		e.turn = (e.turn + 1) % len(e.lines)
		l := e.lines[e.turn]
		if l.head == len(l.waiting) || e.busy > 1 && l.inFlight >= share*(e.most()-e.inFlight) {
			continue
		}
		grant := l.waiting[l.head]
		l.waiting[l.head] = nil
		if l.head++; 2*l.head >= len(l.waiting) {
			n := copy(l.waiting, l.waiting[l.head:])
			clear(l.waiting[n:])
			l.waiting, l.head = l.waiting[:n], 0
		}
		l.inFlight++
		e.inFlight++
		e.waiting--
		return grant
	}
	return nil
}

// most is how many calls e may have at once.
func (e *endpointCalls) most() int {
	if e.limit > 0 {
		return min(e.limit, e.climb.limit)
	}
	return e.climb.limit
}

// ended takes a call of a function off.
func (e *endpointCalls) ended(function TypeName) {
	e.inFlight--
	l := e.line(function)
	if l == nil {
		return
	}
	if l.inFlight--; !l.idle() {
		return
	}
	if e.busy--; len(e.lines) > keptLines {
		i := slices.Index(e.lines, l)
		e.lines = slices.Delete(e.lines, i, i+1)
		if i <= e.turn {
			e.turn-- // the others keep their turns
		}
	}
}

// CallResult is how a call went.
type CallResult struct {
	Messages int
	Took     time.Duration
	Err      error
}

// Release gives the place of a call back.
func (c *Calls) Release(p Place, r CallResult) {
	var news EndpointState
	c.mu.Lock()
	c.inFlight--
	if e := c.endpoints[p.Endpoint]; e != nil {
		e.ended(p.Function)
		var failure *InvokeError
		switch {
		case errors.Is(r.Err, ErrAbandoned):
		case errors.As(r.Err, &failure) && failure.Kind == Unreachable:
			if c.trip(e, failure); e.failures == tellAfter {
				news = e.state()
			}
		default:
			if e.failures > 0 {
				known := e.failures >= tellAfter
				e.failures, e.since = 0, time.Now()
				if known {
					news = e.state()
				}
			}
			e.climb.done(time.Now(), r, e.waiting > 0)
		}
	}
	grants := c.grants()
	tell := c.tell
	c.mu.Unlock()
	if tell != nil && news.Endpoint != "" {
		tell(news)
	}
	for _, g := range grants {
		g()
	}
}

// trip keeps calls away from an endpoint for a while.
func (c *Calls) trip(e *endpointCalls, err error) {
	now := time.Now()
	e.err, e.errAt = err, now
	if now.Before(e.closedAt) {
		return // calls that were under way fail together: they count once
	}
	if e.failures == 0 {
		e.since = now
	}
	pause := min(breakerMin<<min(e.failures, 16), breakerMax)
	e.failures++
	pause = pause/2 + rand.N(pause/2)
	e.closedAt = now.Add(pause)
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
		grant := e.next()
		if grant == nil {
			idle++
			continue
		}
		idle = 0
		out = append(out, grant)
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
	case e.waiting == 0, e.inFlight >= e.most():
		return false
	case len(c.order) > 1 && e.inFlight >= share*(c.limit-c.inFlight):
		return false
	case e.failures == 0:
		return true
	}
	return e.inFlight == 0 && !time.Now().Before(e.closedAt)
}
