package runtime

import (
	"context"
	"slices"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// rooted gives messages that were stored without a trace one of their own, as
// often as sampling says. Nil: no message gets one.
type rooted struct {
	tracer      *telemetry.Tracer
	incarnation string
}

func (w *worker) rooted(app *broker.App) *rooted {
	if !w.meters.Tracer.Begins() {
		return nil
	}
	return &rooted{w.meters.Tracer, app.Incarnation()}
}

// deliver is next with such traces, whose first span tells when the message
// was stored.
func (r *rooted) deliver(next broker.Deliver) broker.Deliver {
	if r == nil {
		return next
	}
	return func(ctx context.Context, partition int, d actor.Delivery) error {
		r.mark(&d, r.tracer.Accepted)
		return next(ctx, partition, d)
	}
}

// mark calls begun for each input that gets a trace.
func (r *rooted) mark(d *actor.Delivery, begun func(*actor.Envelope, actor.InputID)) {
	if d.Internal {
		return
	}
	for i := range d.Inputs {
		in, id := &d.Inputs[i], actor.InputID{Source: d.Source, Seq: d.Seq, Index: i}
		if in.Problem == nil && r.tracer.Root(&in.Envelope, r.incarnation, id) {
			begun(&in.Envelope, id)
		}
	}
}

// inbox is next with the same traces.
func (r *rooted) inbox(next actor.Inbox) actor.Inbox {
	if r == nil {
		return next
	}
	return rootedInbox{next, r}
}

type rootedInbox struct {
	actor.Inbox
	rooted *rooted
}

// Fetch implements actor.Inbox.
func (i rootedInbox) Fetch(ctx context.Context, source actor.Source, seq uint64) (actor.Delivery, error) {
	d, err := i.Inbox.Fetch(ctx, source, seq)
	if err == nil {
		d.Inputs = slices.Clone(d.Inputs) // others may have them
		i.rooted.mark(&d, func(*actor.Envelope, actor.InputID) {})
	}
	return d, err
}
