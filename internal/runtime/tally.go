package runtime

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/jetfn/jetfn/actor"
)

// maxCounted bounds the function types that are told apart: below a namespace
// binding, outsiders can make them up.
const maxCounted = 1000

// tally counts what functions do, by type. It is safe for many goroutines.
type tally struct {
	inflight atomic.Int64 // of all
	latency  metric.Float64Histogram

	mu     sync.RWMutex
	byType map[actor.TypeName]*counters
}

// counters are those of one function type.
type counters struct {
	failures, retries, deadLetters atomic.Int64
	outLocal, outRemote, outEgress atomic.Int64
	inflight                       atomic.Int64
	label                          metric.MeasurementOption
	worker                         *tally
}

func newTally(m metric.Meter) (*tally, error) {
	t := &tally{byType: map[actor.TypeName]*counters{}}
	var err error
	t.latency, err = m.Float64Histogram("jetfn_functions_remoteInvocationLatency",
		metric.WithDescription("Milliseconds that a call took, each attempt counted."),
		metric.WithExplicitBucketBoundaries(0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000))
	if err != nil {
		return nil, err
	}
	return t, t.register(m)
}

// register has the counts read whenever /metrics is.
func (t *tally) register(m metric.Meter) error {
	type column struct {
		instrument metric.Int64Observable
		value      func(*counters) int64
	}
	var columns []column
	var instruments []metric.Observable
	for _, c := range []struct {
		name, what string
		value      func(*counters) int64
	}{
		{"remoteInvocationFailures", "Calls that failed, each attempt counted.", func(c *counters) int64 { return c.failures.Load() }},
		{"retries", "Calls repeated after a failure.", func(c *counters) int64 { return c.retries.Load() }},
		{"deadLetters", "Messages given up.", func(c *counters) int64 { return c.deadLetters.Load() }},
		{"outLocal", "Messages sent to the same partition.", func(c *counters) int64 { return c.outLocal.Load() }},
		{"outRemote", "Messages sent to other partitions.", func(c *counters) int64 { return c.outRemote.Load() }},
		{"outEgress", "Messages sent to egresses.", func(c *counters) int64 { return c.outEgress.Load() }},
	} {
		counter, err := m.Int64ObservableCounter("jetfn_functions_"+c.name, metric.WithDescription(c.what))
		if err != nil {
			return err
		}
		columns, instruments = append(columns, column{counter, c.value}), append(instruments, counter)
	}
	inflight, err := m.Int64ObservableGauge("jetfn_functions_inflightAsyncOps", metric.WithDescription("Calls in flight."))
	if err != nil {
		return err
	}
	columns = append(columns, column{inflight, func(c *counters) int64 { return c.inflight.Load() }})
	worker, err := m.Int64ObservableGauge("jetfn_worker_inflightAsyncOps", metric.WithDescription("Calls in flight of the worker."))
	if err != nil {
		return err
	}
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(worker, t.inflight.Load())
		t.mu.RLock()
		defer t.mu.RUnlock()
		for _, counted := range t.byType {
			for _, c := range columns {
				o.ObserveInt64(c.instrument, c.value(counted), counted.label)
			}
		}
		return nil
	}, append(instruments, inflight, worker)...)
	if err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// of returns the counters of a function type.
func (t *tally) of(name actor.TypeName) *counters {
	t.mu.RLock()
	c := t.byType[name]
	t.mu.RUnlock()
	if c != nil {
		return c
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byType[name] == nil && len(t.byType) >= maxCounted {
		name = actor.TypeName{}
	}
	if t.byType[name] == nil {
		t.byType[name] = &counters{worker: t, label: metric.WithAttributeSet(attribute.NewSet(
			attribute.String("namespace", name.Namespace), attribute.String("type", name.Name)))}
	}
	return t.byType[name]
}

// begin counts a call that begins.
func (c *counters) begin(attempt int) {
	c.inflight.Add(1)
	c.worker.inflight.Add(1)
	if attempt > 1 {
		c.retries.Add(1)
	}
}

// end counts the same call when it has ended.
func (c *counters) end(ctx context.Context, took time.Duration, failed bool) {
	c.inflight.Add(-1)
	c.worker.inflight.Add(-1)
	c.worker.latency.Record(ctx, float64(took)/float64(time.Millisecond), c.label)
	if failed {
		c.failures.Add(1)
	}
}

// countingOutbox counts the messages between functions.
type countingOutbox struct {
	actor.Outbox
	tally *tally
}

// Publish implements actor.Outbox.
func (o countingOutbox) Publish(s actor.OutboundSend, done func(actor.WriteResult)) {
	c := o.tally.of(s.Envelope.Caller.Type)
	out := &c.outRemote
	if s.From == s.To {
		out = &c.outLocal
	}
	o.Outbox.Publish(s, counted(out, done))
}

// countingSink counts what enters a sink. Functions that no module binds
// share one count.
type countingSink struct {
	actor.Sink
	tally   *tally
	catalog *catalog
}

// Publish implements actor.Sink.
func (s countingSink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	name := m.Source.Type
	if m.DeadLetter != nil {
		name = m.DeadLetter.Envelope.Target.Type
	}
	if !s.catalog.Known(name) {
		name = actor.TypeName{}
	}
	c := s.tally.of(name)
	out := &c.outEgress
	if m.DeadLetter != nil {
		out = &c.deadLetters
	}
	s.Sink.Publish(m, mark, counted(out, done))
}

// counted counts a write if it is stored.
func counted(n *atomic.Int64, done func(actor.WriteResult)) func(actor.WriteResult) {
	return func(r actor.WriteResult) {
		if r.Outcome == actor.Stored {
			n.Add(1)
		}
		done(r)
	}
}
