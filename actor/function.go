package actor

import (
	"context"
	"time"
)

// Function is user code, wherever it runs. Invoke hands it one batch for one
// address; the core calls it for an address again only after it returned.
//
// An error means that nothing of the batch took effect. Return an
// *InvokeError to say what kind of failure it was; any other error counts as
// an answered failure that is worth a retry. Invoke must return promptly
// when ctx ends, and must not keep b or what hangs on it.
type Function interface {
	Invoke(ctx context.Context, b *Batch) (*Effects, error)
}

// Batch is what one call hands to a function: messages for one address, in
// order, and all the state of that address.
type Batch struct {
	Target    Address
	State     State
	Envelopes []Envelope
	// Entries are the names of the entries that the function has asked for,
	// sorted; those with a value are in State.
	Entries []string
	// Attempt is 1 if the function surely has not been called with these
	// messages before. After that, and for messages that an earlier owner may
	// have handed over, it is more.
	Attempt int
	// Inputs says what brought each of the Envelopes, if FunctionSpec.Inputs
	// asks for it.
	Inputs []InputID
	// Span is what the batch is traced as; an Observer sets it.
	Span Span
}

// Effects is what a call asked for. Its four lists are applied in the order
// of the fields, all or none.
type Effects struct {
	Sends     []Send
	Delayed   []Delayed
	Egress    []EgressMessage
	Mutations []Mutation
}

// Send is a message to another function, or to the sender itself.
type Send struct {
	Target Address
	Value  Value
	// Caller, if it isn't nil, is whom the target sees as its caller instead of
	// the sender; a zero address stands for the outside. It is for jetfn's own
	// functions, and no adapter of users' functions sets it.
	Caller *Address
}

// Delayed is a message to be sent later, or the cancellation of one.
type Delayed struct {
	Delay  time.Duration // not negative
	Target Address
	Value  Value
	// Token names the message, so that it can be cancelled; empty means that
	// it can't. Its scope is the id of the sender's address. It is an error to
	// use a token again while its message is pending.
	Token string
	// Cancel makes this the cancellation of the pending message called Token.
	// Cancelling what has fired, or never was, does nothing.
	Cancel bool
}

// EgressMessage leaves jetfn through the egress ID.
type EgressMessage struct {
	ID    TypeName
	Key   string // ordering and subject key; empty means none
	Topic string // from unwrapped Kafka and Kinesis records; empty means none
	Value Value  // an empty Type means that the record was unwrapped
}

// Mutation changes one state of the batch's address.
type Mutation struct {
	Name   string
	Delete bool
	Value  Value
	// Renew leaves the value as it is and changes only how long it lives. A
	// state without a value is left without one.
	Renew bool
	// ExpireAfter is how long the value lives from this write or renewal on, a
	// millisecond at least; zero means for ever.
	ExpireAfter time.Duration
}

// FailureKind says what a failed call means for its retry.
type FailureKind uint8

const (
	// Answered means that the function was reached, or may have been, and
	// failed. It is retried within the policy's attempts and budget.
	Answered FailureKind = iota
	// Unreachable means that the function surely did not run. It is retried
	// for ever and counts nowhere.
	Unreachable
	// Final means that a retry can't help.
	Final
)

// Reasons for a dead letter, as SURFACE lists them.
const (
	ReasonStatus          = "status"
	ReasonTimeout         = "timeout"
	ReasonProtocol        = "protocol"
	ReasonLimit           = "limit"
	ReasonUnknownFunction = "unknown-function"
	ReasonUnknownEgress   = "unknown-egress"
	ReasonBadType         = "bad-type"
	ReasonBadAddress      = "bad-address"
)

// InvokeError is a failed call.
type InvokeError struct {
	Kind       FailureKind
	Reason     string        // one of the Reason constants
	HTTPStatus int           // zero: there was none
	Endpoint   string        // where the call went, without credentials
	RetryAfter time.Duration // zero: the processor's own back-off
	Err        error         // with an excerpt of the answer's body where there was one
}

func (e *InvokeError) Error() string {
	if e.Err == nil {
		return "invoke: " + e.Reason
	}
	return e.Err.Error()
}

func (e *InvokeError) Unwrap() error { return e.Err }

// Policy bounds the retries of answered failures.
type Policy struct {
	Attempts   int           // default 10
	Budget     time.Duration // from the first attempt's start; default 1 minute
	BackoffMin time.Duration // default 10 ms
	BackoffMax time.Duration // default 10 s
	Then       Then          // what follows when they are used up
}

// Then is what becomes of a message that has failed for good.
type Then uint8

const (
	// ThenDeadLetter makes it a dead letter.
	ThenDeadLetter Then = iota
	// ThenPauseAddress keeps it, and calls its address no more until that is
	// resumed.
	ThenPauseAddress
	// ThenPauseFunction keeps it, and calls its function no more until that is
	// resumed.
	ThenPauseFunction
)

// WithDefaults fills the zero fields in.
func (p Policy) WithDefaults() Policy {
	if p.Attempts == 0 {
		p.Attempts = 10
	}
	if p.Budget == 0 {
		p.Budget = time.Minute
	}
	if p.BackoffMin == 0 {
		p.BackoffMin = 10 * time.Millisecond
	}
	if p.BackoffMax == 0 {
		p.BackoffMax = 10 * time.Second
	}
	return p
}

// FunctionSpec is a function as the core sees it.
type FunctionSpec struct {
	Function Function
	// Endpoint names what the function shares its limits and its circuit
	// breaker with, such as a URL without credentials.
	Endpoint string
	// MaxConcurrent caps the calls in flight to Endpoint; zero means no cap.
	MaxConcurrent int
	MaxBatch      int // messages per call; default 1000
	MaxBatchBytes int // bytes of messages per call; default 4 MiB
	Policy        Policy
	Inputs        bool // fill Batch.Inputs in
	// Versions, if there are any, take the place of all of the above: each
	// address has one of them.
	Versions []Version
	// AwaitedUntil, if it isn't zero, says that the function was removed, and
	// until when, in Unix milliseconds, its messages wait for it to come back;
	// then they become dead letters. All other fields are zero.
	AwaitedUntil int64
}

// Catalog knows the functions. What it says may change at any time; whoever
// changes it calls Reload on every partition afterwards.
type Catalog interface {
	// Lookup returns the function that serves t: an exact binding first, then
	// one of the whole namespace. It is true as well for a function that was
	// removed and whose messages wait.
	Lookup(t TypeName) (FunctionSpec, bool)
}
