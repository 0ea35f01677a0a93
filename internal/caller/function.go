package caller

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jetfn/jetfn/actor"
)

const (
	// Keep is how long a kept caller remembers its call, from its last change.
	Keep = 24 * time.Hour
	// maxWaiting bounds those who wait for one kept caller.
	maxWaiting = 100
	stateName  = "call"
)

// Function is jetfn/caller: the callers that are kept (PROTOCOL G2).
type Function struct {
	// MaxAnswer returns the largest answer that can be kept, in bytes.
	MaxAnswer func() int
	// Now is the time; the default is time.Now.
	Now func() time.Time
}

// Invoke implements actor.Function.
func (f *Function) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	t := &turn{f: f, self: b.Target, now: f.now(), effects: &actor.Effects{}}
	if s, ok := b.State.Get(stateName); ok {
		r, err := decodeRecord(s.Value.Data)
		if err != nil {
			return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonProtocol, Err: err}
		}
		t.record = r
	}
	for i := range b.Envelopes {
		e := &b.Envelopes[i]
		var input actor.InputID
		if i < len(b.Inputs) {
			input = b.Inputs[i]
		}
		if err := t.take(e, input); err != nil {
			return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonProtocol, Err: err}
		}
	}
	if t.changed {
		t.effects.Mutations = []actor.Mutation{{Name: stateName, Value: t.record.encode(), ExpireAfter: Keep}}
	}
	return t.effects, nil
}

func (f *Function) now() int64 {
	if f.Now != nil {
		return f.Now().UnixMilli()
	}
	return time.Now().UnixMilli()
}

// turn is one invocation of a kept caller.
type turn struct {
	f       *Function
	self    actor.Address
	now     int64
	record  *record // nil: there is no call
	changed bool
	effects *actor.Effects
}

// take handles one message: a request of a gateway, whose caller waits there,
// or an answer, whose caller is a function, or nobody if the message that was
// sent on was given up.
func (t *turn) take(e *actor.Envelope, input actor.InputID) error {
	_, waits := e.Caller.WaitsAt()
	switch {
	case waits && e.Value.Type == requestType:
		r, err := decodeRequest(e.Value.Data)
		if err != nil {
			return err
		}
		t.request(e.Caller, &r, input)
	case e.Caller == t.self && e.Value.Type == requestType: // a send that was delayed
		r, err := decodeRequest(e.Value.Data)
		if err != nil {
			return err
		}
		t.forward(&r)
	case e.Caller.IsZero() && e.Value.Type == actor.FailureType:
		t.settle(statusFailed, e.Value)
	case !e.Caller.IsZero():
		t.settle(t.fit(e))
	}
	return nil
}

// request answers a gateway, now or later.
func (t *turn) request(client actor.Address, r *request, input actor.InputID) {
	switch {
	case r.what == whatLook && t.record == nil:
		t.reply(client, &answer{status: statusUnknown})
		return
	case r.what == whatLook:
		t.reply(client, &t.record.answer)
		return
	case t.record == nil:
		t.begin(r, input)
	case !bytes.Equal(t.record.print, fingerprint(r.value)):
		t.reply(client, &answer{status: statusMismatch})
		return
	}
	if t.record.status != statusOpen || r.later {
		t.reply(client, &t.record.answer)
		return
	}
	t.wait(client, r.until)
}

// begin sends a call's message on.
func (t *turn) begin(r *request, input actor.InputID) {
	t.record = &record{print: fingerprint(r.value), answer: answer{status: statusOpen}}
	t.changed = true
	if r.what == whatCall {
		t.effects.Sends = append(t.effects.Sends, actor.Send{Target: r.target, Value: r.value})
		return
	}
	t.record.status, t.record.input = statusStored, input
	if r.delay == 0 {
		t.forward(r)
		return
	}
	later := request{what: whatSend, target: r.target, value: r.value}
	t.effects.Delayed = append(t.effects.Delayed, actor.Delayed{Delay: r.delay, Target: t.self, Value: later.encode()})
}

// forward sends the message of a send, as any from outside.
func (t *turn) forward(r *request) {
	t.effects.Sends = append(t.effects.Sends, actor.Send{Target: r.target, Value: r.value, Caller: &actor.Address{}})
}

// wait notes that client wants the answer. Those who have ceased to wait make
// room.
func (t *turn) wait(client actor.Address, until int64) {
	var alive []waiter
	for _, w := range t.record.waiting {
		if w.until > t.now {
			alive = append(alive, w)
		}
	}
	if len(alive) >= maxWaiting {
		t.reply(client, &answer{status: statusBusy})
		return
	}
	t.record.waiting = append(alive, waiter{client.ID, until})
	t.changed = true
}

// fit is how an answer of a function is kept.
func (t *turn) fit(e *actor.Envelope) (status, actor.Value) {
	size := len(e.Value.Data) + len(e.Value.Type)
	if t.f.MaxAnswer == nil || size <= t.f.MaxAnswer() {
		return statusAnswered, e.Value
	}
	f := actor.Failure{
		Reason: actor.ReasonLimit,
		Error:  fmt.Sprintf("the answer of %s has %d bytes, of a call with a key or in the background %d can be kept", e.Caller, size, t.f.MaxAnswer()),
	}
	return statusFailed, f.Value()
}

// settle takes the first answer. One after a failure counts: the message was
// replayed.
func (t *turn) settle(s status, v actor.Value) {
	r := t.record
	if r == nil || r.status != statusOpen && (r.status != statusFailed || s != statusAnswered) {
		return
	}
	r.status, r.value = s, v
	for _, w := range r.waiting {
		if w.until > t.now {
			t.reply(actor.Address{Type: actor.CallerType(), ID: w.id}, &r.answer)
		}
	}
	r.waiting, t.changed = nil, true
}

func (t *turn) reply(client actor.Address, a *answer) {
	t.effects.Sends = append(t.effects.Sends, actor.Send{Target: client, Value: a.encode()})
}
