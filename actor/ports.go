package actor

import (
	"context"
	"errors"
)

// The ports are what a partition needs from outside. Every implementation,
// real or fake, passes the suite of package actortest.
//
// Methods with a done callback don't block beyond handing the request to the
// network; they call done exactly once, from any goroutine, possibly before
// they return. When the outcome isn't known within the port's own time limit
// (a few seconds), done gets Outcome Unknown; the write may still land later.

// ErrNotFound is returned by reads of what isn't there.
var ErrNotFound = errors.New("not found")

// Outcome of a conditional write.
type Outcome uint8

const (
	// Stored means at the sequence given.
	Stored Outcome = iota
	// Rejected means surely not stored, since the expected sequence was not
	// the last one, which is given if the server told it.
	Rejected
	// Refused means surely not stored for another reason, such as a full
	// stream.
	Refused
	// Unknown means that it may be stored, now or later.
	Unknown
)

// WriteResult is the outcome of a write.
type WriteResult struct {
	Outcome Outcome
	// Seq is where it is stored or, when Rejected, the last sequence in its
	// place (zero: not told).
	Seq uint64
	Err error // set unless Stored
}

// Entry is a stored record of a log.
type Entry struct {
	Seq  uint64
	Data []byte
}

// Journal is the log of one partition. Reads are answered by the stream's
// leader.
type Journal interface {
	// Append writes data as the record that follows the one at sequence
	// after, zero for an empty journal. It is stored durably when done is
	// told so.
	Append(data []byte, after uint64, done func(WriteResult))
	// Last returns the last record, or ErrNotFound.
	Last(ctx context.Context) (Entry, error)
	// Next returns the first record at or after from, or ErrNotFound.
	Next(ctx context.Context, from uint64) (Entry, error)
	// Purge removes the records below before. It must never remove the last.
	Purge(ctx context.Context, before uint64) error
	// MaxRecord is the largest record in bytes that Append takes.
	MaxRecord() int
}

// OutboundSend is a numbered message from one partition to another.
type OutboundSend struct {
	From, To int
	Number   uint64
	Epoch    uint64 // of the commit that holds it
	Commit   uint64
	// Delivered is the number up to which everything is known to be stored in
	// To's mailbox, in order.
	Delivered uint64
	// First is the first number to To that Epoch gives; zero: not known.
	First    uint64
	Envelope Envelope
}

// Outbox stores sends in the mailboxes of their targets' partitions. Publishes
// are stored in the order of the calls, unless one fails.
type Outbox interface {
	Publish(s OutboundSend, done func(WriteResult))
}

// Replies lets answers to callers out. Reply doesn't block; an answer that
// nobody waits for any more is dropped, and the same one may come again.
type Replies interface {
	// Reply hands out e, whose target is a WaitingCaller.
	Reply(e *Envelope)
}

// SinkID identifies a message of a sink for ever (PROTOCOL E1).
type SinkID struct {
	Partition int
	Epoch     uint64
	Commit    uint64
	Index     int
}

// SinkMessage is one egress message or dead letter; exactly one of Egress and
// DeadLetter is set.
type SinkMessage struct {
	ID         SinkID
	Source     Address // the function it comes from
	Trace      Trace
	Time       int64 // of the commit, in Unix milliseconds
	Egress     *EgressMessage
	DeadLetter *DeadLetter
}

// Mark is a partition's last marker in a sink's stream.
type Mark struct {
	Seq  uint64
	Body []byte
}

// Sink is a partition's way into the egress stream or the dead letters'.
type Sink interface {
	// Publish stores m, if the partition's last marker is the one at sequence
	// mark. Publishes are stored in the order of the calls; once one of them
	// is lost, none that follows is stored before the next Mark. The sequence
	// told is where m is stored at the latest: what is published once it is
	// known is stored behind it.
	Publish(m SinkMessage, mark uint64, done func(WriteResult))
	// Mark writes a marker, if the partition's last one is at sequence after.
	Mark(body []byte, after uint64, done func(WriteResult))
	// LastMark returns the partition's last marker, or ErrNotFound.
	LastMark(ctx context.Context) (Mark, error)
	// Scan returns the ids of the partition's messages with sequences in
	// (after, through]. It is complete or an error.
	Scan(ctx context.Context, after, through uint64) ([]SinkID, error)
}

