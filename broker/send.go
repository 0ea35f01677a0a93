package broker

import (
	"context"
	"errors"
	"fmt"

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
}

// Receipt says where a message is stored.
type Receipt struct {
	Partition int
	Seq       uint64
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
	setTrace(m.Header, r.Trace)
	setText(m.Header, headerMsgID, r.MsgID)
	if limit := int(a.nc.MaxPayload()); len(m.Data)+headerSize(m.Header) > limit {
		return Receipt{}, fmt.Errorf("send to %s: %w: %d bytes with headers, the server takes %d", r.Target, ErrTooLarge, len(m.Data)+headerSize(m.Header), limit)
	}
	ack, err := a.pub.Do(ctx, m)
	if err != nil {
		return Receipt{}, fmt.Errorf("send to %s: %w: %w", r.Target, ErrUnknown, err)
	}
	switch ack.Outcome {
	case actor.Stored:
		return Receipt{Partition: r.Target.Partition(a.creation.Partitions), Seq: ack.Seq, Duplicate: ack.Duplicate}, nil
	case actor.Rejected, actor.Refused:
		return Receipt{}, fmt.Errorf("send to %s: %w: %w", r.Target, ErrRefused, ack.Err)
	default:
		return Receipt{}, fmt.Errorf("send to %s: %w: %w", r.Target, ErrUnknown, ack.Err)
	}
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
