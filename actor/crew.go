package actor

import (
	"context"
	"sync/atomic"
)

// idleMembers is how many goroutines of a crew wait for their next job: jobs
// come in bursts, when a pack of messages does.
const idleMembers = 16

// crew runs functions in goroutines that it keeps for the next ones: a call or
// a read needs more stack than a new goroutine has, and growing it would cost
// each more than the hand-over does. It belongs to one goroutine.
type crew struct {
	jobs  chan func(ctx context.Context)
	idle  atomic.Int32 // members that wait
	start func(member func(ctx context.Context))
}

// newCrew returns a crew whose goroutines start begins. They end after end is
// called.
func newCrew(start func(member func(ctx context.Context))) *crew {
	return &crew{jobs: make(chan func(context.Context)), start: start}
}

// do runs f beside the caller.
func (c *crew) do(f func(ctx context.Context)) {
	select {
	case c.jobs <- f:
	default: // nobody waits
		c.start(func(ctx context.Context) { c.work(ctx, f) })
	}
}

// end lets the members go. Those that work end with their job.
func (c *crew) end() { close(c.jobs) }

func (c *crew) work(ctx context.Context, f func(ctx context.Context)) {
	for more := true; more; {
		f(ctx)
		if c.idle.Add(1) > idleMembers {
			c.idle.Add(-1)
			return
		}
		f, more = <-c.jobs
		c.idle.Add(-1)
	}
}
