package actor

import "context"

// Census is what the addresses of one function type have to do.
type Census struct {
	Waiting  int   // messages that wait for a call, or for its repetition
	Running  int   // messages in a call
	Blocked  int   // addresses with as many messages as a call takes, or more
	Retrying int   // addresses that wait to be tried again
	Oldest   int64 // when the oldest waiting message was stored, in Unix milliseconds; zero: none that is known
}

// Plus is the sum of both.
func (c Census) Plus(d Census) Census {
	oldest := c.Oldest
	if oldest == 0 || d.Oldest != 0 && d.Oldest < oldest {
		oldest = d.Oldest
	}
	return Census{c.Waiting + d.Waiting, c.Running + d.Running, c.Blocked + d.Blocked, c.Retrying + d.Retrying, oldest}
}

// Age is how long the oldest waiting message has been stored, in milliseconds.
func (c Census) Age(now int64) int64 {
	if c.Oldest == 0 {
		return 0
	}
	return max(now-c.Oldest, 0)
}

// Census counts what there is to do, by function type.
func (p *Partition) Census() map[TypeName]Census {
	out := map[TypeName]Census{}
	for a, act := range p.activations {
		spec, _ := p.catalog.Lookup(a.Type)
		c := out[a.Type]
		act.count(&c, spec.maxBatch())
		out[a.Type] = c
	}
	return out
}

// count adds what the activation has to do to c.
func (act *activation) count(c *Census, most int) {
	waiting := len(act.queue) + len(act.spilled)
	if waiting >= most {
		c.Blocked++
	}
	first := act.queue
	if act.phase == actRunning {
		c.Running += len(act.batch)
	} else if len(act.batch) > 0 {
		waiting += len(act.batch)
		first = act.batch
	}
	if act.phase == actBackoff {
		c.Retrying++
	}
	c.Waiting += waiting
	if len(first) > 0 {
		if at := first[0].envelope.StoredAt; at != 0 && (c.Oldest == 0 || at < c.Oldest) {
			c.Oldest = at
		}
	}
}

// Census counts what there is to do, by function type.
func (p *Processor) Census(ctx context.Context) (map[TypeName]Census, error) {
	return ask(ctx, p, func(part *Partition, reply func(map[TypeName]Census, error)) { reply(part.Census(), nil) })
}
