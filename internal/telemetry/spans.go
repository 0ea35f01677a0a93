package telemetry

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/jetfn/jetfn/actor"
)

// The names of spans; what follows most of them is the function's type or the
// egress.
const (
	spanAccept  = "accept "
	spanCall    = "call "
	spanProcess = "process "
	spanWait    = "wait"
	spanInvoke  = "invoke "
	spanPost    = "POST"
	spanCommit  = "commit"
	spanApply   = "apply"
	spanSend    = "send "
	spanDead    = "dead-letter "
)

// at is a time in Unix nanoseconds.
func at(ns int64) time.Time { return time.Unix(0, ns) }

// system is who carries the messages.
func system() attribute.KeyValue { return attribute.String("messaging.system", "jetfn") }

// about are the attributes of a message's destination.
func about(operation, kind, destination string) []attribute.KeyValue {
	return []attribute.KeyValue{
		system(), attribute.String("messaging.operation.name", operation), attribute.String("messaging.operation.type", kind),
		attribute.String("messaging.destination.name", destination),
	}
}

// inputText is a message's id.
func inputText(id actor.InputID) string {
	return string(id.Source) + "/" + strconv.FormatUint(id.Seq, 10) + "/" + strconv.Itoa(id.Index)
}

// start begins a span; whoever asks ends it.
func (t *Tracer) start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, options...) //nolint:spancheck // as said
}

// Accept begins the span of a message that is being stored for target, within
// the trace client unless that is none. The trace returned is the message's;
// end is told the message's id, or why it isn't stored.
func (t *Tracer) Accept(target actor.Address, client actor.Trace) (actor.Trace, func(id string, err error)) {
	s, own := t.enter(spanAccept, target, client, trace.SpanKindProducer, about("accept", "send", target.Type.String()))
	if s == nil {
		return own, func(string, error) {}
	}
	return own, func(id string, err error) {
		s.SetAttributes(attribute.String("messaging.message.id", id))
		endWith(s, err)
	}
}

// Call begins the span of a call whose client waits for the answer. The trace
// r is the client's, or one that begins here if fresh says so.
func (t *Tracer) Call(target actor.Address, r actor.Trace, fresh bool) (actor.Trace, func(err error)) {
	if t == nil || !t.wants(&r) {
		return r, func(error) {}
	}
	ctx := within(r)
	if fresh {
		ctx = withIDs(empty(), contextOf(r))
	}
	_, s := t.start(ctx, spanCall+target.Type.String(), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("faas.trigger", "http"), attribute.String("jetfn.id", target.ID), attribute.String("jetfn.function", target.Type.String())))
	return traceOf(s), func(err error) { endWith(s, err) }
}

// enter begins a span where a message comes in. What isn't to be recorded
// says so from then on, unless nothing ever is.
func (t *Tracer) enter(name string, target actor.Address, client actor.Trace, kind trace.SpanKind, with []attribute.KeyValue) (trace.Span, actor.Trace) {
	if t == nil {
		return nil, client
	}
	ctx := within(client)
	switch {
	case client.Parent != "" && !t.wants(&client):
		return nil, client
	case client.Parent == "" && !t.Begins():
		return nil, client
	case client.Parent == "":
		id := newTraceID()
		if !t.chosen(id) {
			return nil, actor.Trace{Parent: "00-" + id.String() + "-" + newSpanID().String() + "-00"}
		}
		ctx = withIDs(empty(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: newSpanID()}))
	}
	_, s := t.start(ctx, name+target.Type.String(), trace.WithSpanKind(kind), trace.WithAttributes(append(with, attribute.String("jetfn.id", target.ID))...))
	return s, traceOf(s)
}

// Accepted is the span of a message that was stored without a trace, and got
// one by Root.
func (t *Tracer) Accepted(e *actor.Envelope, id actor.InputID) {
	stored := time.UnixMilli(e.StoredAt)
	_, s := t.start(withIDs(empty(), contextOf(e.Trace)), spanAccept+e.Target.Type.String(),
		trace.WithTimestamp(stored), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(append(about("accept", "send", e.Target.Type.String()),
			attribute.String("messaging.message.id", inputText(id)), attribute.String("jetfn.id", e.Target.ID))...))
	s.End(trace.WithTimestamp(stored))
}

