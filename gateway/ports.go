package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// Errors that the ports return, possibly wrapped, so that a client is told
// what happened to its request.
var (
	// ErrNotReady means that nothing was done, since the application or the
	// address's partition is not up yet.
	ErrNotReady = errors.New("not ready")
	// ErrUnknown means that the message may be stored, or may not.
	ErrUnknown = errors.New("outcome unknown")
	// ErrBusy means that nothing was stored, since there is no room now.
	ErrBusy = errors.New("busy")
	// ErrTooLarge means that nothing was stored, since the message is larger
	// than what can be.
	ErrTooLarge = errors.New("too large")
	// ErrPaused means that nothing was done, since the function or the address
	// is paused.
	ErrPaused = errors.New("paused")
	// ErrTimeout means that no answer came in time to a message that may be
	// stored.
	ErrTimeout = errors.New("no answer in time")
	// ErrKeyMismatch means that nothing was done, since the idempotency key was
	// used for another value.
	ErrKeyMismatch = errors.New("idempotency key mismatch")
	// ErrNotFound means that there is nothing at that address.
	ErrNotFound = errors.New("not found")
	// ErrBadRequest means that nothing was done, since the request can't be
	// understood.
	ErrBadRequest = errors.New("bad request")
)

// Sender stores messages for functions.
type Sender interface {
	// Send returns once m is stored durably. Unless the error is
	// ErrNotReady, ErrBusy, ErrTooLarge or actor.ErrBadAddress, the message
	// may be stored even so.
	Send(ctx context.Context, m Message) (Receipt, error)
}

// Message is a message for a function, as a client sends it.
type Message struct {
	Target actor.Address
	Value  actor.Value
	Trace  actor.Trace
	Delay  time.Duration // from when it is stored until it reaches its target
}

// Caller calls functions.
type Caller interface {
	// Call sends r to a function and waits for the answer as long as ctx, which
	// has a deadline, allows. The CallID is set after an error too, if there is
	// one. Unless the error is one of those that say that nothing was done, the
	// call may go on.
	Call(ctx context.Context, r *CallRequest) (CallReply, error)
	// Result returns what became of a call with a key or in the background, or
	// ErrNotFound.
	Result(ctx context.Context, callID string) (CallReply, error)
	// SendOnce is Sender's Send, done once for a key and target within a day:
	// later ones get the first one's receipt.
	SendOnce(ctx context.Context, m Message, key string) (Receipt, error)
}

// CallRequest is a call of a function.
type CallRequest struct {
	Target actor.Address
	Value  actor.Value
	Trace  actor.Trace
	Fresh  bool   // Trace begins with this call
	Key    string // Idempotency-Key; empty: none
	Async  bool   // don't wait for the answer
}

// CallReply is the answer to a call.
type CallReply struct {
	CallID  string
	Pending bool         // there is no answer yet
	Value   actor.Value  // an empty Type: none
	Failure *CallFailure // the function failed for good; nil: it didn't
}

// CallFailure is why a function gave no answer.
type CallFailure struct {
	DeadLetterID string
	Reason       string
	Error        string
	Attempts     int
}

// Receipt says where a message is stored.
type Receipt struct {
	ID        string // unique in the application
	Partition int
	Seq       uint64 // in the mailbox stream
}

// States reads what addresses remember.
type States interface {
	// State returns the state of a. It sees every call whose effects are
	// durable. An address without any state has an empty view, or
	// ErrNotFound.
	State(ctx context.Context, a actor.Address) (actor.StateView, error)
	// States returns up to limit addresses of type t that have state, from
	// behind the cursor after, which is empty at the start, and the cursor of
	// the next page, which is empty at the end.
	States(ctx context.Context, t actor.TypeName, after string, limit int) ([]StateItem, string, error)
}

// StateItem is one address of a listing.
type StateItem struct {
	Address actor.Address
	View    actor.StateView
}

// Functions knows what can be called.
type Functions interface {
	// Known reports whether a function serves t.
	Known(t actor.TypeName) bool
	// List returns the bindings in the order in which users should see them.
	List() []FunctionInfo
}

// FunctionInfo is one binding as GET /v1/functions shows it.
type FunctionInfo struct {
	Type            string       `json:"type"`               // "namespace/name" or "namespace/*"
	Kind            string       `json:"kind,omitempty"`     // "http", "embedded", "nats"
	Endpoint        string       `json:"endpoint,omitempty"` // without credentials
	MaxBatch        int          `json:"maxNumBatchRequests,omitempty"`
	MaxConcurrent   int          `json:"maxConcurrentRequests,omitempty"`
	Weight          *int         `json:"weight,omitempty"`          // its share of the addresses; nil: it has all
	Away            bool         `json:"away,omitempty"`            // a service that isn't there: messages wait for it
	Paused          bool         `json:"paused"`                    // gets no calls
	Backlog         *int         `json:"backlog,omitempty"`         // messages that wait; nil: not known
	Pause           *PauseInfo   `json:"pause,omitempty"`           // why; nil unless Paused
	PausedAddresses int          `json:"pausedAddresses,omitempty"` // how many of its addresses are paused by themselves
	Circuit         *CircuitInfo `json:"circuit,omitempty"`         // of its endpoint; nil: not known
}

// Circuits knows how the calls to endpoints are doing.
type Circuits interface {
	// Circuit is that of the endpoint of t, whose name is template; of a
	// namespace the one in the worst state. It is nil if nothing was called.
	Circuit(t actor.TypeName, template string) *CircuitInfo
}

// CircuitInfo is the circuit breaker of an endpoint and its calls.
type CircuitInfo struct {
	Endpoint string `json:"endpoint"`
	State    string `json:"state"`             // "closed", "half-open" or "open"
	Since    string `json:"since,omitempty"`   // when it opened, or closed again
	Error    string `json:"error,omitempty"`   // why it opened last
	ErrorAt  string `json:"errorAt,omitempty"` // when that happened last
	InFlight int    `json:"inFlight"`          // calls
	Waiting  int    `json:"waiting"`           // addresses that wait for a place
	Limit    int    `json:"limit"`             // calls at once that are allowed now
}

// Readiness knows what the application still waits for.
type Readiness interface {
	// Reasons returns why the application is not ready; empty means it is.
	Reasons() []string
}

// Popper takes records off the playground's topics.
type Popper interface {
	// Pop takes the oldest record of topic, once; ok is false when there is
	// none.
	Pop(ctx context.Context, topic string) (data []byte, ok bool, err error)
}
