package sdk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	asyncCallType   = "io.jetfn.types/async-call"
	asyncResultType = "io.jetfn.types/async-result"
)

// Status is how asynchronous work ended.
type Status string

const (
	// Success means that the work returned without an error.
	Success Status = "success"
	// Failed means that it returned one.
	Failed Status = "failure"
	// Unknown means that a process died, or was not heard of in time, while
	// the work ran: it may have been done, half done, or not begun.
	Unknown Status = "unknown"
)

// Result is what became of asynchronous work.
type Result[In, Out any] struct {
	In     In
	Out    Out // if Status is Success
	Status Status
	Err    error // its text is the work's; nil if Status is Success
}

// Work is asynchronous work that a Function declares.
type Work interface {
	name() string
	run(ctx context.Context, attempt int, call *asyncCall) (*asyncResult, error)
	finish(ctx Context, r *asyncResult) error
}

// Async is work that takes long, such as a request to another system, and
// happens outside the invocation that starts it: meanwhile the address takes
// other messages. Its result comes back to the address as a message, which
// goes to a function of its own.
//
// The work is itself a call of the function's type, to an address made for
// it. So it is durable, survives restarts of worker and function, counts
// among the calls in flight, and has the endpoint's time limit for calls.
type Async[In, Out any] struct {
	AsyncConfig[In, Out]
}

// AsyncConfig describes Async work.
type AsyncConfig[In, Out any] struct {
	// Name tells the works of a function apart. It must stay what it is while
	// work is under way.
	Name string
	In   Type[In]
	Out  Type[Out]
	// Work does it. An error ends it as Failed; with Idempotent a RetryAfter
	// asks for another attempt instead.
	Work func(ctx context.Context, in In) (Out, error)
	// Then gets the result, as an invocation of the address that started it.
	Then func(ctx Context, r Result[In, Out]) error
	// Idempotent says that the work may be done again: it is, rather than
	// reported as Unknown.
	Idempotent bool
}

// NewAsync describes work. It has to be declared with its Function.
func NewAsync[In, Out any](cfg AsyncConfig[In, Out]) *Async[In, Out] {
	return &Async[In, Out]{AsyncConfig: cfg}
}

// Start starts the work when the invocation has succeeded.
func (a *Async[In, Out]) Start(ctx Context, in In) {
	v := a.In.Of(in)
	if v.err != nil {
		ctx.call().fail(v.err)
		return
	}
	self := ctx.Self()
	call := asyncCall{Work: a.Name, Origin: self.ID, In: wireValue{v.Type, v.Data}}
	ctx.Send(Address{Type: self.Type, ID: self.ID + "~" + a.Name + "~" + rand.Text()}, call.typed())
}

// asyncCall is the message that asks for work.
type asyncCall struct {
	Work   string    `json:"work"`
	Origin string    `json:"origin"` // the id of the address that started it
	In     wireValue `json:"in"`
}

// asyncResult is the message that says how it ended.
type asyncResult struct {
	Work   string     `json:"work"`
	Status Status     `json:"status"`
	In     wireValue  `json:"in"`
	Out    *wireValue `json:"out,omitempty"`
	Error  string     `json:"error,omitempty"`
}

type wireValue struct {
	Type string `json:"type"`
	Data []byte `json:"value"`
}

func (v wireValue) typed() TypedValue { return TypedValue{Type: v.Type, Data: v.Data} }

func (c *asyncCall) typed() TypedValue { return JSON[*asyncCall](asyncCallType).Of(c) }

func (a *Async[In, Out]) name() string { return a.Name }

func (a *Async[In, Out]) run(ctx context.Context, attempt int, call *asyncCall) (*asyncResult, error) {
	if attempt > 1 && !a.Idempotent {
		return &asyncResult{Work: a.Name, In: call.In, Status: Unknown, Error: "an earlier attempt may have happened"}, nil
	}
	in, err := a.In.From(call.In.typed())
	if err != nil {
		return nil, Never(err)
	}
	out, err := a.Work(ctx, in)
	var again *Failure
	if err != nil && a.Idempotent && (ctx.Err() != nil || errors.As(err, &again) && !again.Never) {
		return nil, err
	}
	return a.ended(call, out, err), nil
}

// ended is the result of work that has returned.
func (a *Async[In, Out]) ended(call *asyncCall, out Out, err error) *asyncResult {
	var v TypedValue
	if err == nil {
		v = a.Out.Of(out)
		err = v.err
	}
	if err != nil {
		return &asyncResult{Work: a.Name, In: call.In, Status: Failed, Error: err.Error()}
	}
	return &asyncResult{Work: a.Name, In: call.In, Status: Success, Out: &wireValue{v.Type, v.Data}}
}

func (a *Async[In, Out]) finish(ctx Context, r *asyncResult) error {
	in, err := a.In.From(r.In.typed())
	if err != nil {
		return Never(err)
	}
	out := Result[In, Out]{In: in, Status: r.Status}
	if r.Error != "" || r.Status != Success {
		out.Err = errors.New(strings.TrimSpace(string(r.Status) + ": " + r.Error))
	}
	if r.Out != nil {
		if out.Out, err = a.Out.From(r.Out.typed()); err != nil {
			return Never(err)
		}
	}
	return a.Then(ctx, out)
}

// work does what an asyncCall asks for, at the address made for it.
func (b *bound) work(in *invocation, m Message) error {
	call := asyncCall{}
	if err := json.Unmarshal(m.Data, &call); err != nil {
		return Never(fmt.Errorf("read a call of asynchronous work: %w", err))
	}
	if in.caller != (Address{Type: in.Self().Type, ID: call.Origin}) {
		return Never(fmt.Errorf("a call of asynchronous work comes from %s, not from who asks for it", in.caller))
	}
	w := b.async[call.Work]
	if w == nil {
		return Never(fmt.Errorf("%s has no asynchronous work %q", in.Self().Type, call.Work))
	}
	r, err := w.run(in, in.Attempt(), &call)
	if err != nil {
		return err
	}
	in.Send(Address{Type: in.Self().Type, ID: call.Origin}, JSON[*asyncResult](asyncResultType).Of(r))
	return nil
}

// result hands the end of work to whoever waits for it.
func (b *bound) result(in *invocation, m Message) error {
	r := asyncResult{}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return Never(fmt.Errorf("read a result of asynchronous work: %w", err))
	}
	if in.caller.Type != in.Self().Type {
		return Never(fmt.Errorf("a result of asynchronous work comes from %s, not from a function of this type", in.caller))
	}
	w := b.async[r.Work]
	if w == nil {
		return Never(fmt.Errorf("%s has no asynchronous work %q", in.Self().Type, r.Work))
	}
	return w.finish(in, &r)
}
