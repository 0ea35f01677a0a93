package gather

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/mutant"
)

// ErrBehindUnknown is why a write of a lane is not made: an earlier one may be
// lost, and nothing may be stored behind it.
var ErrBehindUnknown = errors.New("behind a batch whose outcome is unknown")

// Stream takes writes. Writes and batches are stored in the order of the
// calls, unless one fails. It calls done exactly once, possibly before it
// returns.
type Stream[T any] interface {
	Single(w T, done func(actor.WriteResult))
	// Batch makes at least two writes: all or none, or one after the other up
	// to the first that can't be made.
	Batch(ws []T, done func(BatchResult))
	// Now is the time on some clock.
	Now() time.Duration
	// After calls f once d has passed.
	After(d time.Duration, f func())
}

// BatchResult is what became of a batch.
type BatchResult struct {
	// Stored is how many of the first writes are stored, the last of them at
	// Seq, and the others before it.
	Stored int
	Seq    uint64
	// Rest is the outcome of the others, if there are any. If it is Refused,
	// none of them is stored and none ever will be; else it is Unknown.
	Rest actor.Outcome
	Err  error
}

// Limits of a Gatherer.
type Limits struct {
	Singles int // single writes whose outcome has not come
	Least   int // so many that wait become a batch
	Most    int // in one batch
	Bytes   int // in one batch, unless one write alone is larger
	// Rest is how long no batch begins after one, in parts of the time that
	// that one took, and RestMost the most of it. A batch has a price of its
	// own; with more in each, fewer are needed. A full one doesn't wait.
	Rest     int
	RestMost time.Duration
}

// Lane is for writes that have an order. Once a batch with one of them has an
// unknown outcome, none that follows is made until they come with a higher
// generation. The zero Lane has no order.
type Lane struct {
	Key        int
	Generation uint64 // not zero
}

// Gatherer makes writes to one stream. It is safe for many goroutines; what
// one of them writes keeps its order, unless a write fails.
type Gatherer[T any] struct {
	stream Stream[T]
	limits Limits

	mu      sync.Mutex
	queue   []item[T]
	singles int  // on their way
	batch   bool // one is on its way
	resting bool // after a batch
	rests   int  // begun
	began   time.Duration
	broken  map[int]uint64 // the generation up to which a lane is broken
	pumping bool           // some goroutine is making the writes
}

type item[T any] struct {
	write T
	size  int
	lane  Lane
	alone bool // it was in a batch that was refused
	done  func(actor.WriteResult)
}

// New returns a Gatherer that writes to s.
func New[T any](s Stream[T], l Limits) *Gatherer[T] {
	return &Gatherer[T]{stream: s, limits: l, broken: map[int]uint64{}}
}

// Write makes a write of about size bytes, now or later, and calls done once
// with its outcome, possibly before it returns.
func (g *Gatherer[T]) Write(w T, size int, lane Lane, done func(actor.WriteResult)) {
	g.mu.Lock()
	g.queue = append(g.queue, item[T]{write: w, size: size, lane: lane, done: done})
	g.mu.Unlock()
	g.pump()
}

