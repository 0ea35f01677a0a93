package sdk

import "time"

// Batch is what one call hands to a function: messages for one address, in
// order, and what the address remembers. Transports make it; function
// authors don't need it.
type Batch struct {
	Self     Address
	States   []StoredState
	Messages []Envelope
	// Complete says that a state that is not in States has no value. Without
	// it such a state is unknown, and the answer may ask for it. Entries of
	// tables and buffers are unknown either way.
	Complete bool
	Attempt  int // from 1; zero counts as 1
	// Parent and State are the W3C trace context.
	Parent, State string
}

// StoredState is a state as it is stored, or known to have no value.
type StoredState struct {
	Name    string
	Value   TypedValue
	Present bool
}

// Envelope is a message and who sent it: nobody, if it came from outside.
type Envelope struct {
	Caller Address
	Value  TypedValue
}

// Effects is the answer to a Batch: all of it or, if Missing is not empty,
// nothing but the wish to be called again with these states.
type Effects struct {
	Sends     []Send
	Delayed   []Delayed
	Records   []Record
	Mutations []Mutation
	Missing   []StateSpec
}

// Send is a message to an address.
type Send struct {
	To    Address
	Value TypedValue
}

// Delayed is a message to be sent later, or a cancellation.
type Delayed struct {
	After  time.Duration
	To     Address
	Value  TypedValue
	Token  string
	Cancel bool // only Token counts
}

// Mutation is the last change of a state.
type Mutation struct {
	Spec   StateSpec
	Delete bool
	Value  TypedValue
}

// StateSpec declares a state.
type StateSpec struct {
	Name   string
	Type   string
	Expire Expiration
}

// Expiration is when a state ceases to exist. The zero value is never.
type Expiration struct {
	Mode  ExpireMode
	After time.Duration
}

// ExpireMode is what an Expiration counts from.
type ExpireMode uint8

const (
	// ExpireNever is the default.
	ExpireNever ExpireMode = iota
	// ExpireAfterWrite counts from the state's last write.
	ExpireAfterWrite
	// ExpireAfterInvoke counts from the last invocation of the address,
	// whether it touched the state or not.
	ExpireAfterInvoke
)
