package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/wire"
)

const (
	// tailBuffer is how many events wait for a reader; those beyond are missed.
	tailBuffer = 1024
	// tailText is how much of a value is shown.
	tailText = 200
)

// tails hands events to those who want to see them. Without any it costs one
// look at a number. It is safe for many goroutines.
type tails struct {
	readers atomic.Int32
	ended   chan struct{}

	mu   sync.Mutex
	list map[*tail]struct{}
}

// tail is one reader.
type tail struct {
	query  gateway.TailQuery
	events chan *gateway.TailEvent
	missed atomic.Uint64
}

func newTails() *tails { return &tails{ended: make(chan struct{}), list: map[*tail]struct{}{}} }

// wanted reports whether anybody reads.
func (t *tails) wanted() bool { return t.readers.Load() > 0 }

// tell hands an event to those who asked for it.
func (t *tails) tell(wants func(*gateway.TailQuery) bool, e *gateway.TailEvent) {
	e.At = time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
	t.mu.Lock()
	defer t.mu.Unlock()
	for r := range t.list {
		if !wants(&r.query) {
			continue
		}
		own := *e
		own.Missed = r.missed.Swap(0)
		select {
		case r.events <- &own:
		default:
			r.missed.Add(own.Missed + 1)
		}
	}
}

// Tail implements gateway.Tail.
func (t *tails) Tail(ctx context.Context, q gateway.TailQuery, emit func(*gateway.TailEvent) error) error {
	r := &tail{query: q, events: make(chan *gateway.TailEvent, tailBuffer)}
	t.mu.Lock()
	t.list[r] = struct{}{}
	t.mu.Unlock()
	t.readers.Add(1)
	defer func() {
		t.readers.Add(-1)
		t.mu.Lock()
		delete(t.list, r)
		t.mu.Unlock()
	}()
	pulse := time.NewTicker(gateway.TailPulse())
	defer pulse.Stop()
	for {
		var e *gateway.TailEvent
		select {
		case e = <-r.events:
		case <-pulse.C:
		case <-t.ended:
			return nil
		case <-ctx.Done():
			return nil
		}
		if err := emit(e); err != nil {
			return err
		}
	}
}

// about are those who want to know of a function type.
func about(name actor.TypeName) func(*gateway.TailQuery) bool {
	return func(q *gateway.TailQuery) bool {
		return q.Function == name || q.Function.Name == actor.AnyName && q.Function.Namespace == name.Namespace
	}
}

// committed tells of messages that have taken effect.
func (t *tails) committed(c *actor.Committed) {
	now := time.Now().UnixMilli()
	for i := range c.Done {
		d := &c.Done[i]
		for j := range d.Len() {
			m := d.Message(j)
			e := &gateway.TailEvent{Kind: gateway.TailProcessed, Address: d.Target.String(), Messages: d.Len(), Attempt: d.Calls, TraceID: m.Trace.ID()}
			showValue(e, m)
			if m.StoredAt != 0 {
				e.Took = max(now-m.StoredAt, 0)
			}
			if d.Letter != nil {
				e.Kind, e.Reason, e.Error = gateway.TailDeadLetter, d.Letter.Reason, d.Letter.Error
			}
			t.tell(about(d.Target.Type), e)
		}
	}
}

// showValue shows a message's value.
func showValue(e *gateway.TailEvent, m *actor.Envelope) {
	e.Type, e.Bytes, e.Text = m.Value.Type, len(m.Value.Data), shortText(m.Value)
	if !m.Caller.IsZero() {
		e.Caller = m.Caller.String()
	}
}

// shortText is a value of a built-in type as text, shortened; nil: it is of
// another.
func shortText(v actor.Value) *string {
	text, ok := wire.Text(v.Type, v.Data)
	if !ok {
		return nil
	}
	if runes := []rune(text); len(runes) > tailText {
		text = string(runes[:tailText]) + "…"
	}
	return &text
}

// failed tells of an attempt that failed.
func (t *tails) failed(b *actor.Batch, err error) {
	e := &gateway.TailEvent{Kind: gateway.TailFailed, Address: b.Target.String(), Messages: len(b.Envelopes), Attempt: b.Attempt, Error: err.Error()}
	if len(b.Envelopes) > 0 {
		e.TraceID = b.Envelopes[0].Trace.ID()
	}
	t.tell(about(b.Target.Type), e)
}

// stored tells of a message that is in the egress stream or among the dead
// letters.
func (t *tails) stored(m *actor.SinkMessage, id string) {
	e := &gateway.TailEvent{ID: id, Address: m.Source.String(), TraceID: m.Trace.ID()}
	if l := m.DeadLetter; l != nil {
		e.Kind, e.Address, e.Reason, e.Error, e.Attempt = gateway.TailDeadLetter, l.Envelope.Target.String(), l.Reason, l.Error, l.Attempts
		showValue(e, &l.Envelope)
		t.tell(func(q *gateway.TailQuery) bool { return q.DeadLetters }, e)
		return
	}
	e.Kind, e.Egress, e.Key = gateway.TailEgress, m.Egress.ID.String(), m.Egress.Key
	e.Type, e.Bytes, e.Text = m.Egress.Value.Type, len(m.Egress.Value.Data), shortText(m.Egress.Value)
	t.tell(func(q *gateway.TailQuery) bool { return q.Egress }, e)
}

// tellingSink tells of what it has stored.
type tellingSink struct {
	actor.Sink
	tails *tails
	id    func(actor.SinkID) string
}

// Publish implements actor.Sink.
func (s tellingSink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	if !s.tails.wanted() {
		s.Sink.Publish(m, mark, done)
		return
	}
	s.Sink.Publish(m, mark, s.telling(m, done))
}

// telling has done tell of m before. It is apart from Publish since m lives on
// in it, and would do so for every message.
func (s tellingSink) telling(m actor.SinkMessage, done func(actor.WriteResult)) func(actor.WriteResult) {
	return func(r actor.WriteResult) {
		if r.Outcome == actor.Stored {
			s.tails.stored(&m, s.id(m.ID))
		}
		done(r)
	}
}
