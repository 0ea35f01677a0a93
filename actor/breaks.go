package actor

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// ErrWentBack means that a stream has lost what was read of it. A new owner
// goes on.
var ErrWentBack = errors.New("a stream went back")

// A source's stream may lose what it held last and go on from there: after a
// power failure of a server that doesn't sync each message, or when it is
// restored from a copy, or deleted and made again. Its sequences are then given
// a second time, to other messages, while the journal says that they are
// decided (PROTOCOL M9). So an input has a *place* of its own in the journal:
// the sequence of its message plus what the breaks before it have added, so
// that nothing new has a place that is decided.

// streamBreak is where a stream went on after it had lost something.
type streamBreak struct {
	at    uint64 // stream sequence of the first message of ours behind it
	shift uint64 // its place, and that of all behind it, less its sequence
}

// breaks are those that matter for a source, in order of at and of shift.
type breaks []streamBreak

// place is where the message at seq is in the journal.
func (b breaks) place(seq uint64) uint64 {
	for i := len(b) - 1; i >= 0; i-- {
		if seq >= b[i].at {
			return seq + b[i].shift
		}
	}
	return seq
}

// seq is the first stream sequence whose place is not below place; held says
// that it is at that place.
func (b breaks) seq(place uint64) (seq uint64, held bool) {
	i := len(b)
	for i > 0 && place < b[i-1].at+b[i-1].shift {
		i--
	}
	seq = place
	if i > 0 {
		seq -= b[i-1].shift
	}
	if i < len(b) && seq >= b[i].at {
		return b[i].at, false
	}
	return seq, true
}

// add notes that the message at seq comes behind everything up to high.
func (b breaks) add(seq, high uint64) breaks {
	b = slices.DeleteFunc(slices.Clone(b), func(old streamBreak) bool { return old.at >= seq })
	return append(b, streamBreak{at: seq, shift: high + 1 - seq})
}

// from leaves out the breaks that nothing at or behind place needs.
func (b breaks) from(place uint64) breaks {
	for len(b) > 1 && place >= b[1].at+b[1].shift {
		b = b[1:]
	}
	return b
}

// contradicts reports whether a message at place, stored at time, can't be the
// one that was there when everything up to there was delivered: each of these
// was stored at n.newest at the latest. That is exact, whatever clocks do, since
// a message's time never changes; a stale read shows no other one either.
func (n *intake) contradicts(place uint64, time int64) bool {
	return place > n.since && place <= max(n.read, n.high) && time > n.newest && !mutant.On("break-unseen")
}

// breakAt has the stream go on at seq with messages that are new. If an open
// input before that was due, and nothing of ours has come from there on, the
// stream went on there already, with messages of others.
func (n *intake) breakAt(seq uint64) {
	at := seq
	refs := n.holes.refs()
	if i, _ := slices.BinarySearchFunc(refs, inputRef{seq: n.redone + 1}, inputRef.compare); i < len(refs) {
		if due, held := n.breaks.seq(refs[i].seq); held && due > n.last {
			at = min(at, due)
		}
	}
	n.breaks = n.breaks.add(at, max(n.high, n.read))
	n.unrecorded = true
	open := n.dropLost()
	n.awaiting -= open
	n.losses.breaks, n.losses.open, n.losses.at, n.losses.decided = n.losses.breaks+1, n.losses.open+open, seq, n.high
}

// Anchor is a message of a source that was read: if the source's stream still
// has one at that sequence, it was stored at that time at the latest, or it is
// another one. A feed may begin where Position says while it is the same, and
// when it was removed; else it has to begin with the first one that there is.
type Anchor struct {
	Seq    uint64 // zero: nothing is known
	Stored int64  // Unix milliseconds
}

// Anchors are those of all sources that there are any of.
func (p *Partition) Anchors() map[Source]Anchor {
	out := map[Source]Anchor{}
	for _, n := range p.sources {
		if n.high <= n.since {
			continue
		}
		seq, held := n.breaks.seq(n.high)
		if !held { // then that is where it went on, and what is before it was there
			seq--
		}
		out[n.source] = Anchor{seq, n.newest}
	}
	return out
}

// WentBack says that the stream of source isn't the one that its Anchor is
// about: it has lost its end. Open inputs that don't come are no damage then.
func (p *Partition) WentBack(source Source) {
	if p.Running() {
		p.intake(source).suspect = true
	}
}

// forgetAwaited gives up the open inputs that the stream no longer has, now that
// it has been read beyond them; false if that can't be how they got lost: an end
// has nothing behind it.
func (n *intake) forgetAwaited() bool {
	refs := n.holes.refs()
	from, _ := slices.BinarySearchFunc(refs, inputRef{seq: n.redone + 1}, inputRef.compare)
	if !n.suspect || len(refs)-from != n.awaiting || mutant.On("break-keeps-holes") {
		return false
	}
	for _, ref := range refs[from:] {
		n.holes.remove(ref)
	}
	n.givenUp = append(n.givenUp, refs[from:]...)
	n.losses.open += n.awaiting
	n.losses.decided, n.awaiting = n.high, 0
	return true
}

// losses are what a stream has lost.
type losses struct {
	breaks  int
	at      uint64 // the sequence behind the last of them
	decided uint64 // up to where the journal went
	open    int    // accepted inputs
	sends   uint64 // messages of other partitions, by their numbers

	renumbered int // one more than the partition whose journal has lost its end
}

// tellLost notes what the stream was found to have lost.
func (p *Partition) tellLost(n *intake) {
	l := n.losses
	n.losses = losses{}
	if l.breaks > 0 || l.open > 0 {
		p.warn("a stream went back, going on with what is new", Address{}, fmt.Sprintf(
			"%s has new messages from sequence %d on, which the journal knew as decided up to %d; accepted and lost before any function had them: %d", n.source, l.at, l.decided, l.open))
	}
	if l.renumbered > 0 {
		p.warn("the journal of a partition lost its end, taking its messages for new ones", Address{}, fmt.Sprintf(
			"partition %d gives numbers again in %s; what it had sent before counts, too", l.renumbered-1, n.source))
	}
	if l.sends > 0 {
		p.warn("messages between partitions were lost with the end of a stream", Address{}, fmt.Sprintf(
			"%s no longer had %d messages that were stored there", n.source, l.sends))
	}
}

// wentBack stops an owner that has read more than the stream has now: the next
// one begins from the journal.
func (p *Partition) wentBack(n *intake, d *Delivery) {
	p.fail(fmt.Errorf("%w: partition %d: %s has a new message at %d, and had been read up to %d", ErrWentBack, p.cfg.Partition, n.source, d.Seq, n.read))
}

// dropLost forgets the open inputs whose messages the stream has lost, and says
// how many there were. None of them was redelivered: a break is the first thing
// found behind what the stream has left.
func (n *intake) dropLost() (lost int) {
	if len(n.breaks) == 0 || mutant.On("break-keeps-holes") {
		return 0
	}
	for _, ref := range n.holes.refs() {
		if _, held := n.breaks.seq(ref.seq); !held {
			n.holes.remove(ref)
			lost++
		}
	}
	return lost
}
