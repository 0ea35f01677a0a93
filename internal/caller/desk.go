package caller

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/jetfn/jetfn/actor"
)

var (
	// ErrBusy means that too many calls are in progress.
	ErrBusy = errors.New("too many calls are in progress")
	// ErrClosed means that the worker ends, and nothing was done.
	ErrClosed = errors.New("the worker takes no more calls")
)

// Desk is where the answers to a worker's callers arrive. It is safe for many
// goroutines.
type Desk struct {
	gateway string
	limit   int

	mu      sync.Mutex
	waiting map[string]*Wait // by the caller's id
	ended   bool
}

// Wait is one caller that waits for one answer.
type Wait struct {
	desk    *Desk
	address actor.Address
	answer  chan actor.Envelope // takes the first one
	end     chan struct{}       // closed when no answer can come any more
}

// NewDesk returns a desk at which so many callers may wait at once.
func NewDesk(limit int) *Desk {
	return &Desk{gateway: rand.Text()[:12], limit: limit, waiting: map[string]*Wait{}}
}

// Gateway is the name by which other workers find the desk.
func (d *Desk) Gateway() string { return d.gateway }

// Open lets one more caller wait, until Close.
func (d *Desk) Open() (*Wait, error) {
	w := &Wait{
		desk: d, address: actor.WaitingCaller(d.gateway, rand.Text()[:16]),
		answer: make(chan actor.Envelope, 1), end: make(chan struct{}),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ended:
		return nil, ErrClosed
	case len(d.waiting) >= d.limit:
		return nil, fmt.Errorf("%w: the limit is %d", ErrBusy, d.limit)
	}
	d.waiting[w.address.ID] = w
	return w, nil
}

// Deliver hands an answer to whom it is for. All but the first answer to one
// caller are dropped, and so are those that nobody waits for.
func (d *Desk) Deliver(e *actor.Envelope) {
	d.mu.Lock()
	w := d.waiting[e.Target.ID]
	delete(d.waiting, e.Target.ID)
	d.mu.Unlock()
	if w != nil {
		w.answer <- *e // there is room: it is the first
	}
}

// Here reports whether e is for a caller that would wait at this desk.
func (d *Desk) Here(e *actor.Envelope) bool {
	gateway, ok := e.Target.WaitsAt()
	return ok && gateway == d.gateway
}

// End tells everybody who waits that no answer will come: the worker ends.
func (d *Desk) End() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	d.ended = true
	for id, w := range d.waiting {
		close(w.end)
		delete(d.waiting, id)
	}
}

// Waiting is how many callers wait.
func (d *Desk) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting)
}

// Address is whom the answer has to be sent to.
func (w *Wait) Address() actor.Address { return w.address }

// Close ends the wait.
func (w *Wait) Close() {
	w.desk.mu.Lock()
	defer w.desk.mu.Unlock()
	delete(w.desk.waiting, w.address.ID)
}
