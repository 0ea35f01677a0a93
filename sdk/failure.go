package sdk

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoCaller is returned by Context.Reply for a message that no function
// sent.
var ErrNoCaller = errors.New("the message has no caller to reply to")

// Failure is an error of a function that says what becomes of the message.
// Any other error, and a panic, is retried as the module's failure policy
// says.
type Failure struct {
	Never bool          // no further attempt: the message becomes a dead letter
	After time.Duration // of the next attempt; zero: as the policy says
	Err   error
}

// Error is the text of Err.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// Never wraps err so that its message is not tried again.
func Never(err error) error { return &Failure{Never: true, Err: err} }

// RetryAfter wraps err so that its message is tried again no sooner than
// after d. Over HTTP d is rounded up to seconds.
func RetryAfter(d time.Duration, err error) error { return &Failure{After: d, Err: err} }

// StateError is why a state can't be used: its stored value is of another
// type, or unreadable, or its name was not declared. Methods of states that
// meet one end the invocation with it.
type StateError struct {
	Self Address
	Name string
	Err  error
}

// Error names the state, its address, and what is wrong.
func (e *StateError) Error() string { return fmt.Sprintf("state %s of %s: %v", e.Name, e.Self, e.Err) }

// Unwrap returns Err.
func (e *StateError) Unwrap() error { return e.Err }

// PanicError is a panic of a function.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine; not part of the text
}

// Error is what the function panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the error that the function panicked with, if it was one.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
