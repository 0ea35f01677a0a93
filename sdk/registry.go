package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Function binds a Func to a type.
type Function struct {
	// Type is "namespace/name". A name of "*" serves every type of the
	// namespace that has no binding of its own.
	Type   string
	Invoke Func
	States []State
	// Async is the work that the function starts outside its invocations.
	Async []Work
}

// Registry is the functions of a program. It is immutable and may be used by
// many goroutines.
type Registry struct {
	functions map[TypeName]*bound
	logger    *slog.Logger
}

// bound is a checked Function.
type bound struct {
	invoke Func
	specs  []StateSpec
	async  map[string]Work
}

// RegistryOption changes a Registry.
type RegistryOption func(*Registry)

// WithLogger is where Context.Logger logs to. The default is slog.Default at
// the time of NewRegistry.
func WithLogger(l *slog.Logger) RegistryOption { return func(r *Registry) { r.logger = l } }

// NewRegistry checks functions and returns them as a Registry. Its error
// names all that is wrong.
func NewRegistry(functions []Function, opts ...RegistryOption) (*Registry, error) {
	r := &Registry{functions: map[TypeName]*bound{}, logger: slog.Default()}
	for _, opt := range opts {
		opt(r)
	}
	var problems []error
	for i := range functions {
		if err := r.bind(&functions[i]); err != nil {
			problems = append(problems, fmt.Errorf("function %q: %w", functions[i].Type, err))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return r, nil
}

func (r *Registry) bind(f *Function) error {
	name, err := ParseTypeName(f.Type)
	switch {
	case err != nil:
		return err
	case strings.Contains(name.Namespace, "*") || strings.Contains(name.Name, "*") && name.Name != "*":
		return errors.New(`"*" may only stand for the whole name`)
	case r.functions[name] != nil:
		return errors.New("it is bound twice")
	case f.Invoke == nil:
		return errors.New("it has no Invoke")
	}
	b := &bound{invoke: f.Invoke, async: map[string]Work{}}
	seen := map[string]bool{}
	for _, s := range f.States {
		if err := s.check(); err != nil {
			return err
		}
		for _, spec := range s.specs() {
			if seen[spec.Name] {
				return fmt.Errorf("state %s is declared twice", spec.Name)
			}
			seen[spec.Name] = true
			b.specs = append(b.specs, spec)
		}
	}
	for _, w := range f.Async {
		if b.async[w.name()] != nil {
			return fmt.Errorf("work %s is declared twice", w.name())
		}
		b.async[w.name()] = w
	}
	r.functions[name] = b
	return nil
}

// ErrUnknownFunction is wrapped by the error about a call for a type that the
// Registry has no function for.
var ErrUnknownFunction = errors.New("no such function")

// Types are the types bound, with "*" for whole namespaces, in no order.
func (r *Registry) Types() []TypeName {
	out := make([]TypeName, 0, len(r.functions))
	for name := range r.functions {
		out = append(out, name)
	}
	return out
}

// States are the declared states of a function type; false if there is none.
func (r *Registry) States(t TypeName) ([]StateSpec, bool) {
	b := r.lookup(t)
	if b == nil {
		return nil, false
	}
	return b.specs, true
}

func (r *Registry) lookup(t TypeName) *bound {
	if b := r.functions[t]; b != nil {
		return b
	}
	return r.functions[TypeName{Namespace: t.Namespace, Name: "*"}]
}

// Invoke answers a batch: what transports call. An error means that nothing
// of it took effect; it may wrap a *Failure.
func (r *Registry) Invoke(ctx context.Context, b *Batch) (*Effects, error) {
	f := r.lookup(b.Self.Type)
	if f == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownFunction, b.Self.Type)
	}
	return newInvocation(ctx, f, b, r.logger).run() //nolint:contextcheck // the invocation is the context
}

// handle hands a message to the function, or to the work that it belongs to.
func (b *bound) handle(in *invocation, m Message) error {
	switch m.Type {
	case asyncCallType:
		return b.work(in, m)
	case asyncResultType:
		return b.result(in, m)
	}
	return b.invoke(in, m)
}

// On is a part of Match: fn is called with messages of type t.
func On[T any](t Type[T], fn func(ctx Context, v T) error) Case {
	return Case{typename: t.name, is: t.Is, invoke: func(ctx Context, m Message) error {
		v, err := t.From(m)
		if err != nil {
			return Never(err)
		}
		return fn(ctx, v)
	}}
}

// Otherwise is the part of Match for messages of all other types.
func Otherwise(fn Func) Case { return Case{invoke: fn} }

// Case is a part of Match.
type Case struct {
	typename string
	is       func(v TypedValue) bool // nil: any
	invoke   Func
}

// Match returns a function that hands each message to the first case for its
// type. A message that fits none fails for good, and its error lists the
// types that would.
func Match(cases ...Case) Func {
	return func(ctx Context, m Message) error {
		for i := range cases {
			if cases[i].is == nil || cases[i].is(m) {
				return cases[i].invoke(ctx, m)
			}
		}
		names := make([]string, len(cases))
		for i := range cases {
			names[i] = cases[i].typename
		}
		return Never(fmt.Errorf("%s takes no message of type %s, only %s", ctx.Self().Type, m.Type, strings.Join(names, ", ")))
	}
}
