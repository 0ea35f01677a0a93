package bench

import (
	"context"
	"fmt"
	"time"
)

// limits measures what the machine can do without jetfn: against the same
// function process, and the same server, which is idle otherwise.
func (r *run) limits(ctx context.Context, result *Result) error {
	measure := func(name string, f func(context.Context) (uint64, time.Duration, error)) error {
		n, took, err := f(ctx)
		if err != nil {
			return fmt.Errorf("measure the limit %s: %w", name, err)
		}
		result.Limits = append(result.Limits, Limit{Name: name, PerSecond: float64(n) / took.Seconds()})
		return nil
	}
	if r.function != nil {
		for _, calls := range []int{64, 1024} {
			if err := measure(fmt.Sprintf("%s-%d", r.cfg.Function, calls), r.functionLoop(calls)); err != nil {
				return err
			}
		}
		result.limitBy(result.Limits...)
	}
	for _, gathered := range []int{1, gatheredMessages} {
		name := "publish"
		if gathered > 1 {
			name = fmt.Sprintf("publish-gathered-%d", gathered)
		}
		loop := publishLoop{url: r.worker.NATS, size: r.cfg.Payload, gathered: gathered, duration: r.cfg.LimitDuration}
		if err := measure(name, loop.run); err != nil {
			return err
		}
		if r.function == nil && gathered == 1 {
			result.limitBy(result.Limits...)
		}
	}
	return nil
}

// functionLoop is the limit that calling the function sets: so many calls in
// flight, by the protocol that the worker uses.
func (r *run) functionLoop(calls int) func(context.Context) (uint64, time.Duration, error) {
	if r.cfg.Function == FunctionNATS {
		return (&natsLoop{url: r.worker.NATS, calls: calls, size: r.cfg.Payload, duration: r.cfg.LimitDuration}).run
	}
	return (&httpLoop{url: "http://" + r.function.HTTP + "/", calls: calls, size: r.cfg.Payload, duration: r.cfg.LimitDuration}).run
}

// limitBy takes the highest of limits as what the result is divided by.
func (r *Result) limitBy(limits ...Limit) {
	best := limits[0]
	for _, l := range limits {
		if l.PerSecond > best.PerSecond {
			best = l
		}
	}
	r.Limit, r.Ratio = &best, r.PerSecond/best.PerSecond
}
