package actor

import (
	"maps"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// outboxWindow is how many sends to one partition may be on their way.
const outboxWindow = 512

// outboxPause is the pause before a send with an unknown outcome is published
// again, in milliseconds.
const outboxPause = 100

// outbox brings the sends of durable commits into the mailboxes of their
// targets' partitions, each number at least once and every number in order
// (PROTOCOL S1–S4).
type outbox struct {
	p     *Partition
	next  map[int]uint64 // last number assigned, per target partition
	given map[int]uint64 // the same, by earlier owners
	lanes map[int]*lane
}

// lane is the way to one partition.
type lane struct {
	to        int
	delivered uint64      // numbers up to here are stored, in order
	lastSeq   uint64      // mailbox sequence that delivered it; zero for a new owner
	items     []*outgoing // delivered+1 and on, without a gap
	inFlight  int
	paused    bool
}

type sendState uint8

const (
	sendWaiting sendState = iota
	sendInFlight
	sendStored
)

type outgoing struct {
	send   OutboundSend
	effect *applying
	size   int
	state  sendState
	seq    uint64
}

func newOutbox(p *Partition) *outbox {
	return &outbox{p: p, next: map[int]uint64{}, given: map[int]uint64{}, lanes: map[int]*lane{}}
}

func (o *outbox) lane(to int) *lane {
	l := o.lanes[to]
	if l == nil {
		l = &lane{to: to}
		o.lanes[to] = l
	}
	return l
}

// restore takes a checkpoint's numbers over.
func (o *outbox) restore(next, delivered []pairNumber) {
	for _, n := range next {
		o.next[n.peer] = n.number
	}
	for _, d := range delivered {
		o.lane(d.peer).delivered = d.number
	}
}

// resume is called when replay is over: numbers are given by this owner from
// now on.
func (o *outbox) resume() { maps.Copy(o.given, o.next) }

// number assigns the next number to a send while its commit is assembled.
func (o *outbox) number(to int) uint64 {
	o.next[to]++
	return o.next[to]
}

// add queues a send of a durable commit. Sends that a checkpoint knows as
// delivered are passed over.
func (o *outbox) add(s *numberedSend, epoch uint64, effect *applying) {
	l := o.lane(s.to)
	last := l.delivered + uint64(len(l.items))
	switch {
	case s.number <= l.delivered:
		return
	case s.number != last+1:
		o.p.breach("send %d to partition %d follows %d", s.number, s.to, last)
		return
	}
	first := uint64(0)
	if epoch == o.p.writer.epoch {
		first = o.given[s.to] + 1
	}
	effect.left++
	size := s.envelope.Size() + heldOverhead
	o.p.applier.waiting += size
	l.items = append(l.items, &outgoing{
		send:   OutboundSend{From: o.p.cfg.Partition, To: s.to, Number: s.number, Epoch: epoch, Commit: effect.number, First: first, Envelope: s.envelope},
		effect: effect, size: size,
	})
}

// pump publishes what is waiting.
func (o *outbox) pump() {
	for _, to := range o.targets() {
		o.pumpLane(o.lanes[to])
	}
}

// targets are the partitions with sends under way, in order.
func (o *outbox) targets() []int {
	var out []int
	for to, l := range o.lanes {
		if len(l.items) > 0 {
			out = append(out, to)
		}
	}
	slices.Sort(out)
	return out
}

func (o *outbox) pumpLane(l *lane) {
	if l.paused {
		return
	}
	for i := 0; i < len(l.items) && l.inFlight < outboxWindow; i++ {
		if it := l.items[i]; it.state == sendWaiting {
			it.state = sendInFlight
			l.inFlight++
			send := it.send
			send.Delivered = l.delivered
			o.p.request(publishSend{send})
		}
	}
}

// sent takes the outcome of a publish. Every acknowledgement of a number is
// good, whichever attempt it belongs to.
func (o *outbox) sent(to int, number uint64, res WriteResult) {
	l := o.lane(to)
	if l.inFlight > 0 {
		l.inFlight--
	}
	if number <= l.delivered {
		return
	}
	it := l.items[number-l.delivered-1]
	if mutant.On("unknown-send-is-stored") && res.Outcome == Unknown {
		res = WriteResult{Seq: l.lastSeq + 1}
	}
	if res.Outcome == Stored {
		it.state, it.seq = sendStored, res.Seq
		o.deliver(l)
		return
	}
	it.state = sendWaiting
	if !l.paused {
		l.paused = true
		o.p.after(outboxPause, func() { l.paused = false })
	}
}

// deliver moves on over the numbers that are stored behind their predecessor.
func (o *outbox) deliver(l *lane) {
	for len(l.items) > 0 && l.items[0].state == sendStored {
		it := l.items[0]
		if it.seq <= l.lastSeq && !mutant.On("send-order") { // stored before its predecessor: once more
			it.state = sendWaiting
			return
		}
		l.lastSeq = it.seq
		l.delivered++
		l.items[0] = nil
		l.items = l.items[1:]
		o.p.applier.waiting -= it.size
		o.p.done(it.effect)
	}
}

// snapshot returns both numbers of every pair, for a checkpoint.
func (o *outbox) snapshot() (next, delivered []pairNumber) {
	m := map[int]uint64{}
	for to, l := range o.lanes {
		if l.delivered > 0 {
			m[to] = l.delivered
		}
		if mutant.On("delivered-is-next") {
			m[to] = o.next[to]
		}
	}
	return sortedPairs(o.next), sortedPairs(m)
}
