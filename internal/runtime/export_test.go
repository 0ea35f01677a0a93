package runtime

import (
	"context"
	"sync"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// CollectPercent is collectPercent.
func CollectPercent(live uint64) int { return collectPercent(live) }

// Feed runs a feed for processors as a generation does, from start on. The
// partition number i has ended if processors[i] is nil. When wait returns, all
// that the feed started has ended.
func Feed(ctx context.Context, source actor.Source, processors []*actor.Processor, start uint64, run func(context.Context, uint64, broker.Deliver) error) (wait func(), failed func() error) {
	g := &generation{worker: &worker{meters: &meters{Telemetry: &telemetry.Telemetry{}}}, backbone: &backbone{}}
	for i, p := range processors {
		s := &seat{partition: i, processor: p, ended: make(chan struct{})}
		if p == nil {
			close(s.ended)
		}
		g.seats = append(g.seats, s)
	}
	work, stop := context.WithCancelCause(ctx)
	g.intake, g.stop = work, stop
	f := g.feed(source, start, run)
	return sync.OnceFunc(func() { f.end(); g.intakes.Wait(); stop(errStopped) }), func() error { return ignoreStop(context.Cause(work)) }
}
