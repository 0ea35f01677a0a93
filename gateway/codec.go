package gateway

import (
	"time"

	"github.com/jetfn/jetfn/actor"
)

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

// stateSpec is a state as the function declared it.
type stateSpec struct {
	name        string
	typename    string
	expireMode  expireMode
	expireAfter time.Duration
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
