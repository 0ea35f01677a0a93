package actor

import "github.com/jetfn/jetfn/internal/mutant"

// applying is a durable commit some of whose effects are not in place yet.
type applying struct {
	number uint64
	seq    uint64     // of its (last) record
	left   int        // effects not in place
	traced *Committed // told of when they are; nil: nobody wants to know
	sinks  [2]sinkStart
}

// sinkStart says where a commit's messages can be in a sink's stream.
type sinkStart struct {
	used  bool // the commit has messages for the sink
	after uint64
}

// heldOverhead is about what a message takes in memory besides its contents
// until it is in place.
const heldOverhead = 400

// applier follows the effects of durable commits into their places, in any
// order, and knows up to which record all are in place (PROTOCOL C2).
type applier struct {
	p       *Partition
	queue   []*applying // commits in journal order
	applied uint64      // journal sequence: effects up to here are in place
	waiting int         // memory of the messages that are not in place, in bytes
}

// begin is called with each durable commit, in order, before its effects are
// handed out.
func (a *applier) begin(number, seq uint64) *applying {
	c := &applying{number: number, seq: seq, left: 1}
	a.queue = append(a.queue, c)
	return c
}

// done takes note that one effect of c is in place.
func (a *applier) done(c *applying) {
	c.left--
	if c.left < 0 {
		a.p.breach("commit %d has more effects in place than it has", c.number)
		return
	}
	if c.left > 0 {
		return
	}
	for len(a.queue) > 0 && a.queue[0].left == 0 {
		a.applied = max(a.applied, a.queue[0].seq)
		if c := a.queue[0].traced; c != nil {
			a.p.request(tellApplied{c})
		}
		a.queue[0] = nil
		a.queue = a.queue[1:]
	}
}

// crowded reports whether that part of what may be unapplied is: 1 for all, 2
// for half of it (PROTOCOL P2).
func (a *applier) crowded(part int) bool {
	cfg := &a.p.cfg
	return part*len(a.queue) >= cfg.MaxUnapplied || part*a.waiting >= cfg.MaxUnappliedBytes
}

// position is the highest journal sequence all of whose effects are in place,
// counting records without effects.
func (a *applier) position() uint64 {
	if len(a.queue) == 0 {
		a.applied = max(a.applied, a.p.writer.lastSeq)
	}
	return a.applied
}

// durableCommit is a commit and its place in the journal.
type durableCommit struct {
	*commit
	epoch, number, seq uint64
	told               []func() // those who wait for it, in order
	// recovered says that an earlier owner may have begun with its effects.
	recovered bool
	// sinksAt are sequences behind which its messages lie in the sinks'
	// streams, whoever stored them: what was stored before its append began.
	sinksAt [2]uint64
	// observed is what an observer is told of it; nil without one.
	observed *Committed
}

// reply lets a commit's replies out. Nobody waits for them: a new owner does it
// again for every commit behind the checkpoint (PROTOCOL G1).
func (p *Partition) reply(c *commit) {
	for i := range c.replies {
		p.request(sendReply{&c.replies[i]})
	}
}

// hand gives a durable commit's effects to those who put them in place.
func (a *applier) hand(d *durableCommit) {
	effect := a.begin(d.number, d.seq)
	p := a.p
	if d.observed != nil && d.observed.Traced {
		effect.traced = d.observed
	}
	if !d.recovered || !mutant.On("reply-not-repeated") {
		p.reply(d.commit)
	}
	for i := range d.sends {
		p.outbox.add(&d.sends[i], d.epoch, effect)
	}
	for i := range d.egress {
		e := &d.egress[i]
		p.sinks[sinkEgress].add(SinkMessage{
			ID:     SinkID{p.cfg.Partition, d.epoch, d.number, i},
			Source: e.source, Trace: e.trace, Time: d.time, Egress: &e.message,
		}, effect, d)
	}
	for i := range d.deadLetters {
		l := &d.deadLetters[i]
		p.sinks[sinkDeadLetters].add(SinkMessage{
			ID:     SinkID{p.cfg.Partition, d.epoch, d.number, i},
			Source: l.Envelope.Target, Trace: l.Envelope.Trace, Time: d.time, DeadLetter: l,
		}, effect, d)
	}
	for i := range d.invocations {
		p.states.commit(&d.invocations[i], d.epoch, effect, d.recovered)
	}
	for i := range d.invocations {
		p.states.answer(&d.invocations[i])
	}
	p.timers.commit(d.commit, effect, d.recovered)
	a.done(effect) // its own
}
