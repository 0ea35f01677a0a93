package actor

import (
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/internal/mutant"
)

// readPause is the pause before a failed read of the journal is repeated, in
// milliseconds.
const readPause = 200

// recovery takes a partition over: it appends an Open record, which fences
// every earlier owner, restores the newest checkpoint, and replays the
// journal's tail up to its own Open (PROTOCOL R1–R3).
type recovery struct {
	p    *Partition
	open uint64 // sequence of our own Open record

	strayAt uint64 // where a stray message lies behind the last record
	found   Entry  // the last record found before it
	from    uint64 // what is read next

	checkpoint uint64 // where the checkpoint begins; zero: none, or it is restored
	restored   uint64 // records at or below it are in the restored checkpoint
	lastSeq    uint64 // the record read last; zero: none yet
	lastSum    uint64
	lastEpoch  uint64
	lastCommit uint64
	first      bool // the next record is the first of the replay
	commits    int  // replayed
	records    int

	run partRun
}

// partRun gathers a record that was written in parts.
type partRun struct {
	of   recordKind
	next int
	body []byte
}

// Open begins the partition's life: it fences every earlier owner and
// recovers.
func (p *Partition) Open() {
	p.phase = phaseOpening
	p.recovery = &recovery{p: p}
	p.request(readLast{})
}

// gotLast answers readLast.
func (p *Partition) gotLast(e Entry, err error) {
	if p.phase == phaseOpening && p.writer.idle() {
		p.recovery.gotLast(e, err)
	}
}

func (r *recovery) gotLast(e Entry, err error) {
	p, w := r.p, r.p.writer
	switch {
	case errors.Is(err, ErrNotFound):
		// The partition's first owner.
	case err != nil:
		p.after(readPause, func() { p.request(readLast{}) })
		return
	case stray(e.Data):
		r.seek(e.Seq)
		return
	default:
		last, err := decodeRecord(e.Data)
		if err != nil {
			p.fail(fmt.Errorf("%w: partition %d, record %d: %w", ErrCorrupt, p.cfg.Partition, e.Seq, err))
			return
		}
		w.epoch, w.commit, w.lastSeq, w.lastSum, w.checkpoint = last.epoch, last.commit, e.Seq, checksum(e.Data), last.checkpoint
		if last.kind == kindCheckpoint {
			w.checkpoint = e.Seq
		}
		if last.kind == kindPart && !mutant.On("void-parts-count") && last.partOf == kindCommit && last.part < last.parts-1 {
			w.commit-- // it was never finished, and our Open voids it
		}
		p.shift = max(0, last.time-p.now)
		p.now += p.shift
	}
	if !mutant.On("epoch-kept") {
		w.epoch = max(w.epoch+1, epochAt(p.now))
	}
	w.end = max(w.end, r.strayAt)
	p.stats.Epoch = w.epoch
	r.checkpoint, r.restored = w.checkpoint, 0
	w.write(kindOpen, nil, func(seq uint64) { r.begin(seq) })
}

// epochAt is the least epoch that a partition may have that is opened now, in
// milliseconds: the seconds of 2026 and later. So no epoch comes twice, even if
// the journal has lost the record that opened the last one (J2).
func epochAt(now int64) uint64 {
	const start = 1_767_225_600 // 2026 began
	return uint64(max(0, now/1000-start))
}

// seek finds the last record when a stray message lies behind it, by reading
// the journal from its start.
func (r *recovery) seek(end uint64) {
	r.strayAt, r.from, r.found = end, 1, Entry{}
	r.p.notice(noticeWarn, "message of somebody else in the journal, passed over", Address{}, nil)
	r.read()
}

func (r *recovery) sought(e Entry, err error) {
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		r.p.after(readPause, func() { r.read() })
		return
	case err == nil && e.Seq <= r.strayAt:
		if !stray(e.Data) {
			r.found = e
		}
		r.from = e.Seq + 1
		if e.Seq < r.strayAt {
			r.read()
			return
		}
	}
	if r.found.Seq == 0 {
		r.gotLast(Entry{}, ErrNotFound)
		return
	}
	r.gotLast(r.found, nil)
}

