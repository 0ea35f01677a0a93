package actor

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// intake is how far one source is decided, and what of it is still open
// (PROTOCOL M2–M6).
type intake struct {
	source Source
	read   uint64           // highest place delivered to this owner
	taken  map[int]accepted // numbers as of read

	breaks     breaks
	unrecorded bool       // no commit says them yet
	givenUp    []inputRef // holes, likewise
	newest     int64      // when the newest message of all that was delivered, to any owner, was stored
	since      uint64     // newest is only about what is behind this place
	last       uint64     // highest sequence delivered to this owner
	confirmed  uint64     // all below this place was delivered to this owner, or to one before

	high     uint64           // H: everything up to this place is decided in commits
	accepted map[int]accepted // numbers as of high
	holes    openSet          // of them, those that no commit consumed
	ahead    []aheadInput

	fresh      uint64 // first place of what was stored since this owner runs; zero: none so far
	losses     losses // not told yet
	awaiting   int    // holes that recovery found and the stream has not redelivered
	redone     uint64 // place of the last one that it has
	redeliver  bool
	suspect    bool // the stream is known to have lost its end
	protected  []protectedInput
	trimmed    uint64 // removed below this
	waiting    bool   // an alarm will trim what was protected
	trimmable  uint64 // everything below this is decided in durable commits
	passing    bool   // an alarm will make what the feed has passed removable
	removable  uint64 // a checkpoint old enough covers everything below this
	dropsTotal uint64
}

// aheadInput is an accepted delivery above high.
type aheadInput struct {
	seq    uint64
	from   int // -1: from outside
	number accepted
	inputs int
}

// accepted is the last number of a partition that was accepted, and the epoch
// that gave it; zero: not known.
type accepted struct{ number, epoch uint64 }

// before reports whether d's number is the next. What an earlier epoch gave is
// of a journal that went back.
func (a accepted) before(d *Delivery) bool {
	return d.Number == a.number+1 && (d.Epoch == 0 || d.Epoch >= a.epoch)
}

// protectedInput keeps deduplicated messages of about one second in their
// stream until a time.
type protectedInput struct {
	seq   uint64
	until int64
}

func newIntake(source Source) *intake {
	return &intake{source: source, taken: map[int]accepted{}, accepted: map[int]accepted{}}
}

// restore takes a checkpoint's progress over.
func (n *intake) restore(p *progress) {
	n.high, n.since = p.high, p.since
	n.know(p)
	for _, a := range p.accepted {
		n.accepted[a.peer] = accepted{a.number, a.epoch}
	}
	for _, ref := range p.refs {
		n.holes.add(ref)
	}
	n.dropLost()
}

// know takes over what a record says about the stream itself. Those of earlier
// versions say nothing.
func (n *intake) know(p *progress) {
	if n.newest = p.newest; n.newest == 0 {
		n.since = n.high
	}
	if len(p.breaks) > 0 {
		n.breaks = p.breaks
		n.dropLost()
	}
}

// replay applies a commit's increments.
func (n *intake) replay(p *progress) {
	n.high = max(n.high, p.high)
	n.know(p)
	for _, a := range p.accepted {
		n.accepted[a.peer] = accepted{a.number, a.epoch}
	}
	for _, ref := range p.refs {
		n.holes.add(ref)
	}
	for _, ref := range p.lost {
		n.holes.remove(ref)
	}
}

// resume is called when replay is over: consumption starts at position.
func (n *intake) resume(now, window int64) {
	maps.Copy(n.taken, n.accepted)
	n.awaiting = n.holes.len()
	n.redeliver = n.awaiting > 0
	n.read = n.position() - 1
	if mutant.On("holes-not-redelivered") {
		n.read = n.high
	}
	// What was stored before this owner came may be under a deduplication id.
	n.trimmed = 0
	n.protected = []protectedInput{{seq: 0, until: now + window}}
	n.settle()
}

// position is where this source's deliveries have to start.
func (n *intake) position() uint64 {
	if ref, ok := n.holes.lowest(); ok {
		return ref.seq
	}
	return n.high + 1
}

// verdict says what becomes of a delivery.
type verdict uint8

const (
	skip verdict = iota // seen, or decided earlier
	drop                // a duplicate or a number out of order
	take                // every input of it
	redo                // its holes only
	lost                // a hole is not in the stream any more
	back                // the stream went back below what this owner has read
)

// admit decides a delivery's acceptance, and its place; deliveries come in
// stream order.
func (n *intake) admit(d *Delivery, now, window int64) (place uint64, v verdict) {
	place = n.breaks.place(d.Seq)
	if n.contradicts(place, d.Time) {
		if d.Seq <= n.last || len(n.ahead) > 0 {
			return place, back
		}
		n.breakAt(d.Seq)
		place = n.breaks.place(d.Seq)
	}
	n.last, n.newest = max(n.last, d.Seq), max(n.newest, d.Time)
	return place, n.decide(d, place, now, window)
}

