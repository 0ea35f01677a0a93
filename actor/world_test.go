package actor

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// world simulates what partitions talk to: streams, stores and functions,
// with messages that are delayed, reordered, lost and repeated, owners that
// die or go on as zombies, all from one seed and in virtual time.
type world struct {
	verbose            bool
	errs               []string
	rnd                *rand.Rand
	now                int64
	queue              worldQueue
	order              uint64
	parts              int
	chaos              bool
	loss               int // per cent
	maxRecord, maxPack int
	maxBatch           int
	slow               int // most milliseconds that an append is held up
	owners             []*owner
	log                []string

	journals []*memLog
	mailbox  []mailEntry
	mailTrim []uint64
	kv       map[string][]kvRev
	kvSeq    uint64
	timers   map[worldTimer]bool // false: removed
	timerVal map[worldTimer]Timer
	sinks    [2][]sinkEntry
	accepted map[string]int // external messages by address
}

type memLog struct {
	entries []Entry
	last    uint64
	run     []byte
	timers  map[TimerID]string
	sends   map[int]uint64
}

// ghost folds every record that was ever stored.
func (w *world) ghost(part int, j *memLog, data []byte) {
	rec, err := decodeRecord(data)
	if err != nil {
		w.errorf("%v", err)
		return
	}
	body := rec.body
	if rec.kind == kindPart {
		if rec.part == 0 {
			j.run = nil
		}
		j.run = append(j.run, rec.body...)
		if rec.part < rec.parts-1 || rec.partOf != kindCommit {
			return
		}
		body = j.run
	} else if rec.kind != kindCommit {
		return
	}
	c, err := decodeCommit(body)
	if err != nil {
		w.errorf("%v", err)
		return
	}
	if j.timers == nil {
		j.timers = map[TimerID]string{}
		j.sends = map[int]uint64{}
	}
	for _, tm := range c.timersSet {
		j.timers[tm.ID] = fmt.Sprintf("set %+v", tm)
		w.logf("%d p%d %d/%d timer set %v", w.now, part, rec.epoch, rec.commit, tm)
	}
	for _, v := range c.invocations {
		w.logf("%d p%d %d/%d invocation %v %+v", w.now, part, rec.epoch, rec.commit, v.target, v.mutations)
	}
	for _, g := range c.timersGone {
		w.logf("%d p%d %d/%d timer gone %v", w.now, part, rec.epoch, rec.commit, g)
		if j.timers[g.id] == "" {
			w.errorf("timer %v gone twice or never set", g)
		}
		delete(j.timers, g.id)
	}
	for _, s := range c.sends {
		if s.number != j.sends[s.to]+1 {
			w.errorf("send %d to %d follows %d", s.number, s.to, j.sends[s.to])
		}
		j.sends[s.to] = s.number
	}
}

type worldTimer struct {
	part int
	id   TimerID
}

type mailEntry struct {
	seq  uint64
	part int
	d    Delivery
}

type kvRev struct {
	rev uint64
	rec StateRecord
}

type sinkEntry struct {
	seq  uint64
	part int
	mark []byte
	id   SinkID
	msg  SinkMessage
}

type worldEvent struct {
	at    int64
	order uint64
	do    func()
}

type worldQueue []worldEvent

