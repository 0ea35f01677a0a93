package sdk

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// State is something that addresses of a function remember: a [Value] or what
// else this package makes. A State holds no data, only its declaration; it is
// declared with its function, and used with the Context of a call.
type State interface {
	specs() []StateSpec
	check() error
}

// Value is a state with one value of T, or none.
type Value[T any] struct {
	spec StateSpec
	typ  Type[T]
}

// StateOption changes the declaration of a state.
type StateOption func(*StateSpec)

// AfterWrite lets the value cease to exist when it was not written for d.
func AfterWrite(d time.Duration) StateOption {
	return func(s *StateSpec) { s.Expire = Expiration{Mode: ExpireAfterWrite, After: d} }
}

// AfterInvoke lets the value cease to exist when its address was not called
// for d.
func AfterInvoke(d time.Duration) StateOption {
	return func(s *StateSpec) { s.Expire = Expiration{Mode: ExpireAfterInvoke, After: d} }
}

// NewValue declares a state. Its name consists of letters, digits, "_" and
// "-"; it and its type must stay what they are once something is stored.
func NewValue[T any](name string, t Type[T], opts ...StateOption) Value[T] {
	v := Value[T]{spec: StateSpec{Name: name, Type: t.name}, typ: t}
	for _, opt := range opts {
		opt(&v.spec)
	}
	return v
}

// Name is the state's name.
func (v Value[T]) Name() string { return v.spec.Name }

// Type is the type of its value.
func (v Value[T]) Type() Type[T] { return v.typ }

// Get returns the value, or the zero T if there is none.
func (v Value[T]) Get(ctx Context) T {
	out, _ := v.Lookup(ctx)
	return out
}

// Lookup returns the value and whether there is one.
func (v Value[T]) Lookup(ctx Context) (out T, ok bool) {
	in := ctx.call()
	c := in.cell(v.spec)
	if !c.present {
		return out, false
	}
	out, err := v.typ.From(c.value)
	if err != nil {
		panic(in.stateError(v.spec.Name, err))
	}
	return out, true
}

// Set makes x the value.
func (v Value[T]) Set(ctx Context, x T) {
	in := ctx.call()
	value := v.typ.Of(x)
	if value.err != nil {
		panic(in.stateError(v.spec.Name, value.err))
	}
	in.put(v.spec, value, v.typ.Is)
}

// Remove leaves no value.
func (v Value[T]) Remove(ctx Context) { ctx.call().remove(v.spec) }

func (v Value[T]) specs() []StateSpec { return []StateSpec{v.spec} }

func (v Value[T]) check() error { return checkSpec(v.spec) }

func checkSpec(s StateSpec) error {
	switch {
	case s.Name == "":
		return errors.New("a state has no name")
	case !plainName(s.Name):
		return fmt.Errorf("state name %q: only letters, digits, _ and - are allowed", s.Name)
	case s.Type == "":
		return fmt.Errorf("state %s has no type", s.Name)
	case s.Expire.Mode != ExpireNever && s.Expire.After < time.Millisecond:
		return fmt.Errorf("state %s expires after %v, which is less than a millisecond", s.Name, s.Expire.After)
	}
	return nil
}

func plainName(s string) bool {
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return s != ""
}

// isEntry reports whether name is that of one entry of a table or buffer,
// "<state>/<key>". Entries are stored by themselves and loaded on demand.
func isEntry(name string) bool { return strings.Contains(name, "/") }