// decide is admit for a delivery at its place.
func (n *intake) decide(d *Delivery, place uint64, now, window int64) verdict {
	n.confirmed = max(n.confirmed, place+1)
	if place <= n.read {
		return skip
	}
	n.read = place
	n.protect(d, place, now, window)
	if place <= n.high {
		if mutant.On("holes-by-number") && d.Internal && d.Number <= n.taken[d.From].number {
			return drop
		}
		return n.readmit(place)
	}
	if n.redeliver && n.awaiting > 0 && !n.forgetAwaited() {
		return lost
	}
	n.redeliver = false
	item := aheadInput{seq: place, from: -1, inputs: len(d.Inputs)}
	if d.Internal {
		n.renumber(d)
		n.passOver(d)
		if !n.taken[d.From].before(d) && !mutant.On("numbers-unchecked") {
			n.dropsTotal++
			return drop
		}
		item.from, item.number = d.From, accepted{d.Number + uint64(len(d.Inputs)) - 1, d.Epoch}
		n.taken[d.From] = item.number
	}
	n.ahead = append(n.ahead, item)
	return take
}

// passOver gives up the numbers that the stream has lost. Their sender knew
// them to be stored, in order, before it published d; so they would be here.
func (n *intake) passOver(d *Delivery) {
	if last := n.taken[d.From].number; d.Delivered > last && !mutant.On("lost-numbers-awaited") {
		n.losses.sends += d.Delivered - last
		n.taken[d.From] = accepted{number: d.Delivered}
	}
}

// renumber follows a sender whose journal has lost its end: its new owner gives
// numbers again. An owner's first number is behind all that earlier epochs gave,
// so one of theirs that isn't is of what was lost.
func (n *intake) renumber(d *Delivery) {
	last := n.taken[d.From]
	if d.First == 0 || last.epoch == 0 || d.Epoch <= last.epoch || d.First > last.number {
		return
	}
	n.losses.renumbered = d.From + 1
	n.taken[d.From] = accepted{d.First - 1, d.Epoch}
}

func (n *intake) readmit(place uint64) verdict {
	open := len(n.holes.of(place))
	if open == 0 {
		return skip
	}
	n.redone = place
	n.awaiting -= open
	return redo
}

func (n *intake) protect(d *Delivery, place uint64, now, window int64) {
	if !d.Dedup || d.Time+window < now {
		return
	}
	until := d.Time + window
	if last := len(n.protected) - 1; last >= 0 && until < n.protected[last].until {
		return
	}
	n.protected = append(n.protected, protectedInput{seq: place, until: until + 1000})
}

// advance decides everything up to the highest of consumed, the inputs that a
// commit consumes, and returns the increments that the commit has to record.
// Consumed must be sorted and is not empty.
func (n *intake) advance(consumed []inputRef) progress {
	p := progress{source: n.source, high: max(n.high, consumed[len(consumed)-1].seq)}
	changed := map[int]accepted{}
	done := 0
	for done < len(n.ahead) && n.ahead[done].seq <= p.high {
		item := n.ahead[done]
		done++
		if item.from >= 0 {
			changed[item.from] = item.number
			n.accepted[item.from] = item.number
		}
		for i := range item.inputs {
			ref := inputRef{item.seq, i}
			if _, found := slices.BinarySearchFunc(consumed, ref, inputRef.compare); !found && !mutant.On("holes-not-recorded") {
				p.refs = append(p.refs, ref)
				n.holes.add(ref)
			}
		}
	}
	n.ahead = n.ahead[done:]
	for _, ref := range consumed {
		if ref.seq <= n.high {
			n.holes.remove(ref)
		}
	}
	n.high = p.high
	p.accepted, p.newest = sortedAccepted(changed), n.newest
	if n.unrecorded {
		p.breaks, n.unrecorded = n.breaks, false
	}
	p.lost, n.givenUp = n.givenUp, nil
	return p
}

// consumable reports whether ref was accepted and not consumed (invariant 3).
func (n *intake) consumable(ref inputRef) bool {
	if ref.seq <= n.high {
		return n.holes.has(ref)
	}
	i, found := slices.BinarySearchFunc(n.ahead, ref.seq, func(a aheadInput, seq uint64) int { return cmp.Compare(a.seq, seq) })
	return found && ref.index < n.ahead[i].inputs
}

// settle notes that all that advance decided is durable.
func (n *intake) settle() { n.trimmable = max(n.trimmable, n.position()) }

// idle reports whether everything that was delivered is decided in durable
// commits.
func (n *intake) idle() bool {
	return mutant.On("passed-while-open") || n.read <= n.high && n.holes.len() == 0 && n.trimmable >= n.position()
}

// protectedFrom returns the sequence from which on inputs must stay for the
// sake of deduplication.
func (n *intake) protectedFrom(now int64) uint64 {
	for len(n.protected) > 0 && n.protected[0].until < now {
		n.protected = n.protected[1:]
	}
	if len(n.protected) > 0 {
		return n.protected[0].seq
	}
	return math.MaxUint64
}

// snapshot is everything, for a checkpoint.
func (n *intake) snapshot() progress {
	n.breaks = n.breaks.from(n.position())
	return progress{
		source: n.source, high: n.high, accepted: sortedAccepted(n.accepted), refs: n.holes.refs(),
		newest: n.newest, since: n.since, breaks: n.breaks,
	}
}
