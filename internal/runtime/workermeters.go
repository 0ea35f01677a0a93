package runtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// censusLimit is how long partitions may take to count what they have to do.
// One that doesn't answer is told of as it was before.
const censusLimit = time.Second

// censuses are what the partitions had to do when they were asked last.
type censuses struct {
	mu   sync.Mutex
	last map[int]map[actor.TypeName]actor.Census
}

// take asks all partitions of g, and sums their answers by type.
func (c *censuses) take(ctx context.Context, g *generation) map[actor.TypeName]actor.Census {
	limited, cancel := context.WithTimeout(ctx, censusLimit)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil {
		c.last = map[int]map[actor.TypeName]actor.Census{}
	}
	answers := make([]map[actor.TypeName]actor.Census, len(g.seats))
	var all sync.WaitGroup
	for i, s := range g.seats {
		all.Go(func() {
			if answer, err := s.processor.Census(limited); err == nil {
				answers[i] = answer
			}
		})
	}
	all.Wait()
	sum := map[actor.TypeName]actor.Census{}
	for i, s := range g.seats {
		if answers[i] != nil {
			c.last[s.partition] = answers[i]
		}
		for t, n := range c.last[s.partition] {
			sum[t] = sum[t].Plus(n)
		}
	}
	return sum
}

// forget drops what a generation that has ended had to do.
func (c *censuses) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.last)
}

// census is what the partitions have to do, by type.
func (w *worker) census(ctx context.Context) map[actor.TypeName]actor.Census {
	g := w.current.Load()
	if g == nil {
		return nil
	}
	return w.censuses.take(ctx, g)
}

// watchBacklogs reports what waits for functions. A type that had something to
// do is reported ever after, so that its zero is seen.
func (w *worker) watchBacklogs() error {
	const backlog, blocked = "jetfn_functions_numBacklog", "jetfn_functions_numBlockedAddress"
	const retrying, age = "jetfn_functions_numRetryingAddress", "jetfn_functions_backlogAge"
	return w.meters.Watch(func(ctx context.Context, r *telemetry.Report) {
		sums := map[*counters]actor.Census{}
		for t, n := range w.census(ctx) {
			c := w.meters.tally.of(t)
			sums[c] = sums[c].Plus(n)
		}
		now := time.Now().UnixMilli()
		w.meters.tally.each(func(_ actor.TypeName, c *counters) {
			n := sums[c]
			r.Tell(backlog, int64(n.Waiting), c.label)
			r.Tell(blocked, int64(n.Blocked), c.label)
			r.Tell(retrying, int64(n.Retrying), c.label)
			r.Tell(age, n.Age(now), c.label)
		})
	}, backlog, blocked, retrying, age)
}

// watchWorker reports what the worker as a whole does.
func (w *worker) watchWorker() error {
	const prefix = "jetfn_worker_"
	return w.meters.Watch(func(_ context.Context, r *telemetry.Report) {
		ready := int64(0)
		if len(w.status.Reasons()) == 0 {
			ready = 1
		}
		r.Tell(prefix+"ready", ready)
		r.Tell(prefix+"inflightAsyncOps", w.meters.tally.inflight.Load())
		r.Tell(prefix+"maxInflightAsyncOps", int64(actor.CallsLimit(w.cfg.MaxPerTask)))
		r.Tell(prefix+"waitingCallers", int64(w.desk.Waiting()))
		r.Tell(prefix+"recoveries", w.meters.recoveries.Load())
		r.Tell(prefix+"recoveryTime", w.meters.recoveryTime.Load())
	}, prefix+"ready", prefix+"inflightAsyncOps", prefix+"maxInflightAsyncOps", prefix+"waitingCallers", prefix+"recoveries", prefix+"recoveryTime")
}

// watchNATS reports of streams, of what is not read yet, and of the
// connection.
func (w *worker) watchNATS() error {
	const lag, held, bytes, limit = "jetfn_ingress_lag", "jetfn_stream_messages", "jetfn_stream_bytes", "jetfn_stream_maxBytes"
	const in = "jetfn_ingress_in"
	const trip, connected, again = "jetfn_nats_roundTrip", "jetfn_nats_connected", "jetfn_nats_reconnects"
	const stored, most = "jetfn_nats_storedBytes", "jetfn_nats_maxStoredBytes"
	return w.meters.Watch(func(ctx context.Context, r *telemetry.Report) {
		b := w.backbone.Load()
		if b == nil {
			return
		}
		b.read.each(func(s actor.Source, n *read) {
			r.Tell(in, n.messages.Load(), metric.WithAttributes(attribute.String("source", string(s))))
		})
		m := b.measure(ctx)
		if m.pinged {
			r.Tell(trip, m.roundTrip.Milliseconds())
		}
		r.Tell(connected, m.connected)
		r.Tell(again, m.reconnects)
		r.Tell(stored, m.stored)
		r.Tell(most, m.maxStored)
		for _, s := range m.streams {
			label := metric.WithAttributes(attribute.String("stream", s.Name))
			r.Tell(held, int64(s.Messages), label)
			r.Tell(bytes, int64(s.Bytes), label)
			r.Tell(limit, max(s.MaxBytes, 0), label)
		}
		for source, n := range m.lags {
			r.Tell(lag, int64(n), metric.WithAttributes(attribute.String("source", string(source))))
		}
	}, in, lag, held, bytes, limit, trip, connected, again, stored, most)
}

// watch has all of it reported.
func (w *worker) watch() error {
	return errors.Join(
		w.meters.watchPartitions(w.stats), w.meters.watchEndpoints(w.catalog), w.meters.watchIngresses(w.missed),
		w.watchBacklogs(), w.watchWorker(), w.watchNATS(), w.watchCircuits(),
	)
}