// begin starts reading, now that nobody else can append.
func (r *recovery) begin(open uint64) {
	r.open = open
	r.p.phase = phaseReplaying
	r.from, r.first = 1, true
	if r.checkpoint != 0 {
		r.from = r.checkpoint
	}
	r.read()
}

func (r *recovery) read() { r.p.request(readNext{r.from}) }

// gotNext answers readNext.
func (p *Partition) gotNext(e Entry, err error) {
	switch {
	case p.stopped():
	case p.writer.probing:
		p.writer.probed(e, err)
	case p.phase == phaseOpening:
		p.recovery.sought(e, err)
	case p.phase == phaseReplaying:
		p.recovery.gotNext(e, err)
	}
}

func (r *recovery) gotNext(e Entry, err error) {
	p := r.p
	if err != nil && !errors.Is(err, ErrNotFound) {
		p.after(readPause, func() { r.read() })
		return
	}
	if err != nil || e.Seq > r.open {
		p.doubt("the journal ends before record %d, which opened it", r.open)
		return
	}
	if stray(e.Data) {
		r.from = e.Seq + 1
		r.read()
		return
	}
	rec, err := decodeRecord(e.Data)
	if err != nil {
		p.fail(fmt.Errorf("%w: partition %d, record %d: %w", ErrCorrupt, p.cfg.Partition, e.Seq, err))
		return
	}
	if r.checkpoint != 0 {
		r.restore(rec, e)
		return
	}
	if !r.chained(rec, e) {
		return
	}
	r.replay(rec, e)
	switch {
	case p.stopped():
	case e.Seq == r.open || mutant.On("replay-ends-early") && rec.kind == kindOpen:
		r.replayed()
	default:
		r.from = e.Seq + 1
		r.read()
	}
}

// restore reads the checkpoint, which may have several parts.
func (r *recovery) restore(rec *record, e Entry) {
	p := r.p
	if r.run.next == 0 && e.Seq != r.checkpoint && !mutant.On("gap-ignored") {
		p.doubt("the checkpoint at %d is not in the journal, the next record is %d", r.checkpoint, e.Seq)
		return
	}
	if r.run.next > 0 && (rec.prevSeq != r.lastSeq || rec.prevSum != r.lastSum) {
		p.doubt("the checkpoint at %d goes on at %d, but record %d is missing in between", r.checkpoint, e.Seq, rec.prevSeq)
		return
	}
	r.lastSeq, r.lastSum = e.Seq, checksum(e.Data)
	body, whole := rec.body, rec.kind == kindCheckpoint
	if rec.kind == kindPart && rec.partOf == kindCheckpoint {
		body, whole = r.gather(rec)
	} else if !whole {
		p.breach("record %d is a %v, want a checkpoint", e.Seq, rec.kind)
	}
	if p.stopped() {
		return
	}
	if !whole {
		r.from = e.Seq + 1
		r.read()
		return
	}
	c, err := decodeCheckpoint(body)
	if err != nil {
		p.fail(fmt.Errorf("%w: partition %d, record %d: %w", ErrCorrupt, p.cfg.Partition, e.Seq, err))
		return
	}
	for i := range c.progress {
		p.intake(c.progress[i].source).restore(&c.progress[i])
	}
	p.outbox.restore(c.next, c.delivered)
	for i, s := range p.sinks {
		s.restore(c.sinks[i])
	}
	p.timers.used = c.timers
	p.applier.applied = c.applied
	r.checkpoint, r.restored, r.run = 0, e.Seq, partRun{}
	r.lastSeq, r.from = c.applied, c.applied+1
	r.read()
}

// chained verifies that rec follows the record before it (invariant 1).
func (r *recovery) chained(rec *record, e Entry) bool {
	p := r.p
	switch {
	case mutant.On("gap-ignored"):
		r.first, r.lastSeq, r.lastSum, r.lastCommit = false, e.Seq, checksum(e.Data), 0
		return true
	case r.first && rec.prevSeq != r.lastSeq:
		p.doubt("the journal goes on at %d after record %d, want after %d: records are missing", e.Seq, rec.prevSeq, r.lastSeq)
	case !r.first && (rec.prevSeq != r.lastSeq || rec.prevSum != r.lastSum):
		p.doubt("record %d does not follow record %d", e.Seq, r.lastSeq)
	case rec.epoch < r.lastEpoch:
		p.breach("record %d has epoch %d after %d", e.Seq, rec.epoch, r.lastEpoch)
	default:
		r.first = false
		r.records++
		r.lastSeq, r.lastSum, r.lastEpoch = e.Seq, checksum(e.Data), rec.epoch
		return true
	}
	return false
}

