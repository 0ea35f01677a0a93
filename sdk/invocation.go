package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"
)

// invocation is a Batch being answered. It is the Context of each of its
// messages in turn.
type invocation struct {
	context.Context //nolint:containedctx // it is the Context that functions get

	function *bound
	batch    *Batch
	logger   *slog.Logger
	caller   Address

	cells      map[string]*cell
	touched    []*cell // in the order of their first change
	registered map[string]bool
	missing    []StateSpec
	effects    Effects
	failed     error // the first effect that can't be
}

// cell is a state within a call.
type cell struct {
	spec    StateSpec
	value   TypedValue
	present bool
	changed bool
	page    *page // of a table: what value holds, or will
}

// encoded is the value to be stored.
func (c *cell) encoded() TypedValue {
	if c.page != nil && c.present {
		return JSON[*page](pageType).Of(c.page)
	}
	return c.value
}

// missingState is the panic by which a call ends that lacks states.
type missingState struct{}

func newInvocation(ctx context.Context, f *bound, b *Batch, logger *slog.Logger) *invocation {
	in := &invocation{
		Context: ctx, function: f, batch: b, logger: logger,
		cells: make(map[string]*cell, len(b.States)),
	}
	for i := range b.States {
		s := &b.States[i]
		in.cells[s.Name] = &cell{spec: StateSpec{Name: s.Name}, value: s.Value, present: s.Present}
	}
	return in
}

// run calls the function with each message of the batch.
func (in *invocation) run() (*Effects, error) {
	for _, spec := range in.function.specs {
		if in.cells[spec.Name] == nil && !in.batch.Complete {
			in.missing = append(in.missing, spec)
		}
	}
	for i := range in.batch.Messages {
		if len(in.missing) > 0 {
			return &Effects{Missing: in.missing}, nil
		}
		m := &in.batch.Messages[i]
		in.caller, in.registered = m.Caller, map[string]bool{}
		if err := in.one(m.Value); err != nil {
			return nil, err
		}
	}
	if len(in.missing) > 0 {
		return &Effects{Missing: in.missing}, nil
	}
	for _, c := range in.touched {
		in.effects.Mutations = append(in.effects.Mutations, Mutation{Spec: c.spec, Delete: !c.present, Value: c.encoded()})
	}
	return &in.effects, nil
}

// one handles a message. Missing states end it without an error.
func (in *invocation) one(m Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = in.recovered(v)
		}
		if err == nil && len(in.missing) == 0 {
			err = in.failed
		}
	}()
	return in.function.handle(in, m)
}

func (*invocation) recovered(v any) error {
	switch v := v.(type) {
	case missingState:
		return nil
	case *StateError:
		return v
	default:
		return &PanicError{Value: v, Stack: debug.Stack()}
	}
}

// cell returns a state's cell, or ends the call to ask for it.
func (in *invocation) cell(spec StateSpec) *cell {
	c := in.cells[spec.Name]
	switch {
	case c != nil:
		c.spec = spec
	case in.batch.Complete && !isEntry(spec.Name):
		c = in.absent(spec)
	default:
		in.want(spec)
		panic(missingState{})
	}
	return c
}

// prefetch asks for all of the states at once that the call doesn't have.
func (in *invocation) prefetch(specs ...StateSpec) {
	missing := false
	for _, spec := range specs {
		if in.cells[spec.Name] == nil {
			in.want(spec)
			missing = true
		}
	}
	if missing {
		panic(missingState{})
	}
}

// want notes that the call has to be repeated with a state.
func (in *invocation) want(spec StateSpec) {
	if !slices.ContainsFunc(in.missing, func(s StateSpec) bool { return s.Name == spec.Name }) {
		in.missing = append(in.missing, spec)
	}
}

func (in *invocation) absent(spec StateSpec) *cell {
	c := &cell{spec: spec}
	in.cells[spec.Name] = c
	return c
}

// put writes a state, which need not be known. A value there has to be of the
// type that is tells.
func (in *invocation) put(spec StateSpec, v TypedValue, is func(TypedValue) bool) {
	c := in.change(spec)
	if c.present && !is(c.value) {
		panic(in.stateError(spec.Name, fmt.Errorf("its value is of type %s, not %s", c.value.Type, v.Type)))
	}
	c.value, c.present = v, true
}

func (in *invocation) remove(spec StateSpec) {
	c := in.change(spec)
	c.value, c.page, c.present = TypedValue{}, nil, false
}

// eventually does what has no result. Where it lacks states it is left for
// the repetition of the call, and the function goes on: what it lacks besides
// is then asked for at the same time.
func (*invocation) eventually(do func()) {
	defer func() {
		if v := recover(); v != nil {
			if _, missing := v.(missingState); !missing {
				panic(v)
			}
		}
	}()
	do()
}

func (in *invocation) change(spec StateSpec) *cell {
	c := in.cells[spec.Name]
	if c == nil && isEntry(spec.Name) {
		c = in.absent(spec) // entries are written without being read
	}
	if c == nil {
		c = in.cell(spec)
	}
	c.spec = spec
	if !c.changed {
		c.changed = true
		in.touched = append(in.touched, c)
	}
	return c
}

func (in *invocation) declared(name string) bool {
	return slices.ContainsFunc(in.function.specs, func(s StateSpec) bool { return s.Name == name })
}

func (in *invocation) stateError(name string, err error) *StateError {
	return &StateError{Self: in.batch.Self, Name: name, Err: err}
}

func (in *invocation) call() *invocation { return in }

// fail keeps the first reason why what the function asked for can't be.
func (in *invocation) fail(err error) {
	if in.failed == nil && err != nil {
		in.failed = Never(err)
	}
}

func (in *invocation) Self() Address { return in.batch.Self }

func (in *invocation) Caller() Address { return in.caller }

func (in *invocation) Attempt() int { return max(in.batch.Attempt, 1) }

func (in *invocation) Trace() (parent, state string) { return in.batch.Parent, in.batch.State }

func (in *invocation) Logger() *slog.Logger {
	return in.logger.With("target", in.batch.Self.String())
}

func (in *invocation) Send(to Address, v TypedValue) {
	in.fail(sendable(to, v))
	in.effects.Sends = append(in.effects.Sends, Send{To: to, Value: v})
}

func (in *invocation) SendAfter(d time.Duration, to Address, v TypedValue) {
	in.SendCancellable("", d, to, v)
}

func (in *invocation) SendCancellable(token string, d time.Duration, to Address, v TypedValue) {
	in.fail(sendable(to, v))
	if d < 0 {
		in.fail(fmt.Errorf("a message to %s is delayed by %v", to, d))
	}
	in.effects.Delayed = append(in.effects.Delayed, Delayed{After: d, To: to, Value: v, Token: token})
}

func (in *invocation) Cancel(token string) {
	if token == "" {
		in.fail(errors.New("a cancellation has no token"))
		return
	}
	in.effects.Delayed = append(in.effects.Delayed, Delayed{Token: token, Cancel: true})
}

func (in *invocation) Reply(v TypedValue) error {
	if in.caller.IsZero() {
		return ErrNoCaller
	}
	in.Send(in.caller, v)
	return nil
}

func (in *invocation) Egress(r Record) {
	in.fail(r.err)
	in.fail(r.Value.err)
	in.effects.Records = append(in.effects.Records, r)
}

func sendable(to Address, v TypedValue) error {
	switch {
	case v.err != nil:
		return v.err
	case v.Type == "":
		return fmt.Errorf("a message to %s has no type", to)
	}
	return to.check()
}
