package sdk

import (
	"errors"
	"fmt"
	"sync"
)

// ErrRegistered is wrapped by the error about a state that was registered
// twice in one invocation, or is declared with the function.
var ErrRegistered = errors.New("the state is registered already")

// ErrOtherType is wrapped by the error about a state that was registered with
// another type earlier.
var ErrOtherType = errors.New("the state is registered with another type")

// StateRegistry is for functions that learn the names of their states from
// messages. It is declared with the function, like a state; [Register] adds
// to it in an invocation. A value is found again under its name ever after,
// also by another process, once the name is registered there.
//
// A remote function that registers a name which the worker doesn't know yet
// is called anew with the state's value, so the invocation up to there
// happens twice; nothing of the first time takes effect.
type StateRegistry struct {
	mu    sync.Mutex
	types map[string]string // by name
}

// NewStateRegistry returns an empty registry.
func NewStateRegistry() *StateRegistry { return &StateRegistry{types: map[string]string{}} }

// Register returns the state called name, with which the rest of the
// invocation can work. The error wraps ErrRegistered or ErrOtherType, or says
// what is wrong with the declaration.
func Register[T any](ctx Context, r *StateRegistry, name string, t Type[T], opts ...StateOption) (Value[T], error) {
	v := NewValue(name, t, opts...)
	if err := v.check(); err != nil {
		return Value[T]{}, err
	}
	if err := r.note(name, t.name); err != nil {
		return Value[T]{}, err
	}
	in := ctx.call()
	if in.declared(name) || in.registered[name] {
		return Value[T]{}, fmt.Errorf("%w: %s", ErrRegistered, name)
	}
	c := in.cell(v.spec) // may end this invocation, to be called with the state
	if c.present && !t.Is(c.value) {
		return Value[T]{}, fmt.Errorf("%w: %s has a value of type %s, not %s", ErrOtherType, name, c.value.Type, t.name)
	}
	in.registered[name] = true
	return v, nil
}

func (r *StateRegistry) note(name, typename string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.types[name]; ok && before != typename {
		return fmt.Errorf("%w: %s has the type %s, not %s", ErrOtherType, name, before, typename)
	}
	if len(r.types) < maxRemembered { // the stored value's own type is checked as well
		r.types[name] = typename
	}
	return nil
}

// maxRemembered bounds what names made up by messages take in memory.
const maxRemembered = 10_000

func (*StateRegistry) specs() []StateSpec { return nil }

func (*StateRegistry) check() error { return nil }
