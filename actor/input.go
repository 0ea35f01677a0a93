package actor

import "strings"

// Source names a stream that feeds partitions. A position in one says nothing
// about another.
type Source string

// The sources every application has.
const (
	SourceMailbox Source = "mailbox"
	SourceIngress Source = "ingress"
)

// foreignPrefix begins the sources that are streams of somebody else.
const foreignPrefix = "stream:"

// ForeignSource is a stream of somebody else, as the ingress called id reads
// it. All of its deliveries go to one partition, have one input, and are
// routed.
func ForeignSource(id TypeName) Source { return Source(foreignPrefix + id.String()) }

// Foreign reports whether the source is a stream of somebody else: nothing is
// ever removed from it, and what its owner removes is not missed.
func (s Source) Foreign() bool { return strings.HasPrefix(string(s), foreignPrefix) }

// InputID identifies an input for ever: the stored message it came in and its
// index there.
type InputID struct {
	Source Source
	Seq    uint64
	Index  int
}

// Delivery is one stored message as a partition's consumer hands it over. The
// deliveries of a source come in stream order; a partition skips what it has.
type Delivery struct {
	Source Source
	Seq    uint64 // in the source's stream, from 1
	Time   int64  // when it was stored, in Unix milliseconds

	// Internal marks a send of partition From, with its number (PROTOCOL M2).
	// Index i of the inputs has number Number+i.
	Internal bool
	From     int
	Number   uint64
	// Delivered is the number up to which the sender knew all to be stored, in
	// order, when it published this one (PROTOCOL S5).
	Delivered uint64
	// Epoch gave the number, and First is the first one that it gave; zero: not
	// known (PROTOCOL S6).
	Epoch uint64
	First uint64

	// Dedup says that the message was stored under an outside Nats-Msg-Id:
	// it must stay in the stream for the deduplication window.
	Dedup bool

	Inputs []Input // at least one
}

// Input is one message for one address.
type Input struct {
	Envelope Envelope
	// Problem is set when the stored message can't be handed to a function;
	// the input then becomes a dead letter. The envelope holds what could be
	// read of it.
	Problem *Problem
	// Route is set when the input is sent on instead of being handed to its
	// target here.
	Route *Route
}

// Problem is why an input can't be processed.
type Problem struct {
	Reason string // one of the Reason constants
	Detail string // names what is wrong and the remedy
}

// DeadLetter is an input that was given up.
type DeadLetter struct {
	Envelope   Envelope
	Reason     string
	Error      string
	HTTPStatus int
	Endpoint   string
	Attempts   int
	FirstAt    int64 // first attempt, in Unix milliseconds; zero if there was none
	LastAt     int64
}
