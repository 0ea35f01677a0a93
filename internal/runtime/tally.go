package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// maxCounted bounds the function types that are told apart: below a namespace
// binding, outsiders can make them up. The egresses are bounded likewise.
const maxCounted = 1000

// tally counts what functions do, by type. It is safe for many goroutines.
type tally struct {
	inflight atomic.Int64 // of all
	// knows reports whether a function serves a type; nil: any counts as known.
	knows func(actor.TypeName) bool

	tails *tails

	latency, endToEnd, batchSize, stateSize *telemetry.Family

	newest atomic.Pointer[counters] // the one asked for last

	mu       sync.RWMutex
	byType   map[actor.TypeName]*counters
	egresses map[actor.TypeName]*egressCount
}

// counters are those of one function type.
type counters struct {
	name                           actor.TypeName
	in                             atomic.Int64
	failures, retries, deadLetters atomic.Int64
	outLocal, outRemote, outEgress atomic.Int64
	inflight                       atomic.Int64
	label                          metric.MeasurementOption
	worker                         *tally

	latency, endToEnd, batchSize, stateSize *telemetry.Histogram
}

// egressCount counts the messages of one egress.
type egressCount struct {
	out   atomic.Int64
	label metric.MeasurementOption
}

func newTally(m *telemetry.Metrics) (*tally, error) {
	latencies := []float64{0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000}
	t := &tally{
		tails: newTails(), byType: map[actor.TypeName]*counters{}, egresses: map[actor.TypeName]*egressCount{},
		latency:   m.Histogram("jetfn_functions_remoteInvocationLatency", latencies),
		endToEnd:  m.Histogram("jetfn_functions_endToEndLatency", append(latencies, 600_000, 3_600_000)),
		batchSize: m.Histogram("jetfn_functions_batchSize", []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000}),
		stateSize: m.Histogram("jetfn_functions_stateSize", []float64{0, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}),
	}
	return t, t.register(m)
}

// register has the counts read whenever metrics are.
func (t *tally) register(m *telemetry.Metrics) error {
	const prefix, out = "jetfn_functions_", "jetfn_egress_out"
	columns := map[string]func(*counters) int64{
		prefix + "in":                       func(c *counters) int64 { return c.in.Load() },
		prefix + "remoteInvocationFailures": func(c *counters) int64 { return c.failures.Load() },
		prefix + "retries":                  func(c *counters) int64 { return c.retries.Load() },
		prefix + "deadLetters":              func(c *counters) int64 { return c.deadLetters.Load() },
		prefix + "outLocal":                 func(c *counters) int64 { return c.outLocal.Load() },
		prefix + "outRemote":                func(c *counters) int64 { return c.outRemote.Load() },
		prefix + "outEgress":                func(c *counters) int64 { return c.outEgress.Load() },
		prefix + "inflightAsyncOps":         func(c *counters) int64 { return c.inflight.Load() },
	}
	names := []string{out}
	for name := range columns {
		names = append(names, name)
	}
	return m.Watch(func(_ context.Context, r *telemetry.Report) {
		t.each(func(_ actor.TypeName, c *counters) {
			for name, value := range columns {
				r.Tell(name, value(c), c.label)
			}
		})
		t.mu.RLock()
		defer t.mu.RUnlock()
		for _, e := range t.egresses {
			r.Tell(out, e.out.Load(), e.label)
		}
	}, names...)
}

// each calls f with all counters.
func (t *tally) each(f func(actor.TypeName, *counters)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for name, c := range t.byType {
		f(name, c)
	}
}

// known returns the counters of a function type that somebody else has named:
// those that no function serves share one.
func (t *tally) known(name actor.TypeName) *counters {
	if c := t.there(name); c != nil {
		return c
	}
	if t.knows != nil && !t.knows(name) {
		name = actor.TypeName{}
	}
	return t.of(name)
}