// pump makes writes until there are none to make now. Only one goroutine does
// so at a time: their order is that of the queue.
func (g *Gatherer[T]) pump() {
	g.mu.Lock()
	if g.pumping {
		g.mu.Unlock()
		return
	}
	g.pumping = true
	for {
		next := g.next()
		if next == nil {
			g.pumping = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		next()
		g.mu.Lock()
	}
}

// next takes from the queue what is to be done now; nil if that is nothing.
func (g *Gatherer[T]) next() func() {
	// What was stored behind a batch that is then refused would have overtaken it.
	if g.batch && !mutant.On("gather-behind-batch") || len(g.queue) == 0 {
		return nil
	}
	head := &g.queue[0]
	switch {
	case g.isBroken(head):
		done := head.done
		g.shift(1)
		return func() { done(actor.WriteResult{Outcome: actor.Unknown, Err: ErrBehindUnknown}) }
	case head.alone || len(g.queue) < g.limits.Least:
		if g.singles >= g.limits.Singles {
			return nil
		}
		write, done := head.write, head.done
		g.shift(1)
		g.singles++
		return func() { g.stream.Single(write, func(r actor.WriteResult) { g.wrote(done, r) }) }
	case g.resting && len(g.queue) < g.limits.Most: // a full batch gains nothing by waiting
		return nil
	}
	taken := g.take()
	g.batch, g.began = true, g.stream.Now()
	writes := make([]T, len(taken))
	for i := range taken {
		writes[i] = taken[i].write
	}
	return func() { g.stream.Batch(writes, func(r BatchResult) { g.wroteBatch(taken, r) }) }
}

// take takes a batch from the queue, whose head is in it.
func (g *Gatherer[T]) take() []item[T] {
	n, size := 0, 0
	for n < len(g.queue) && n < g.limits.Most {
		it := &g.queue[n]
		size += it.size
		if n > 1 && size > g.limits.Bytes || g.isBroken(it) {
			break
		}
		n++
	}
	taken := slices.Clone(g.queue[:n])
	g.shift(n)
	return taken
}

func (g *Gatherer[T]) shift(n int) {
	clear(g.queue[:n])
	if g.queue = g.queue[n:]; len(g.queue) == 0 {
		g.queue = nil
	}
}

func (g *Gatherer[T]) isBroken(it *item[T]) bool {
	return it.lane.Generation > 0 && it.lane.Generation <= g.broken[it.lane.Key] && !mutant.On("gather-behind-unknown")
}

func (g *Gatherer[T]) wrote(done func(actor.WriteResult), r actor.WriteResult) {
	g.mu.Lock()
	g.singles--
	g.mu.Unlock()
	done(r)
	g.pump()
}

// rest lets some time pass before the next batch; mu is held.
func (g *Gatherer[T]) rest() {
	d := min(time.Duration(g.limits.Rest)*(g.stream.Now()-g.began), g.limits.RestMost)
	if d <= 0 {
		return
	}
	g.resting = true
	g.rests++
	this := g.rests
	g.stream.After(d, func() {
		g.mu.Lock()
		g.resting = g.resting && g.rests != this
		g.mu.Unlock()
		g.pump()
	})
}

// wroteBatch takes the outcome of a batch. If its end was not stored, that says
// little about each of these writes, so they are made again, singly, before any
// other.
func (g *Gatherer[T]) wroteBatch(taken []item[T], r BatchResult) {
	if r.Stored < len(taken) && mutant.On("gather-cut-is-stored") {
		r.Stored = len(taken)
	}
	stored, rest := taken[:r.Stored], taken[r.Stored:]
	g.mu.Lock()
	g.batch = false
	g.rest()
	if r.Rest == actor.Unknown {
		for i := range rest {
			it := &rest[i]
			g.broken[it.lane.Key] = max(g.broken[it.lane.Key], it.lane.Generation)
		}
	} else {
		g.again(taken, rest)
		rest = nil
	}
	g.mu.Unlock()
	for i := range stored {
		stored[i].done(actor.WriteResult{Outcome: actor.Stored, Seq: r.Seq - uint64(len(stored)-1-i)})
	}
	for i := range rest {
		rest[i].done(actor.WriteResult{Outcome: actor.Unknown, Err: r.Err})
	}
	g.pump()
}

// again has the rest of a batch written singly; mu is held.
func (g *Gatherer[T]) again(taken, rest []item[T]) {
	if len(rest) > 0 && mutant.On("gather-cut-again") {
		rest = taken
	}
	for i := range rest {
		rest[i].alone = true
	}
	if mutant.On("gather-refused-last") {
		g.queue = append(g.queue, rest...)
		return
	}
	g.queue = append(rest[:len(rest):len(rest)], g.queue...)
}
