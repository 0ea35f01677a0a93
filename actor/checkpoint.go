package actor

import (
	"fmt"

	"github.com/jetfn/jetfn/internal/mutant"
)

// sinkPosition is where a sink's scan has to begin.
type sinkPosition struct {
	used bool   // a marker of this partition may be in the stream
	seq  uint64 // everything unapplied is stored after it
}

// checkpoint is the body of a checkpoint record (PROTOCOL C1). Progress and
// numbers are as of its place in the journal; effects are in place up to
// applied only, and are repeated from there.
type checkpoint struct {
	applied   uint64 // journal sequence
	progress  []progress
	next      []pairNumber // last number assigned, by target partition
	delivered []pairNumber
	sinks     [2]sinkPosition // sinkEgress, sinkDeadLetters
	timers    bool            // the timer store may hold timers of this partition
}

func (c *checkpoint) encode() []byte {
	var w fieldWriter
	w.uint(1, c.applied)
	for i := range c.progress {
		w.message(2, func(w *fieldWriter) { w.progress(&c.progress[i]) })
	}
	for _, p := range c.next {
		w.message(3, func(w *fieldWriter) { w.pair(p) })
	}
	for _, p := range c.delivered {
		w.message(4, func(w *fieldWriter) { w.pair(p) })
	}
	for _, s := range c.sinks {
		w.message(5, func(w *fieldWriter) {
			w.bool(1, s.used)
			w.uint(2, s.seq)
		})
	}
	w.bool(6, c.timers)
	return w.b
}

func (w *fieldWriter) pair(p pairNumber) {
	w.int(1, p.peer)
	w.uint(2, p.number)
}

func readSinkPosition(b []byte) (s sinkPosition, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			s.used = f.v != 0
		case 2:
			s.seq = f.v
		}
		return nil
	})
	return s, err
}

func decodeCheckpoint(body []byte) (*checkpoint, error) {
	c := &checkpoint{}
	sinks := 0
	err := readFields(body, func(f *field) (err error) {
		switch f.num {
		case 1:
			c.applied = f.v
		case 2:
			c.progress, err = appendRead(c.progress, f, readProgress)
		case 3:
			c.next, err = appendRead(c.next, f, readPair)
		case 4:
			c.delivered, err = appendRead(c.delivered, f, readPair)
		case 5:
			if sinks >= len(c.sinks) {
				return errTruncated
			}
			c.sinks[sinks], err = readSinkPosition(f.data)
			sinks++
		case 6:
			c.timers = f.v != 0
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("decode checkpoint: %w", err)
	}
	return c, nil
}

// checkpointStretch stretches the time between checkpoints by one interval for
// each so many bytes that the last one had: many open inputs make it large.
const checkpointStretch = 64 << 10

// trimInterval is the least time between trims, in milliseconds.
const trimInterval = 5000

// checkpointLater makes sure that a checkpoint will cover what was committed.
func (p *Partition) checkpointLater() {
	if p.checkpointDue {
		return
	}
	p.checkpointDue = true
	wait := p.cfg.CheckpointInterval * int64(1+p.checkpointSize/checkpointStretch)
	p.checkpointAt = p.now + wait
	p.after(wait, func() {}) // Settle looks
}

// wantsCheckpoint reports whether a checkpoint is to be written now.
func (p *Partition) wantsCheckpoint() bool {
	return p.checkpointDue && (p.now >= p.checkpointAt || p.draining && p.quiet())
}

// writeCheckpoint appends a checkpoint of everything as it is. The writer must
// be idle.
func (p *Partition) writeCheckpoint() {
	c := checkpoint{applied: p.applier.position(), timers: p.timers.used}
	if mutant.On("checkpoint-before-apply") {
		c.applied = p.writer.lastSeq
	}
	for _, n := range p.sources {
		c.progress = append(c.progress, n.snapshot())
	}
	c.next, c.delivered = p.outbox.snapshot()
	for i, s := range p.sinks {
		c.sinks[i] = s.position()
	}
	complete, covered := len(p.applier.queue) == 0, p.writer.commit
	if !complete {
		covered = p.applier.queue[0].number - 1
	}
	body := c.encode()
	p.checkpointSize = len(body)
	p.writer.write(kindCheckpoint, body, func(uint64) {
		p.checkpointDue = false
		p.stats.CheckpointAt, p.stats.Covered = p.now, covered
		if !complete {
			p.checkpointLater()
		}
		p.trimLater(c.applied)
	})
}

// trimLater removes what the checkpoint just written covers: journal records
// below applied (J6: it is itself a later record), and decided inputs (M6).
func (p *Partition) trimLater(applied uint64) {
	p.trimTo = applied
	if p.trimming {
		return
	}
	p.trimming = true
	before := make([]uint64, len(p.sources))
	for i, n := range p.sources {
		before[i] = n.trimmable
		if mutant.On("trim-by-memory") {
			before[i] = n.read + 1
		}
	}
	p.after(max(trimInterval, p.cfg.TrimDelay.Milliseconds()), func() {
		p.trimming = false
		if mutant.On("purge-to-empty") {
			applied = p.writer.lastSeq + 1
		}
		if mutant.On("purge-beyond-applied") {
			applied = p.writer.checkpoint
		}
		if applied > p.purged+1 {
			p.request(purgeJournal{applied})
			p.purged = applied
		}
		for i := range before {
			n := p.sources[i]
			n.removable = max(n.removable, before[i])
			p.trimSource(n)
		}
		if p.trimTo > applied {
			p.trimLater(p.trimTo)
		}
	})
}

// Passed says that everything of source below seq has been delivered. If all
// of it is decided, there is nothing of this partition below seq, and that may
// be said like anything else that is removable: a stream is emptied by what all
// partitions are done with, also those that get nothing.
func (p *Partition) Passed(source Source, seq uint64) {
	if !p.Running() {
		return
	}
	n := p.intake(source)
	place := n.breaks.place(seq)
	n.confirmed = max(n.confirmed, place)
	if n.redeliver && n.awaiting > 0 && place > n.high && n.forgetAwaited() {
		p.tellLost(n)
	}
	if n.passing || n.trimmable >= place || !n.idle() {
		p.trimSource(n)
		return
	}
	n.trimmable, n.passing = place, true
	p.after(max(trimInterval, p.cfg.TrimDelay.Milliseconds()), func() {
		n.passing = false
		n.removable = max(n.removable, place)
		p.trimSource(n)
	})
}

// trimSource removes what is removable, except what deduplication still
// needs; that goes later. So does what this owner hasn't seen: the stream may
// have gone back, and what is there may be new (PROTOCOL M9).
func (p *Partition) trimSource(n *intake) {
	if n.source.Foreign() && !mutant.On("foreign-trimmed") {
		return
	}
	seen := min(n.removable, n.confirmed)
	if mutant.On("break-trimmed") {
		seen = n.removable
	}
	to := min(seen, n.protectedFrom(p.now))
	if to > max(n.trimmed, 1) {
		n.trimmed = to
		seq, _ := n.breaks.seq(to)
		p.request(trimInputs{n.source, seq})
	}
	if to < seen && !n.waiting {
		n.waiting = true
		p.after(n.protected[0].until-p.now+1, func() {
			n.waiting = false
			p.trimSource(n)
		})
	}
}
