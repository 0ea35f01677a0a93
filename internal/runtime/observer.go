package runtime

import (
	"time"

	"github.com/jetfn/jetfn/actor"
)

// observer counts what partitions tell of messages.
type observer struct{ tally *tally }

var _ actor.Observer = observer{}

// Accepted implements actor.Observer.
func (o observer) Accepted(t actor.TypeName) { o.tally.known(t).in.Add(1) }

// Invoking implements actor.Observer.
func (o observer) Invoking(*actor.Batch) actor.Invocation { return nil }

// Retreated implements actor.Observer.
func (o observer) Retreated(*actor.Done) {}

// Committed implements actor.Observer.
func (o observer) Committed(c *actor.Committed) {
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
func (o observer) Applied(*actor.Committed) {}
