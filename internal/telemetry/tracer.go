package telemetry

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/jetfn/jetfn/actor"
)

// Tracer makes spans. A nil one makes none, and costs nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	sampling sampling
	bound    uint64 // ids whose lower half is below twice that are sampled, where a trace begins here; 1<<63: all
}

// newTracer returns nil if nobody wants spans.
func newTracer(ctx context.Context, o *Options, about *resource.Resource) (*Tracer, error) {
	exporter, err := o.spanExporter(ctx)
	if err != nil {
		return nil, err
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(about), sdktrace.WithIDGenerator(chosenIDs{}), sdktrace.WithSampler(sdktrace.AlwaysSample()),
	}
	if exporter != nil {
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	if o.Spans != nil {
		options = append(options, sdktrace.WithSyncer(o.Spans))
	}
	if exporter == nil && o.Spans == nil {
		return nil, nil //nolint:nilnil // as said
	}
	s, err := o.sampling()
	if err != nil {
		return nil, err
	}
	t := &Tracer{provider: sdktrace.NewTracerProvider(options...), sampling: s, bound: uint64(s.ratio * (1 << 63))}
	t.tracer = t.provider.Tracer(scopeName)
	return t, nil
}

// close hands the spans over that have ended.
func (t *Tracer) close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("end of traces: %w", err)
	}
	return nil
}

// chosen reports whether a trace with that id, which begins here, is recorded.
func (t *Tracer) chosen(id trace.TraceID) bool {
	return binary.BigEndian.Uint64(id[8:])>>1 < t.bound
}

// wants reports whether spans of a message's trace are to be recorded.
func (t *Tracer) wants(c *actor.Trace) bool {
	if t.sampling.parentBased {
		return c.Sampled()
	}
	if c.Parent == "" || t.sampling.ratio == 0 {
		return false
	}
	id, err := trace.TraceIDFromHex(c.ID())
	return err == nil && t.chosen(id)
}

// Sample decides whether a trace that begins now is recorded.
func (t *Tracer) Sample() bool { return t != nil && rand.Float64() < t.sampling.ratio }

// Begins reports whether messages without a trace may begin one.
func (t *Tracer) Begins() bool { return t != nil && t.sampling.ratio > 0 }

// Root gives a message that was stored without a trace one of its own if it is
// to be recorded, and reports whether it did. The ids are made of what
// identifies the message, so that each owner gives it the same ones.
func (t *Tracer) Root(e *actor.Envelope, incarnation string, id actor.InputID) bool {
	if e.Trace.Parent != "" {
		return false
	}
	var low [16]byte
	binary.BigEndian.PutUint64(low[:], id.Seq)
	binary.BigEndian.PutUint64(low[8:], uint64(id.Index))
	hash := func(salt string) uint64 {
		d := xxhash.New()
		_, _ = d.WriteString(salt) // can't fail
		_, _ = d.WriteString(incarnation)
		_, _ = d.WriteString(string(id.Source))
		_, _ = d.Write(low[:])
		return d.Sum64() | 1
	}
	second := hash("low")
	if second>>1 >= t.bound {
		return false
	}
	var traceID trace.TraceID
	var spanID trace.SpanID
	binary.BigEndian.PutUint64(traceID[:], hash("high"))
	binary.BigEndian.PutUint64(traceID[8:], second)
	binary.BigEndian.PutUint64(spanID[:], hash("span"))
	e.Trace = contextText(traceID, spanID, "")
	return true
}

// contextText is a sampled trace context.
func contextText(id trace.TraceID, span trace.SpanID, state string) actor.Trace {
	return actor.Trace{Parent: "00-" + id.String() + "-" + span.String() + "-01", State: state}
}

// contextOf is t as the SDK knows it; invalid if t is none.
func contextOf(t actor.Trace) trace.SpanContext {
	t, _ = t.Delayed()
	if t.ID() == "" {
		return trace.SpanContext{}
	}
	id, err := trace.TraceIDFromHex(t.ID())
	span, err2 := trace.SpanIDFromHex(t.Parent[36:52])
	if err != nil || err2 != nil {
		return trace.SpanContext{}
	}
	state, _ := trace.ParseTraceState(t.State) // an odd one is left out
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true})
}

// traceOf is a span's context as messages carry it.
func traceOf(s trace.Span) actor.Trace {
	c := s.SpanContext()
	return contextText(c.TraceID(), c.SpanID(), c.TraceState().String())
}

// empty is what carries the ids of spans, and is never waited for.
func empty() context.Context {
	return context.Background() //nolint:forbidigo // nothing ends it
}

// within is a context below the span that c names.
func within(c actor.Trace) context.Context {
	return trace.ContextWithRemoteSpanContext(empty(), contextOf(c))
}

// idsKey marks the ids that the next span is to get.
type idsKey struct{}

// withIDs has the next span get c's ids.
func withIDs(ctx context.Context, c trace.SpanContext) context.Context {
	return context.WithValue(ctx, idsKey{}, c)
}

// chosenIDs gives spans the ids that were chosen for them, or random ones.
type chosenIDs struct{}

// NewIDs implements sdktrace.IDGenerator.
func (chosenIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if c, ok := ctx.Value(idsKey{}).(trace.SpanContext); ok {
		return c.TraceID(), c.SpanID()
	}
	return newTraceID(), newSpanID()
}

// NewSpanID implements sdktrace.IDGenerator.
func (chosenIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if c, ok := ctx.Value(idsKey{}).(trace.SpanContext); ok {
		return c.SpanID()
	}
	return newSpanID()
}

func newTraceID() (id trace.TraceID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64N(math.MaxUint64)+1)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

func newSpanID() (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64N(math.MaxUint64)+1)
	return id
}