// there returns the counters of a type that was counted before.
func (t *tally) there(name actor.TypeName) *counters {
	if c := t.newest.Load(); c != nil && c.name == name {
		return c
	}
	t.mu.RLock()
	c := t.byType[name]
	t.mu.RUnlock()
	if c != nil {
		t.newest.Store(c)
	}
	return c
}

// of returns the counters of a function type.
func (t *tally) of(name actor.TypeName) *counters {
	if c := t.there(name); c != nil {
		return c
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byType[name] == nil && len(t.byType) >= maxCounted {
		name = actor.TypeName{}
	}
	if t.byType[name] == nil {
		set := attribute.NewSet(attribute.String("namespace", name.Namespace), attribute.String("type", name.Name))
		t.byType[name] = &counters{
			name: name, worker: t, label: metric.WithAttributeSet(set), latency: t.latency.New(set), endToEnd: t.endToEnd.New(set),
			batchSize: t.batchSize.New(set), stateSize: t.stateSize.New(set),
		}
	}
	return t.byType[name]
}

// egress returns the counter of an egress.
func (t *tally) egress(id actor.TypeName) *egressCount {
	t.mu.RLock()
	e := t.egresses[id]
	t.mu.RUnlock()
	if e != nil {
		return e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	label := id.String()
	if t.egresses[id] == nil && len(t.egresses) >= maxCounted {
		id, label = actor.TypeName{}, ""
	}
	if t.egresses[id] == nil {
		t.egresses[id] = &egressCount{label: metric.WithAttributes(attribute.String("egress", label))}
	}
	return t.egresses[id]
}

// begin counts a call that begins.
func (c *counters) begin(b *actor.Batch) {
	c.inflight.Add(1)
	c.worker.inflight.Add(1)
	if b.Attempt > 1 {
		c.retries.Add(1)
	}
	c.batchSize.Record(float64(len(b.Envelopes)))
	c.stateSize.Record(float64(b.State.Size()))
}

// end counts the same call when it has ended.
func (c *counters) end(took time.Duration, failed bool) {
	c.inflight.Add(-1)
	c.worker.inflight.Add(-1)
	c.latency.RecordTime(took)
	if failed {
		c.failures.Add(1)
	}
}

// countingOutbox counts the messages between functions.
type countingOutbox struct {
	actor.Outbox
	tally  *tally
	tracer *telemetry.Tracer
}

// Publish implements actor.Outbox.
func (o countingOutbox) Publish(s actor.OutboundSend, done func(actor.WriteResult)) {
	c := o.tally.known(s.Envelope.Caller.Type)
	out := &c.outRemote
	if s.From == s.To {
		out = &c.outLocal
	}
	o.Outbox.Publish(s, counted(out, spanned(o.tracer, s.Envelope.Trace, telemetry.SendName, s.Envelope.Target.Type, done)))
}

// countingSink counts what enters a sink.
type countingSink struct {
	actor.Sink
	tally  *tally
	tracer *telemetry.Tracer
}

// Publish implements actor.Sink.
func (s countingSink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	if m.DeadLetter != nil {
		target := m.DeadLetter.Envelope.Target.Type
		done = spanned(s.tracer, m.Trace, telemetry.DeadLetterName, target, done)
		s.Sink.Publish(m, mark, counted(&s.tally.known(target).deadLetters, done))
		return
	}
	c, e := s.tally.known(m.Source.Type), s.tally.egress(m.Egress.ID)
	done = spanned(s.tracer, m.Trace, telemetry.SendName, m.Egress.ID, done)
	s.Sink.Publish(m, mark, func(r actor.WriteResult) {
		if r.Outcome == actor.Stored {
			c.outEgress.Add(1)
			e.out.Add(1)
		}
		done(r)
	})
}

// spanned has a write of a traced message make a span.
func spanned(t *telemetry.Tracer, c actor.Trace, name string, to actor.TypeName, done func(actor.WriteResult)) func(actor.WriteResult) {
	if t == nil || c.Parent == "" {
		return done
	}
	end := t.Send(c, name, to.String())
	if end == nil {
		return done
	}
	return func(r actor.WriteResult) {
		end(r)
		done(r)
	}
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
