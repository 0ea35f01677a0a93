package actor

import "context"

// idleMembers is how many goroutines of a crew wait for their next job: jobs
// come in bursts, when a pack of messages does.
const idleMembers = 16

// crew runs functions in goroutines that it keeps for the next ones: a call or
// a read needs more stack than a new goroutine has, and growing it would cost
// each more than the hand-over does.
type crew struct {
	jobs  chan func(ctx context.Context)
	idle  chan struct{} // a place for each that waits
	start func(member func(ctx context.Context))
}

// newCrew returns a crew whose goroutines start begins. They end when the
// context that they get does.
func newCrew(start func(member func(ctx context.Context))) *crew {
	return &crew{jobs: make(chan func(context.Context)), idle: make(chan struct{}, idleMembers), start: start}
}

// do runs f beside the caller.
func (c *crew) do(f func(ctx context.Context)) {
	select {
	case c.jobs <- f:
	default: // nobody waits
		c.start(func(ctx context.Context) { c.work(ctx, f) })
	}
}

func (c *crew) work(ctx context.Context, f func(ctx context.Context)) {
	for {
		f(ctx)
		select {
		case c.idle <- struct{}{}:
		default:
			return
		}
		select {
		case f = <-c.jobs:
			<-c.idle
		case <-ctx.Done():
			return
		}
	}
}
