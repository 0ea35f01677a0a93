package actor

// How the state of durable commits gets into the store: when, by how often
// addresses change again, and what becomes of each write (PROTOCOL K1 to K6).

import (
	"slices"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// observe notes when e changes. Addresses that change again between a short
// and a long flush interval make the long one worth while; those that change
// more often, or hardly ever, don't.
func (s *states) observe(e *entry) {
	since, share := s.p.now-e.changed, int64(0)
	if e.changed != 0 && since > s.p.cfg.FlushInterval && since <= s.p.cfg.FlushMost {
		share = mergingAll
	}
	e.changed = s.p.now
	s.merging += (share - s.merging) / 64
}

// delay is how long a change waits for others of its address.
func (s *states) delay() int64 {
	least, most := s.p.cfg.FlushInterval, s.p.cfg.FlushMost
	switch {
	case s.p.draining:
		return 0
	case s.crowded || most <= least:
		return least
	}
	return least + (most-least)*min(2*s.merging, mergingAll)/mergingAll
}

func (s *states) flushLater(e *entry) {
	if e.flushing || e.inFlight {
		return
	}
	e.flushing = true
	s.p.after(s.delay(), func() { s.flush(e) })
}

func (s *states) flush(e *entry) {
	e.flushing = false
	if e.inFlight || len(e.pending) == 0 && !e.rewrite {
		return
	}
	if len(e.durable) == 0 && e.absent && !e.rewrite && (!e.shown || mutant.On("state-removal-unmarked")) {
		s.acknowledge(e, e.commit)
		return
	}
	s.write(e)
}

// write sends the whole record, with all durable commits.
func (s *states) write(e *entry) {
	e.inFlight, e.written, e.removed = true, e.commit, len(e.durable) == 0
	s.p.request(writeState{
		key:      e.key,
		record:   StateRecord{State: e.durable, Partition: s.p.cfg.Partition, Epoch: e.epoch, Commit: e.commit},
		revision: e.revision,
	})
}

// written takes the outcome of a write.
func (s *states) written(k StateKey, res WriteResult) {
	e := s.entries[k]
	if e == nil || !e.inFlight {
		return
	}
	switch res.Outcome {
	case Stored:
		e.pause = statePause
		s.applied(e, res.Seq, e.written, e.removed)
	case Rejected:
		s.p.request(loadState{key: k}) // conflict goes on
	case Refused, Unknown:
		s.p.after(e.pause, func() {
			if e.inFlight {
				s.write(e)
			}
		})
		e.pause = min(2*e.pause, statePauseMax)
	}
}

// conflict decides what a rejected write means (K2).
func (s *states) conflict(e *entry, l LoadedState) {
	there := uint64(0)
	if l.Record != nil && !mutant.On("state-blind-retry") {
		there = l.Record.Commit
	}
	switch {
	case there > e.written, there == e.written && there != 0 && !l.Foreign: // also below a foreign write: never an older one over it
		s.applied(e, l.Revision, l.Record.Commit, len(l.Record.State) == 0)
		return
	case l.Foreign:
		s.foreign(e, l.Detail)
	}
	e.revision = l.Revision
	s.write(e)
}

// applied takes note of a stored record: ours, or one of a later owner that
// contains as much. No older commit may be written over it.
func (s *states) applied(e *entry, revision, commit uint64, removed bool) {
	if commit < e.stored {
		s.p.breach("the record of %s with commit %d replaced commit %d", e.addr, commit, e.stored)
		return
	}
	e.revision, e.stored, e.absent = revision, commit, removed
	e.inFlight, e.rewrite = false, false
	s.acknowledge(e, commit)
	if len(e.pending) > 0 {
		s.flushLater(e)
	}
}

// acknowledge ends the wait of the commits that the stored record contains.
func (s *states) acknowledge(e *entry, commit uint64) {
	n := 0
	for n < len(e.pending) && (e.pending[n].number <= commit || mutant.On("state-applied-newest")) {
		n++
	}
	done := e.pending[:n]
	e.pending = e.pending[n:]
	e.shown = e.shown && len(e.pending) > 0
	for _, effect := range done {
		s.p.done(effect)
	}
	s.rest(e)
}

// hurry writes every dirty record now: the partition is being drained.
func (s *states) hurry() {
	var dirty []*entry
	for _, e := range s.entries {
		if len(e.pending) > 0 && e.loaded {
			dirty = append(dirty, e)
		}
	}
	slices.SortFunc(dirty, func(a, b *entry) int { return strings.Compare(a.key.String(), b.key.String()) })
	for _, e := range dirty {
		s.flush(e)
	}
}