// Send is the span of a message on its way from one function to another, to an
// egress, or to the dead letters; nil if nobody wants it. End is told how it
// went.
func (t *Tracer) Send(c actor.Trace, name, destination string) func(actor.WriteResult) {
	if t == nil || !t.wants(&c) {
		return nil
	}
	_, s := t.start(within(c), name+destination, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(about("send", "send", destination)...))
	return func(r actor.WriteResult) { endWith(s, r.Err) }
}

// SendName and DeadLetterName are names for Send.
const (
	SendName       = spanSend
	DeadLetterName = spanDead
)

// Invoking is the span of a call of a function; nil if nobody wants it.
func (t *Tracer) Invoking(b *actor.Batch) actor.Invocation {
	if !b.Span.Traced() && !t.begin(b) {
		return nil
	}
	ctx, s := t.start(within(b.Span.Trace), spanInvoke+b.Target.Type.String(), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("faas.invoked_name", b.Target.Type.String()), attribute.String("faas.invoked_provider", "jetfn"),
		attribute.Int("jetfn.attempt", b.Attempt), attribute.Int("messaging.batch.message_count", len(b.Envelopes))))
	b.Span.Exchanges = &exchanges{tracer: t, ctx: ctx}
	return &invocation{span: s, batch: b}
}

// begin chooses the span that processes a batch: in the trace of its first
// message that has one, or in a trace of its own if that message was delayed.
func (t *Tracer) begin(b *actor.Batch) bool {
	i := firstTraced(t, len(b.Envelopes), func(i int) *actor.Envelope { return &b.Envelopes[i] })
	if i < 0 {
		return false
	}
	from, delayed := b.Envelopes[i].Trace.Delayed()
	id := contextOf(from).TraceID()
	if delayed {
		id = newTraceID()
	}
	b.Span.Trace, b.Span.Began = contextText(id, newSpanID(), from.State), time.Now().UnixNano()
	return true
}

// firstTraced is the first of n messages whose trace is recorded; -1: none is.
func firstTraced(t *Tracer, n int, message func(int) *actor.Envelope) int {
	for i := range n {
		if t.wants(&message(i).Trace) {
			return i
		}
	}
	return -1
}

// invocation is the span of one call.
type invocation struct {
	span  trace.Span
	batch *actor.Batch
}

// End implements actor.Invocation.
func (i *invocation) End(_ *actor.Effects, err error) {
	i.batch.Span.Ended, i.batch.Span.Exchanges = time.Now().UnixNano(), nil
	var lacks *actor.MissingEntries
	if errors.As(err, &lacks) {
		i.span.AddEvent("entries asked for")
		err = nil
	}
	var failed *actor.InvokeError
	if errors.As(err, &failed) {
		i.span.SetAttributes(attribute.String("error.type", failed.Reason))
	}
	endWith(i.span, err)
}

// exchanges makes spans of the requests of one call.
type exchanges struct {
	tracer *Tracer
	ctx    context.Context //nolint:containedctx // it is data: the call's span
	count  int
}

