package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// relay stands where ingress records come in when the server acknowledges what
// it has not synced: it hands them on one by one, as they are, and publishers
// get the stream's answer once that is durable. Records are stored below
// <app>.inbox, where the stream itself would put them.
type relay struct {
	app    *App
	sub    *nats.Subscription
	closed chan struct{} // the subscription has ended

	mu     sync.Mutex
	bytes  int // of records that are not answered
	held   int
	warned time.Time
	empty  chan struct{} // set at the end; closed when held is zero
}

// openRelay returns nil where the stream takes ingress records directly.
func openRelay(ctx context.Context, a *App) (*relay, error) {
	if !a.relays() {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	r := &relay{app: a, closed: make(chan struct{})}
	sub, err := a.listen(ctx, a.names.ingressAll(), r.arrived)
	if err != nil {
		return nil, fmt.Errorf("relay ingress records: %w", err)
	}
	sub.SetClosedHandler(func(string) { close(r.closed) })
	r.sub = sub
	return r, nil
}

// arrived hands a record on.
func (r *relay) arrived(m *nats.Msg) {
	reply, size := m.Reply, len(m.Data)+headerSize(m.Header)+heldOverhead
	if strings.HasSuffix(reply, fastBatchSuffix) { // its answers would go another way
		r.refuse(reply, noFastBatches())
		return
	}
	if !r.hold(size) {
		r.refuse(reply, tooMany())
		return
	}
	out := &nats.Msg{Subject: r.app.names.relayed(m.Subject, r.app.creation.Partitions), Header: m.Header, Data: m.Data}
	r.app.pub.Forward(out, func(answer *nats.Msg) {
		defer r.release(size)
		switch {
		case answer == nil: // nobody knows, and the publisher learns so by its time limit
		case len(answer.Data) == 0: // no stream
			r.refuse(reply, notTaken())
		default:
			r.app.respond(reply, answer.Data)
		}
	})
}

// hold makes room for a record, if there is any.
func (r *relay) hold(size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held > 0 && r.bytes+size > r.app.cfg.GateBytes {
		if time.Since(r.warned) >= gateWarnPause {
			r.warned = time.Now()
			r.app.cfg.Log.Warn().Int("limit", r.app.cfg.GateBytes).Msg("more messages arrive than can be stored, publishers get error 429")
		}
		return false
	}
	r.held++
	r.bytes += size
	return true
}

func (r *relay) release(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held--
	r.bytes -= size
	if r.held == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

// refuse answers as the stream would.
func (r *relay) refuse(reply string, err error) {
	r.app.respond(reply, r.app.refusal(r.app.names.ingressStream(), err))
}

// end takes no more, and waits until what has arrived is answered.
func (r *relay) end() error {
	if r == nil {
		return nil
	}
	limit := time.After(gateEndLimit)
	if err := r.sub.Drain(); err != nil {
		return fmt.Errorf("relay ingress records: %w", err)
	}
	select {
	case <-r.closed:
	case <-limit:
		return errRelayEnd
	}
	select {
	case <-r.drained():
		return nil
	case <-limit:
		return errRelayEnd
	}
}

var errRelayEnd = errors.New("the last ingress records are not answered")

// drained returns what is closed once all records are answered.
func (r *relay) drained() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := make(chan struct{})
	if r.held == 0 {
		close(done)
		return done
	}
	r.empty = done
	return done
}
