package sdk

import (
	"context"
	"log/slog"
	"time"
)

// Context is what a function has of the call that it answers. It is a
// context.Context: it ends with the call's time limit, and carries the trace.
// It must not be used after the function has returned, nor by two goroutines
// at once.
//
// What it is asked to send leaves when the call has succeeded, in the order
// asked for, and only then.
type Context interface {
	context.Context

	// Self is the address that the message is for.
	Self() Address
	// Caller is who sent the message; the zero address if it came from
	// outside.
	Caller() Address
	// Send sends v to an address, which may be the function's own.
	Send(to Address, v TypedValue)
	// SendAfter sends v when at least d has passed.
	SendAfter(d time.Duration, to Address, v TypedValue)
	// SendCancellable sends like SendAfter a message that Cancel(token) can
	// stop. Tokens belong to the id of the sender's address; using one again
	// while its message is pending fails the call.
	SendCancellable(token string, d time.Duration, to Address, v TypedValue)
	// Cancel stops the pending message with a token, if there is one.
	Cancel(token string)
	// Reply sends v to the caller. It returns ErrNoCaller if there is none.
	Reply(v TypedValue) error
	// Egress sends a record to an egress of the module.
	Egress(r Record)
	// Trace is the W3C trace context that the call came with; empty if none.
	Trace() (parent, state string)
	// Attempt is which try of this call it is, from 1, as far as the worker
	// tells: over plain StateFun protocols it is always 1.
	Attempt() int
	// Logger logs with the address as attributes.
	Logger() *slog.Logger

	call() *invocation
}

// Message is what a function is called with.
type Message = TypedValue

// Func is a function. An error, or a panic, undoes what this and the other
// messages of its batch have asked for.
type Func func(ctx Context, m Message) error
