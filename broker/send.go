package broker

import (
	"context"
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
	if err := r.Target.Check(); err != nil {
		return Receipt{}, fmt.Errorf("send: %w", err)
	}
	if r.Value.Type == "" || headerText(r.Value.Type) != r.Value.Type {
		return Receipt{}, fmt.Errorf("send to %s: value type %q can't be sent; use <namespace>/<name>", r.Target, r.Value.Type)
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
	got, err := a.store(ctx, r.Target, m)
	if err != nil {
		return Receipt{}, fmt.Errorf("send to %s: %w", r.Target, err)
	}
	return Receipt{
		Partition: r.Target.Partition(a.creation.Partitions),
		Seq:       got.place.seq, Index: got.place.index, Duplicate: got.duplicate,
	}, nil
}

// store stores m through the gate, or directly if there is to be none.
func (a *App) store(ctx context.Context, target actor.Address, m *nats.Msg) (answer, error) {
	var got answer
	if a.cfg.Gate {
		answers := make(chan answer, 1)
		if err := a.offer(target, m, func(got answer) { answers <- got }); err != nil {
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

// offer hands m to the gate, which calls done.
func (a *App) offer(target actor.Address, m *nats.Msg, done func(answer)) error {
	g := a.gate.Load()
	if g == nil {
		return ErrClosed
	}
	o := &outside{
		packed:    packed{key: target.Key(), said: saidIn(m.Header), data: m.Data},
		partition: target.Partition(a.creation.Partitions), done: done,
	}
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
