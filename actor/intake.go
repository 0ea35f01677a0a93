package actor

import (
	"cmp"
	"math"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// intake is how far one source is decided, and what of it is still open
// (PROTOCOL M2–M6).
type intake struct {
	source Source
	read   uint64         // highest sequence delivered to this owner
	taken  map[int]uint64 // accepted numbers as of read

	high     uint64         // H: everything up to here is decided in commits
	accepted map[int]uint64 // accepted numbers as of high
	holes    openSet        // of them, those that no commit consumed
	ahead    []aheadInput

	fresh      uint64 // first sequence stored since this owner runs; zero: none so far
	awaiting   int    // holes that recovery found and the stream has not redelivered
	redeliver  bool
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
	number uint64
	inputs int
}

// protectedInput keeps deduplicated messages of about one second in their
// stream until a time.
type protectedInput struct {
	seq   uint64
	until int64
}

func newIntake(source Source) *intake {
	return &intake{source: source, taken: map[int]uint64{}, accepted: map[int]uint64{}}
}

// restore takes a checkpoint's progress over.
func (n *intake) restore(p *progress) {
	n.high = p.high
	for _, a := range p.accepted {
		n.accepted[a.peer] = a.number
	}
	for _, ref := range p.refs {
		n.holes.add(ref)
	}
}

// replay applies a commit's increments.
func (n *intake) replay(p *progress) {
	n.high = max(n.high, p.high)
	for _, a := range p.accepted {
		n.accepted[a.peer] = a.number
	}
	for _, ref := range p.refs {
		n.holes.add(ref)
	}
}

// resume is called when replay is over: consumption starts at position.
func (n *intake) resume(now, window int64) {
	for from, number := range n.accepted {
		n.taken[from] = number
	}
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
)

// admit decides a delivery's acceptance; deliveries come in stream order.
func (n *intake) admit(d *Delivery, now, window int64) verdict {
	if d.Seq <= n.read {
		return skip
	}
	n.read = d.Seq
	n.protect(d, now, window)
	if d.Seq <= n.high {
		if mutant.On("holes-by-number") && d.Internal && d.Number <= n.taken[d.From] {
			return drop
		}
		return n.readmit(d)
	}
	if n.redeliver && n.awaiting > 0 {
		return lost
	}
	n.redeliver = false
	item := aheadInput{seq: d.Seq, from: -1, inputs: len(d.Inputs)}
	if d.Internal {
		if d.Number != n.taken[d.From]+1 && !mutant.On("numbers-unchecked") {
			n.dropsTotal++
			return drop
		}
		item.from, item.number = d.From, d.Number+uint64(len(d.Inputs))-1
		n.taken[d.From] = item.number
	}
	n.ahead = append(n.ahead, item)
	return take
}

func (n *intake) readmit(d *Delivery) verdict {
	open := len(n.holes.of(d.Seq))
	if open == 0 {
		return skip
	}
	n.awaiting -= open
	return redo
}

func (n *intake) protect(d *Delivery, now, window int64) {
	if !d.Dedup || d.Time+window < now {
		return
	}
	until := d.Time + window
	if last := len(n.protected) - 1; last >= 0 && until < n.protected[last].until {
		return
	}
	n.protected = append(n.protected, protectedInput{seq: d.Seq, until: until + 1000})
}

// advance decides everything up to the highest of consumed, the inputs that a
// commit consumes, and returns the increments that the commit has to record.
// Consumed must be sorted and is not empty.
func (n *intake) advance(consumed []inputRef) progress {
	p := progress{source: n.source, high: max(n.high, consumed[len(consumed)-1].seq)}
	changed := map[int]uint64{}
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
	p.accepted = sortedPairs(changed)
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
	return progress{source: n.source, high: n.high, accepted: sortedPairs(n.accepted), refs: n.holes.refs()}
}
