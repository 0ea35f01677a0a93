package gateway

import (
	"fmt"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// Protocol is a version of StateFun's remote protocol. Nothing in a message
// tells which one it is.
type Protocol uint8

const (
	// Protocol3 is that of StateFun 3.0 and later.
	Protocol3 Protocol = iota
	// Protocol2 is that of StateFun 2.0 to 2.2.
	Protocol2
)

// StateSpec declares a state of the functions of an endpoint of Protocol2.
type StateSpec struct {
	Name string
	// ExpireAfter is how long a value lives; zero means for ever.
	ExpireAfter time.Duration
	// AfterWrite counts that from the value's last write, not from the last
	// invocation of its address.
	AfterWrite bool
}

// codec is a protocol: what a batch and an answer look like as bytes. It is
// stateless; what a function declared is handed in.
type codec interface {
	// encode writes the body of a call that carries all of states, whether
	// they have a value in b or not. Errors are *invalidError.
	encode(b *actor.Batch, states []stateSpec) ([]byte, error)
	// decode reads the body of an answer. It checks what the protocol itself
	// says, not whether the states are known. Errors are *invalidError.
	decode(body []byte) (reply, error)
}

// reply is a decoded answer: missing states, or effects.
type reply struct {
	incomplete bool
	missing    []stateSpec
	effects    *actor.Effects
}

// expireMode says what a state's lifetime is counted from.
type expireMode uint8

const (
	expireNever expireMode = iota
	expireAfterWrite
	expireAfterInvoke
)

// stateSpec is a state as the function, or its module, declared it.
type stateSpec struct {
	name        string
	typename    string
	expireMode  expireMode
	expireAfter time.Duration
}

// declared are the states of functions of protocol 2.x.
func declared(list []StateSpec) []stateSpec {
	out := make([]stateSpec, len(list))
	for i, s := range list {
		out[i] = stateSpec{name: s.Name, typename: bytesType, expireAfter: s.ExpireAfter}
		switch {
		case s.ExpireAfter <= 0:
		case s.AfterWrite:
			out[i].expireMode = expireAfterWrite
		default:
			out[i].expireMode = expireAfterInvoke
		}
	}
	return out
}

// value is the value of s in state. One that an earlier declaration left with
// another type is an error: the function could not read it.
func (s *stateSpec) value(state actor.State) (actor.Value, bool, error) {
	v, ok := state.Get(s.name)
	if ok && v.Value.Type != s.typename {
		return actor.Value{}, false, forbidden(actor.ReasonBadType, fmt.Errorf(
			"state %q holds a value of the type %s, but is declared with the type %s now: declare the former, or remove the value",
			s.name, v.Value.Type, s.typename))
	}
	return v.Value, ok, nil
}

// lifetimes adds to the mutations of an invocation on state what the
// declarations say about expiration: how long values live that are written,
// and the renewal of those that live on with every invocation.
func lifetimes(mutations []actor.Mutation, specs []stateSpec, state actor.State) []actor.Mutation {
	for i := range specs {
		s := &specs[i]
		if s.expireMode == expireNever {
			continue
		}
		changed := false
		for j := range mutations {
			m := &mutations[j]
			if m.Name != s.name {
				continue
			}
			changed = true
			if !m.Delete {
				m.ExpireAfter = s.expireAfter
			}
		}
		if _, there := state.Get(s.name); there && !changed && s.expireMode == expireAfterInvoke {
			mutations = append(mutations, actor.Mutation{Name: s.name, Renew: true, ExpireAfter: s.expireAfter})
		}
	}
	return mutations
}

// invalidError is a call or an answer that breaks the protocol.
type invalidError struct {
	final  bool // no retry can help
	reason string
	err    error
}

func (e *invalidError) Error() string { return e.err.Error() }

func (e *invalidError) Unwrap() error { return e.err }

// garbled is an answer that can't be read; the next one may be better.
func garbled(err error) *invalidError {
	return &invalidError{reason: actor.ReasonProtocol, err: err}
}

// forbidden is an answer, or a call, that makes no sense however often it is
// repeated.
func forbidden(reason string, err error) *invalidError {
	return &invalidError{final: true, reason: reason, err: err}
}