func (r *recovery) replay(rec *record, e Entry) {
	switch rec.kind {
	case kindOpen:
		r.run = partRun{}
		r.lastCommit = rec.commit
	case kindCommit:
		r.run = partRun{}
		r.apply(rec, e.Seq, rec.body)
	case kindPart:
		body, whole := r.gather(rec)
		if whole && rec.partOf == kindCommit {
			r.apply(rec, e.Seq, body)
		}
	case kindCheckpoint:
		r.run = partRun{}
	}
}

// gather adds a part; whole is true with the last one.
func (r *recovery) gather(rec *record) (body []byte, whole bool) {
	if rec.part == 0 {
		r.run = partRun{of: rec.partOf}
	}
	if rec.part != r.run.next || rec.partOf != r.run.of {
		r.p.breach("part %d of a %v follows part %d of a %v", rec.part, rec.partOf, r.run.next-1, r.run.of)
		return nil, false
	}
	r.run.next++
	r.run.body = append(r.run.body, rec.body...)
	if rec.part < rec.parts-1 && !mutant.On("parts-count-early") {
		return nil, false
	}
	body = r.run.body
	r.run = partRun{}
	return body, true
}

// apply replays a commit: what the checkpoint doesn't know is folded, and all
// its effects are put in place again.
func (r *recovery) apply(rec *record, seq uint64, body []byte) {
	p := r.p
	c, err := decodeCommit(body)
	if err != nil {
		p.fail(fmt.Errorf("%w: partition %d, record %d: %w", ErrCorrupt, p.cfg.Partition, seq, err))
		return
	}
	if r.lastCommit != 0 && rec.commit != r.lastCommit+1 {
		p.breach("commit %d follows commit %d", rec.commit, r.lastCommit)
		return
	}
	r.lastCommit = rec.commit
	r.commits++
	if seq > r.restored {
		r.fold(c)
	}
	if !p.stopped() {
		d := durableCommit{commit: c, epoch: rec.epoch, number: rec.commit, seq: seq, recovered: true}
		for i, s := range p.sinks {
			d.sinksAt[i] = s.from
		}
		p.applier.hand(&d)
	}
}

func (r *recovery) fold(c *commit) {
	p := r.p
	for i := range c.invocations {
		for _, id := range c.invocations[i].consumed {
			p.intake(id.Source).holes.remove(inputRef{id.Seq, id.Index})
		}
	}
	for i := range c.progress {
		p.intake(c.progress[i].source).replay(&c.progress[i])
	}
	for i := range c.sends {
		s := &c.sends[i]
		if number := p.outbox.number(s.to); number != s.number {
			p.breach("send %d to partition %d follows %d", s.number, s.to, number-1)
			return
		}
	}
}

// replayed ends the replay; timers are loaded if there may be any.
func (r *recovery) replayed() {
	p := r.p
	p.stats.Covered = p.writer.commit - uint64(r.commits)
	p.outbox.resume()
	for _, n := range p.sources {
		n.resume(p.now, p.cfg.DedupWindow.Milliseconds())
	}
	p.phase = phaseLoadingTimers
	if p.timers.used {
		p.timers.load()
		return
	}
	p.timersLoaded(0, nil)
}

// timersLoaded answers loadTimers; the partition runs from here on.
func (p *Partition) timersLoaded(run int, err error) {
	if p.phase != phaseLoadingTimers || run != p.timers.run {
		return
	}
	if err != nil {
		p.notice(noticeWarn, "timers can't be loaded, trying again", Address{}, err)
		p.after(statePause, p.timers.load)
		return
	}
	p.timers.resume()
	p.phase, p.openedAt = phaseRunning, p.now
	if p.recovery.commits > 0 || p.recovery.records > 16 {
		p.checkpointLater()
	}
	p.recovery = nil
}