// Begin implements actor.Exchanges.
func (e *exchanges) Begin(to string) (actor.Trace, func(int, error)) {
	with := []attribute.KeyValue{attribute.String("http.request.method", "POST"), attribute.String("url.full", to)}
	if u, err := url.Parse(to); err == nil {
		with = append(with, attribute.String("server.address", u.Hostname()))
		if port, err := strconv.Atoi(u.Port()); err == nil {
			with = append(with, attribute.Int("server.port", port))
		}
	}
	if e.count > 0 {
		with = append(with, attribute.Int("http.request.resend_count", e.count))
	}
	e.count++
	_, s := e.tracer.start(e.ctx, spanPost, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(with...))
	return traceOf(s), func(status int, err error) {
		if status != 0 {
			s.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		endWith(s, err)
	}
}

// Committed makes the spans of what a durable commit did.
func (t *Tracer) Committed(c *actor.Committed) {
	c.DurableAt = time.Now().UnixNano()
	for i := range c.Done {
		d := &c.Done[i]
		if !d.Span.Traced() {
			continue
		}
		place := []attribute.KeyValue{
			attribute.Int("jetfn.partition", c.Partition), attribute.Int64("jetfn.epoch", int64(c.Epoch)), attribute.Int64("jetfn.commit", int64(c.Number)),
		}
		t.process(d, c.DurableAt, nil, place...)
		if d.Letter == nil && d.Span.Ended != 0 {
			t.part(d, spanCommit, d.Span.Ended, c.DurableAt, place...)
		}
	}
}

// Applied makes the spans of how the effects of a commit came into place.
func (t *Tracer) Applied(c *actor.Committed) {
	now := time.Now().UnixNano()
	for i := range c.Done {
		if d := &c.Done[i]; d.Span.Traced() {
			t.part(d, spanApply, c.DurableAt, now)
		}
	}
}

// Retreated makes the span of a batch that was put back.
func (t *Tracer) Retreated(d *actor.Done) {
	t.process(d, time.Now().UnixNano(), errRetreated)
}

var errRetreated = errors.New("the batch failed, its messages are tried in smaller ones")

// part is a span below that of a batch.
func (t *Tracer) part(d *actor.Done, name string, from, to int64, with ...attribute.KeyValue) {
	_, s := t.start(within(d.Span.Trace), name, trace.WithTimestamp(at(from)), trace.WithAttributes(with...))
	s.End(trace.WithTimestamp(at(max(from, to))))
}

// process makes the span of a batch: the parent's is that of its first traced
// message; the others, and a delayed one, are linked both ways.
func (t *Tracer) process(d *actor.Done, end int64, failure error, place ...attribute.KeyValue) {
	first := firstTraced(t, d.Len(), d.Message)
	if first < 0 {
		return
	}
	e, self := d.Message(first), contextOf(d.Span.Trace)
	stored := min(e.StoredAt*int64(time.Millisecond), d.Span.Began)
	if stored == 0 {
		stored = d.Span.Began
	}
	parent := within(e.Trace)
	var links []trace.Link
	if from, delayed := e.Trace.Delayed(); delayed {
		parent = empty()
		links = append(links, link(from, "delayed"))
	}
	for i := range d.Len() {
		if m := d.Message(i); i != first && t.wants(&m.Trace) {
			links = append(links, link(m.Trace, "batched"))
			t.follower(d, i, end)
		}
	}
	with := append(about("process", "process", d.Target.Type.String()),
		attribute.String("faas.trigger", "pubsub"), attribute.String("jetfn.id", d.Target.ID), attribute.Int("jetfn.attempts", d.Calls))
	if d.Len() > 1 {
		with = append(with, attribute.Int("messaging.batch.message_count", d.Len()))
	} else {
		with = append(with, attribute.String("messaging.message.id", inputText(d.Input(0))), attribute.Int("messaging.message.body.size", len(e.Value.Data)))
	}
	_, s := t.start(withIDs(parent, self), spanProcess+d.Target.Type.String(), trace.WithTimestamp(at(stored)),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...), trace.WithAttributes(append(with, place...)...))
	t.part(d, spanWait, stored, d.Span.Began)
	if l := d.Letter; l != nil {
		s.SetAttributes(attribute.String("error.type", l.Reason))
		failure = errors.New(l.Error)
	}
	if failure != nil {
		s.SetStatus(codes.Error, failure.Error())
	}
	s.End(trace.WithTimestamp(at(max(stored, end))))
}

// follower is the span of a message in the batch of another trace.
func (t *Tracer) follower(d *actor.Done, i int, end int64) {
	m := d.Message(i)
	stored := min(m.StoredAt*int64(time.Millisecond), d.Span.Began)
	_, s := t.start(within(m.Trace), spanProcess+d.Target.Type.String(), trace.WithTimestamp(at(stored)),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(link(d.Span.Trace, "batch")),
		trace.WithAttributes(append(about("process", "process", d.Target.Type.String()),
			attribute.String("jetfn.id", d.Target.ID), attribute.String("messaging.message.id", inputText(d.Input(i))))...))
	s.End(trace.WithTimestamp(at(max(stored, end))))
}

// link names what another span has to do with one.
func link(c actor.Trace, why string) trace.Link {
	return trace.Link{SpanContext: contextOf(c), Attributes: []attribute.KeyValue{attribute.String("jetfn.link", why)}}
}

// endWith ends a span that may have failed.
func endWith(s trace.Span, err error) {
	if err != nil {
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
}