// StateRecord is what is stored under a StateKey.
type StateRecord struct {
	State     State
	Partition int
	Epoch     uint64
	Commit    uint64 // the newest commit it contains
}

// LoadedState is what a read of the state store found.
type LoadedState struct {
	// Record is the newest valid record; nil if there is none.
	Record *StateRecord
	// Revision is the last revision of the key, valid or not: what a write
	// must expect. Zero: the key was never written, or its removal has been
	// forgotten.
	Revision uint64
	// Foreign says that the last revision is not one of ours, Detail how.
	Foreign bool
	Detail  string
}

// StateStore keeps the state of addresses.
type StateStore interface {
	// Load reads the record of k from the leader. If the last revision is
	// foreign it returns the newest valid one below it. ErrStateLost (wrapped)
	// means that there was one and it can't be restored.
	Load(ctx context.Context, k StateKey) (LoadedState, error)
	// Write stores r as the record of k, if its last revision is the one
	// given. A record with an empty State removes the key and leaves a marker
	// that carries the commit.
	Write(k StateKey, r StateRecord, revision uint64, done func(WriteResult))
	// MaxState is the largest State, by Size, that Write takes.
	MaxState() int
}

// StateReader is a StateStore that reads the records of many keys together.
type StateReader interface {
	StateStore
	// Read reads the record of k as Load does, without blocking, and calls done
	// once, possibly before it returns. Unless ok is true nothing is known, and
	// Load is to be asked: whatever is unusual is left to it.
	Read(k StateKey, done func(l LoadedState, ok bool))
}

// ErrStateLost means that a foreign write has destroyed an address's state.
var ErrStateLost = errors.New("state lost to a foreign write")

// TimerID identifies a timer for ever: the commit that set it and the index
// there.
type TimerID struct {
	Epoch  uint64
	Commit uint64
	Index  int
}

// Timer is a delayed message that has not fired yet.
type Timer struct {
	ID       TimerID
	DueAt    int64  // Unix milliseconds
	Token    string // empty: can't be cancelled
	Envelope Envelope
}

// TimerStore keeps one partition's timers.
type TimerStore interface {
	// Put stores t unless its id is there already, or its removal is, which
	// both count as stored.
	Put(t Timer, done func(WriteResult))
	// Delete removes a timer and leaves a marker, whether it was there or not.
	Delete(id TimerID, done func(WriteResult))
	// LoadAll hands all timers stored to take, some at a time. It is complete or
	// an error, and after an error what it has handed out counts for nothing.
	LoadAll(ctx context.Context, take func([]Timer)) error
}

// PauseStore keeps what failures have paused, beside what operators have.
type PauseStore interface {
	// Pause stores that k gets no calls, and why, if k's last revision is the
	// one given.
	Pause(k PauseKey, cause PauseCause, revision uint64, done func(WriteResult))
}

// Inbox reads single deliveries again.
type Inbox interface {
	// Fetch returns the delivery stored in source at seq, or ErrNotFound.
	Fetch(ctx context.Context, source Source, seq uint64) (Delivery, error)
	// Trim removes partition's deliveries of source below before.
	Trim(ctx context.Context, source Source, before uint64) error
}

// Ports are one partition's.
type Ports struct {
	Journal     Journal
	Outbox      Outbox
	Egress      Sink
	DeadLetters Sink
	State       StateStore
	Timers      TimerStore
	Inbox       Inbox
	Pauses      PauseStore
	Replies     Replies // nil: nobody calls
}
