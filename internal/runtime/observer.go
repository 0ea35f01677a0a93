package runtime

import (
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// observer counts what partitions tell of messages, and traces it.
type observer struct {
	tally  *tally
	tracer *telemetry.Tracer // nil: no traces
	tails  *tails
}

var _ actor.Observer = observer{}

// Accepted implements actor.Observer.
func (o observer) Accepted(t actor.TypeName) { o.tally.known(t).in.Add(1) }

// Invoking implements actor.Observer.
func (o observer) Invoking(b *actor.Batch) actor.Invocation {
	if o.tracer == nil {
		return nil
	}
	return o.tracer.Invoking(b)
}

// Retreated implements actor.Observer.
func (o observer) Retreated(d *actor.Done) { o.tracer.Retreated(d) }

// Committed implements actor.Observer.
func (o observer) Committed(c *actor.Committed) {
	if c.Traced {
		o.tracer.Committed(c)
	}
	if o.tails.wanted() {
		o.tails.committed(c)
	}
	now := time.Now().UnixMilli()
	for i := range c.Done {
		d := &c.Done[i]
		counters := o.tally.known(d.Target.Type)
		for j := range d.Len() {
			if at := d.Message(j).StoredAt; at != 0 {
				counters.endToEnd.Record(float64(max(now-at, 0)))
			}
		}
	}
}

// Applied implements actor.Observer.
func (o observer) Applied(c *actor.Committed) { o.tracer.Applied(c) }
