package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
)

// ErrUnknown means that a message may be stored, now or later.
var ErrUnknown = errors.New("outcome unknown: it may be stored")

// ErrRefused means that the stream did not take a message: it is full, or out
// of storage.
var ErrRefused = errors.New("refused")

// ErrTooLarge means that a message exceeds the server's max_payload.
var ErrTooLarge = errors.New("too large")

// SendRequest is a message from outside.
type SendRequest struct {
	Target actor.Address
	Value  actor.Value
	Trace  actor.Trace
	MsgID  string // deduplicates for 2 minutes; empty: it does not
	// Delay is how long after it was stored the message reaches its target.
	Delay time.Duration
	// Own marks a message of the worker itself: it may go to jetfn's own
	// functions, and its target sees Caller, if that isn't zero, as its caller.
	Own    bool
	Caller actor.Address
}

// check returns why a message can't be sent, whatever its size.
func (r *SendRequest) check() error {
	switch err := r.Target.Check(); {
	case err != nil:
		return err
	case r.Own:
	case r.Target.Type.Namespace == actor.OwnNamespace:
		return fmt.Errorf("%w: %s", actor.ErrBadAddress, notForOutsiders(r.Target))
	case !r.Caller.IsZero():
		return fmt.Errorf("%w: a message from outside has no caller", actor.ErrBadAddress)
	}
	if r.Value.Type == "" || headerText(r.Value.Type) != r.Value.Type {
		return fmt.Errorf("to %s: value type %q can't be sent; use <namespace>/<name>", r.Target, r.Value.Type)
	}
	return nil
}

// Receipt says where a message is stored.
type Receipt struct {
	Partition int
	Seq       uint64
	Index     int  // among the messages stored together at Seq
	Duplicate bool // it was there already, at Seq
}

// Send stores a message in its target's mailbox. Its error wraps ErrUnknown
// if the message may be stored nevertheless, else it is surely not stored.
func (a *App) Send(ctx context.Context, r SendRequest) (Receipt, error) {
	if err := r.check(); err != nil {
		return Receipt{}, fmt.Errorf("send: %w", err)
	}
	m := &nats.Msg{Subject: a.names.fn(r.Target), Data: r.Value.Data, Header: nats.Header{HeaderType: {r.Value.Type}}}
	if r.Delay > 0 {
		setText(m.Header, HeaderDelay, r.Delay.String())
	}
	setTrace(m.Header, r.Trace)
	setText(m.Header, headerMsgID, r.MsgID)
	if limit := int(a.nc.MaxPayload()); len(m.Data)+headerSize(m.Header) > limit {
		return Receipt{}, fmt.Errorf("send to %s: %w: %d bytes with headers, the server takes %d", r.Target, ErrTooLarge, len(m.Data)+headerSize(m.Header), limit)
	}
	p := packed{key: r.Target.Key(), said: saidIn(m.Header), data: m.Data, own: r.Own}
	if !r.Caller.IsZero() {
		p.caller = r.Caller.Key()
	}
	if r.Own {
		if size := p.size() + packOverhead + headerRoom; size > int(a.nc.MaxPayload()) {
			return Receipt{}, fmt.Errorf("send to %s: %w: %d bytes, the server takes %d", r.Target, ErrTooLarge, size, a.nc.MaxPayload())
		}
		m = a.packOf(r.Target, &p)
	}
	got, err := a.store(ctx, r.Target, &p, m)
	if err != nil {
		return Receipt{}, fmt.Errorf("send to %s: %w", r.Target, err)
	}
	return Receipt{
		Partition: r.Target.Partition(a.creation.Partitions),
		Seq:       got.place.seq, Index: got.place.index, Duplicate: got.duplicate,
	}, nil
}

// packOf is the message that p is stored as without a gate: a worker's own
// ones go below a subject where outsiders may not publish.
func (a *App) packOf(target actor.Address, p *packed) *nats.Msg {
	return &nats.Msg{
		Subject: a.names.pack(target.Partition(a.creation.Partitions)),
		Header:  nats.Header{headerMsgID: {rand.Text()}},
		Data:    p.append(appendPackStart(nil)),
	}
}

// store stores p through the gate or, if there is to be none, as m.
func (a *App) store(ctx context.Context, target actor.Address, p *packed, m *nats.Msg) (answer, error) {
	var got answer
	if a.cfg.Gate {
		answers := make(chan answer, 1)
		if err := a.offer(target, p, func(got answer) { answers <- got }); err != nil {
			return answer{}, err
		}
		select {
		case got = <-answers:
		case <-ctx.Done():
			return answer{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
		}
	} else {
		ack, err := a.pub.Do(ctx, m)
		if err != nil {
			return answer{}, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		got = answer{outcome: ack.Outcome, place: place{seq: ack.Seq}, duplicate: ack.Duplicate, err: ack.Err}
	}
	switch got.outcome {
	case actor.Stored:
		return got, nil
	case actor.Rejected, actor.Refused:
		if errors.Is(got.err, ErrClosed) {
			return answer{}, got.err
		}
		return answer{}, fmt.Errorf("%w: %w", ErrRefused, got.err)
	default:
		return answer{}, fmt.Errorf("%w: %w", ErrUnknown, got.err)
	}
}

// offer hands p to the gate, which calls done.
func (a *App) offer(target actor.Address, p *packed, done func(answer)) error {
	g := a.gate.Load()
	if g == nil {
		return ErrClosed
	}
	o := &outside{packed: *p, partition: target.Partition(a.creation.Partitions), done: done}
	if now, ok := g.take(o); ok {
		done(now)
	}
	return nil
}

// headerSize is what the headers take on the wire.
func headerSize(h nats.Header) int {
	n := len("NATS/1.0\r\n\r\n")
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}