func (q worldQueue) Len() int { return len(q) }
func (q worldQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q worldQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *worldQueue) Push(x any)   { *q = append(*q, x.(worldEvent)) }
func (q *worldQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (w *world) at(delay int64, do func()) {
	w.order++
	heap.Push(&w.queue, worldEvent{w.now + delay, w.order, do})
}

// owner is one processor incarnation.
type owner struct {
	w       *world
	p       *Partition
	part    int
	dead    bool
	frozen  bool
	wakes   int64
	reading bool
	seen    error
}

func (w *world) spawn(part int) *owner {
	cfg := Config{
		Partition: part, Partitions: w.parts, Incarnation: w.rnd.Uint64() | 1, MaxRecord: w.maxRecord, MaxPack: w.maxPack, MaxMessage: 4000,
		FlushInterval: 20, CheckpointInterval: 60, ResidentInputs: 8, CachedStates: 2, MaxUnapplied: 16, SinkWindow: 4, DedupWindow: 1, EgressLimited: true,
	}.WithDefaults()
	o := &owner{w: w, part: part, p: NewPartition(&cfg, w)}
	w.owners = append(w.owners, o)
	o.p.SetTime(w.now)
	o.p.Open()
	o.run()
	return o
}

// event applies do to the owner's partition, unless it is dead; a frozen one
// gets it when it thaws.
func (o *owner) event(do func(p *Partition)) {
	switch {
	case o.dead:
	case o.frozen:
		o.w.at(20, func() { o.event(do) })
	default:
		o.p.SetTime(o.w.now)
		do(o.p)
		o.run()
	}
}

func (o *owner) run() {
	if o.dead {
		return
	}
	wasRunning := o.reading
	o.p.SetTime(o.w.now)
	o.p.Settle()
	for reqs := o.p.take(); len(reqs) > 0; reqs = o.p.take() {
		for _, r := range reqs {
			o.w.perform(o, r)
		}
	}
	if o.p.stopped() {
		o.dead = true
		if errors.Is(o.p.failure, ErrCorrupt) && !errors.Is(o.p.failure, ErrFenced) {
			o.seen = o.p.failure
			o.w.errorf("partition %d: %v", o.part, o.p.failure)
		}
		return
	}
	if o.p.Running() && !wasRunning {
		o.reading = true
		o.feedNext()
	}
	if at, ok := o.p.Wake(); ok && (o.wakes <= o.w.now || at < o.wakes) {
		o.wakes = max(at, o.w.now+1)
		o.w.at(o.wakes-o.w.now, func() { o.event(func(*Partition) {}) })
	}
}

// feedNext delivers the mailbox in order.
func (o *owner) feedNext() {
	if o.dead {
		return
	}
	if o.frozen {
		o.w.at(20, o.feedNext)
		return
	}
	start := uint64(1)
	if n := o.p.intake(SourceMailbox); n != nil {
		start = n.read + 1
	}
	for _, m := range o.w.mailbox {
		if m.part == o.part && m.seq >= start && m.seq >= o.w.mailTrim[o.part] {
			o.event(func(p *Partition) { d := m.d; p.Deliver(&d) })
			break
		}
	}
	o.w.at(1+o.w.rnd.Int64N(4), o.feedNext)
}

func (w *world) delay() int64 {
	if w.chaos && w.rnd.IntN(60) == 0 {
		return w.rnd.Int64N(600)
	}
	return w.rnd.Int64N(5)
}

// write performs a write with an outcome: it may be lost, or its answer.
func (w *world) write(o *owner, do func() WriteResult, answer func(p *Partition, res WriteResult)) {
	unknown := func() {
		o.event(func(p *Partition) { answer(p, WriteResult{Outcome: Unknown, Err: errors.New("timeout")}) })
	}
	dice := 100
	if w.chaos {
		dice = w.rnd.IntN(100)
	}
	switch {
	case dice < w.loss:
		w.at(50, unknown)
	case dice < 2*w.loss: // stored, perhaps much later, without an answer
		w.at(w.delay(), func() { do() })
		w.at(50, unknown)
	default:
		w.at(w.delay(), func() {
			res := do()
			w.at(w.delay(), func() { o.event(func(p *Partition) { answer(p, res) }) })
		})
	}
}

func (w *world) read(o *owner, do func() func(p *Partition)) {
	w.at(w.delay(), func() {
		ev := do()
		w.at(w.delay(), func() { o.event(ev) })
	})
}

func (w *world) perform(o *owner, r Request) {
	switch r := r.(type) {
	case sinkPublish:
		w.logf("%d p%d %x sink publish %v mark %d", w.now, o.part, o.p.cfg.Incarnation>>48, r.message.ID, r.mark)
	case putTimer, deleteTimer, loadTimers, readLast:
		w.logf("%d p%d %x %T %+v", w.now, o.part, o.p.cfg.Incarnation>>48, r, r)
	case loadState:
		w.logf("%d p%d %x load %v", w.now, o.part, o.p.cfg.Incarnation>>48, r.target)
	case writeState:
		w.logf("%d p%d %x write %v commit %d rev %d %+v", w.now, o.part, o.p.cfg.Incarnation>>48, r.target, r.record.Commit, r.revision, r.record.State)
	case sinkMark, sinkLastMark, sinkScan:
		w.logf("%d p%d %x %T %+v", w.now, o.part, o.p.cfg.Incarnation>>48, r, r)
	}
	j := w.journals[o.part]
	switch r := r.(type) {
	case readLast:
		w.read(o, func() func(*Partition) {
			if len(j.entries) == 0 {
				return func(p *Partition) { p.gotLast(Entry{}, ErrNotFound) }
			}
			e := j.entries[len(j.entries)-1]
			return func(p *Partition) { p.gotLast(e, nil) }
		})
	case readNext:
		w.read(o, func() func(*Partition) {
			for _, e := range j.entries {
				if e.Seq >= r.from {
					return func(p *Partition) { p.gotNext(e, nil) }
				}
			}
			return func(p *Partition) { p.gotNext(Entry{}, ErrNotFound) }
		})
	case appendRecord:
		slow := int64(w.slow) // so that several invocations share a commit
		w.at(w.rnd.Int64N(slow+1), func() { w.append(o, j, r) })

	case purgeJournal:
		w.at(w.delay(), func() {
			if last := j.entries[len(j.entries)-1].Seq; r.before > last {
				w.errorf("purge below %d would remove the last record %d", r.before, last)
			}
			j.entries = slices.DeleteFunc(j.entries, func(e Entry) bool { return e.Seq < r.before })
		})
	case trimInputs:
		w.at(w.delay(), func() { w.mailTrim[o.part] = max(w.mailTrim[o.part], r.before) })
	case fetchInput:
		w.read(o, func() func(*Partition) {
			for _, m := range w.mailbox {
				if m.seq == r.seq && m.part == o.part && m.seq >= w.mailTrim[o.part] {
					d := m.d
					return func(p *Partition) { p.fetched(r.source, r.seq, &d, nil) }
				}
			}
			return func(p *Partition) { p.fetched(r.source, r.seq, &Delivery{}, ErrNotFound) }
		})
	case publishSend:
		w.write(o, func() WriteResult { return WriteResult{Seq: w.post(r.send)} },
			func(p *Partition, res WriteResult) { p.outbox.sent(r.send.To, r.send.Number, res) })
	case invokeCall:
		w.at(w.delay()*3, func() {
			if w.chaos && w.rnd.IntN(10) == 0 {
				o.event(func(p *Partition) {
					p.invoked(r.batch.Target, nil, &InvokeError{Kind: FailureKind(w.rnd.IntN(2)), Reason: ReasonStatus})
				})
				return
			}
			eff := w.function(r.batch)
			o.event(func(p *Partition) { p.invoked(r.batch.Target, eff, nil) })
		})
	case readyCall:
		o.w.at(w.rnd.Int64N(2), func() { o.event(func(p *Partition) { p.granted(r.target) }) })
	case giveBack, notice:
	default:
		w.performStores(o, r)
	}
}

func (w *world) append(o *owner, j *memLog, r appendRecord) {
	w.write(o, func() WriteResult {
		last := uint64(0)
		if len(j.entries) > 0 {
			last = j.entries[len(j.entries)-1].Seq
		}
		if last != r.after {
			return WriteResult{Outcome: Rejected, Seq: last, Err: errors.New("wrong last")}
		}
		j.last += 1 + w.rnd.Uint64N(3)
		j.entries = append(j.entries, Entry{j.last, r.data})
		w.ghost(o.part, j, r.data)
		return WriteResult{Seq: j.last}
	}, func(p *Partition, res WriteResult) { p.writer.appended(res) })
}

func (w *world) post(s OutboundSend) uint64 {
	seq := uint64(len(w.mailbox) + 1)
	w.mailbox = append(w.mailbox, mailEntry{seq: seq, part: s.To, d: Delivery{
		Source: SourceMailbox, Seq: seq, Time: w.now, Internal: true, From: s.From, Number: s.Number,
		Inputs: []Input{{Envelope: s.Envelope}},
	}})
	return seq
}

func (w *world) performStores(o *owner, r Request) {
	switch r := r.(type) {
	case sinkPublish:
		w.write(o, func() WriteResult {
			if w.lastMark(r.sink, o.part).seq != r.mark {
				return WriteResult{Outcome: Rejected, Err: errors.New("fenced")}
			}
			seq := uint64(len(w.sinks[r.sink]) + 1)
			w.logf("%d p%d %x   stored %v at %d", w.now, o.part, o.p.cfg.Incarnation>>48, r.message.ID, seq)
			w.sinks[r.sink] = append(w.sinks[r.sink], sinkEntry{seq: seq, part: o.part, id: r.message.ID, msg: r.message})
			return WriteResult{Seq: seq}
		}, func(p *Partition, res WriteResult) { p.sinks[r.sink].stored(r.message.ID, res) })
	case sinkMark:
		w.write(o, func() WriteResult {
			if last := w.lastMark(r.sink, o.part).seq; last != r.after {
				return WriteResult{Outcome: Rejected, Seq: last, Err: errors.New("wrong last")}
			}
			seq := uint64(len(w.sinks[r.sink]) + 1)
			w.sinks[r.sink] = append(w.sinks[r.sink], sinkEntry{seq: seq, part: o.part, mark: r.body})
			return WriteResult{Seq: seq}
		}, func(p *Partition, res WriteResult) { p.sinks[r.sink].marked(res) })
	case sinkLastMark:
		w.read(o, func() func(*Partition) {
			m := w.lastMark(r.sink, o.part)
			return func(p *Partition) { p.sinks[r.sink].gotMark(Mark{m.seq, m.mark}, nil) }
		})
	case sinkScan:
		w.read(o, func() func(*Partition) {
			var ids []SinkID
			for _, e := range w.sinks[r.sink] {
				if e.seq > r.after && e.seq <= r.through && e.part == o.part && e.mark == nil {
					ids = append(ids, e.id)
				}
			}
			return func(p *Partition) { p.sinks[r.sink].scanned(ids, nil) }
		})
	case loadState:
		w.read(o, func() func(*Partition) {
			var l LoadedState
			if revs := w.kv[r.target.Key()]; len(revs) > 0 {
				last := revs[len(revs)-1]
				l = LoadedState{Record: &last.rec, Revision: last.rev}
			}
			return func(p *Partition) {
				w.logf("%d p%d %x answered %v %+v", w.now, o.part, o.p.cfg.Incarnation>>48, r.target, l.Record)
				p.states.answered(r.target, l, nil)
			}
		})
	case writeState:
		w.write(o, func() WriteResult {
			revs := w.kv[r.target.Key()]
			var last kvRev
			if len(revs) > 0 {
				last = revs[len(revs)-1]
			}
			if last.rev != r.revision {
				return WriteResult{Outcome: Rejected, Seq: last.rev, Err: errors.New("wrong revision")}
			}
			if r.record.Commit < last.rec.Commit {
				w.errorf("record of %s: commit %d written over %d", r.target, r.record.Commit, last.rec.Commit)
			}
			w.kvSeq++
			w.kv[r.target.Key()] = append(revs, kvRev{w.kvSeq, r.record})
			return WriteResult{Seq: w.kvSeq}
		}, func(p *Partition, res WriteResult) { p.states.written(r.target, res) })
	case putTimer:
		w.write(o, func() WriteResult {
			if _, there := w.timers[worldTimer{o.part, r.timer.ID}]; !there {
				w.timers[worldTimer{o.part, r.timer.ID}] = true
				w.timerVal[worldTimer{o.part, r.timer.ID}] = r.timer
				w.logf("%d p%d %x   put timer %v", w.now, o.part, o.p.cfg.Incarnation>>48, r.timer.ID)
			}
			return WriteResult{Seq: 1}
		}, func(p *Partition, res WriteResult) { p.timers.putDone(r.timer.ID, res) })
	case deleteTimer:
		w.write(o, func() WriteResult {
			w.timers[worldTimer{o.part, r.id}] = false
			w.logf("%d p%d %x   deleted timer %v", w.now, o.part, o.p.cfg.Incarnation>>48, r.id)
			return WriteResult{Seq: 1}
		}, func(p *Partition, res WriteResult) { p.timers.deleted(r.id, res) })
	case loadTimers:
		w.read(o, func() func(*Partition) {
			var list []Timer
			for id, there := range w.timers {
				if tm := w.timerVal[id]; there && id.part == o.part {
					list = append(list, tm)
				}
			}
			w.logf("%d p%d %x   image %v", w.now, o.part, o.p.cfg.Incarnation>>48, list)
			slices.SortFunc(list, func(a, b Timer) int { return strings.Compare(fmt.Sprint(a.ID), fmt.Sprint(b.ID)) })
			return func(p *Partition) { p.timersLoaded(list, nil) }
		})
	}
}

func (w *world) lastMark(sink sinkIndex, part int) sinkEntry {
	for _, e := range slices.Backward(w.sinks[sink]) {
		if e.part == part && e.mark != nil {
			return e
		}
	}
	return sinkEntry{}
}

func (w *world) logf(format string, args ...any) {
	if w.verbose {
		w.log = append(w.log, fmt.Sprintf(format, args...))
	}
}

func (w *world) errorf(format string, args ...any) {
	w.errs = append(w.errs, fmt.Sprintf(format, args...))
}
