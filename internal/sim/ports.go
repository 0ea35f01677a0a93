package sim

import (
	"context"
	"errors"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// portsOf are the fakes of an owner's partition behind its network.
func portsOf(o *owner) actor.Ports {
	inner := o.w.memory.Ports(o.part)
	return actor.Ports{
		Journal:     &journal{o, inner.Journal},
		Outbox:      &outbox{o, inner.Outbox},
		Egress:      &sink{o: o, inner: inner.Egress, index: egress, port: "egress"},
		DeadLetters: &sink{o: o, inner: inner.DeadLetters, index: letters, port: "dead letters"},
		State:       stateOf(o, inner.State),
		Timers:      &timers{o, inner.Timers},
		Inbox:       &inbox{o, inner.Inbox},
		Pauses:      &pauses{o, inner.Pauses},
		Replies:     &replies{o},
	}
}

func (o *owner) ghost() *ghost { return o.w.ghosts[o.part] }

type journal struct {
	o     *owner
	inner actor.Journal
}

// Append is part of actor.Journal.
func (j *journal) Append(data []byte, after uint64, done func(actor.WriteResult)) {
	o, w := j.o, j.o.w
	if !o.reached("append") {
		return
	}
	slow := w.plan.Knobs.SlowAppend
	if w.healed {
		slow = 0
	}
	w.log(o, "append", "%s after %d", summary(data), after)
	do := func() actor.WriteResult {
		res := stored(func(d func(actor.WriteResult)) { j.inner.Append(data, after, d) })
		if res.Outcome == actor.Stored {
			w.log(o, "  journal", "%s stored at %d", summary(data), res.Seq)
			o.ghost().record(res.Seq, data)
		} else {
			w.log(o, "  journal", "%s after %d refused, the last is %d", summary(data), after, res.Seq)
		}
		return res
	}
	p := packet{port: "journal", slow: w.rnd.Int64N(slow + 1), do: do, twice: true, done: o.answered("appended", done)}
	if w.plan.Knobs.Replicated && w.allows(Busy) {
		p.do = func() actor.WriteResult { return j.replicated(do) }
	}
	o.write(p)
}

// replicated lets an append fail while another one is on its way.
func (j *journal) replicated(do func() actor.WriteResult) actor.WriteResult {
	w, part := j.o.w, j.o.part
	if w.busy[part] {
		w.hit(Busy)
		return actor.WriteResult{Outcome: actor.Unknown, Err: errBusy}
	}
	w.busy[part] = true
	w.after(1+w.rnd.Int64N(30), func() { w.busy[part] = false })
	return do()
}

// Last is part of actor.Journal.
func (j *journal) Last(ctx context.Context) (actor.Entry, error) {
	w := j.o.w
	if err := j.o.readFails(); err != nil {
		return actor.Entry{}, err
	}
	if w.chance(w.plan.Knobs.StaleRead, StaleRead) {
		if old := j.o.ghost().records; len(old) > 0 {
			w.hit(StaleRead)
			e := old[max(0, len(old)-1-w.rnd.IntN(4))]
			w.log(j.o, "read", "the last record is %d (stale)", e.Seq)
			return e, nil
		}
	}
	e, err := j.inner.Last(ctx)
	w.log(j.o, "read", "the last record is %d", e.Seq)
	return e, err
}

// Next is part of actor.Journal.
func (j *journal) Next(ctx context.Context, from uint64) (actor.Entry, error) {
	j.o.at("replay")
	if err := j.o.readFails(); err != nil {
		return actor.Entry{}, err
	}
	e, err := j.inner.Next(ctx, from)
	j.o.w.log(j.o, "read", "the record at or behind %d is %d", from, e.Seq)
	return e, err
}

// Purge is part of actor.Journal.
func (j *journal) Purge(ctx context.Context, before uint64) error {
	j.o.at("purge")
	j.o.w.log(j.o, "purge", "the journal below %d", before)
	j.o.ghost().purge(before)
	j.o.later(func() { _ = j.inner.Purge(ctx, before) }) // the fake can't fail
	return nil
}

// MaxRecord is part of actor.Journal.
func (j *journal) MaxRecord() int { return j.o.config.MaxRecord }

type outbox struct {
	o     *owner
	inner actor.Outbox
}

// Publish is part of actor.Outbox.
func (b *outbox) Publish(s actor.OutboundSend, done func(actor.WriteResult)) {
	o, w := b.o, b.o.w
	if !o.reached("publish") {
		return
	}
	o.ghost().published(&s)
	do := func() actor.WriteResult {
		res := stored(func(d func(actor.WriteResult)) { b.inner.Publish(s, d) })
		if res.Outcome == actor.Stored {
			w.log(o, "  mailbox", "number %d to partition %d stored at %d: %s", s.Number, s.To, res.Seq, readOp(s.Envelope.Value).ID)
			d, _ := w.memory.Delivery(actor.SourceMailbox, s.To, res.Seq)
			w.ghosts[s.To].arrived(&d)
			w.kick(s.To)
		}
		return res
	}
	if o.host != nil {
		o.host.writer("mailbox", "mailbox", true).gather.Write(&gathered{o: o, do: do}, 1, gather.Lane{}, done)
		return
	}
	p := packet{port: "mailbox", twice: true, done: done, do: do}
	if w.plan.Knobs.Reorder && w.allows(Reorder) {
		w.hit(Reorder)
	} else {
		p.lane = o.lane("mailbox")
	}
	o.write(p)
}

func (o *owner) lane(name string) *lane {
	l := o.lanes[name]
	if l == nil {
		l = &lane{}
		o.lanes[name] = l
	}
	return l
}

type sink struct {
	o     *owner
	inner actor.Sink
	index int
	port  string

	connection int // that the last marker went over
}

// Publish is part of actor.Sink. Its messages share a connection, which loses
// nothing in its middle; only where each address has one message on its way
// single ones may get lost.
func (s *sink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	o, w := s.o, s.o.w
	if !o.reached("sink-publish") {
		return
	}
	o.ghost().sinkPublished(s.index, &m)
	done = o.answered("sink-stored", done)
	do := func() actor.WriteResult {
		res := stored(func(d func(actor.WriteResult)) { s.inner.Publish(m, mark, d) })
		if res.Outcome == actor.Stored {
			w.log(o, "  "+s.port, "%v stored at %d", m.ID, res.Seq)
			o.ghost().sinkStored(s.index, &m)
		} else {
			w.log(o, "  "+s.port, "%v under marker %d refused, the marker is at %d", m.ID, mark, res.Seq)
		}
		return res
	}
	if o.host != nil {
		wr := s.writer()
		may := func() bool { return wr.number == s.connection }
		check := func() bool { return s.isLast(mark) }
		wr.gather.Write(&gathered{o: o, check: check, do: do, may: may}, 1, gather.Lane{Key: s.o.part, Generation: mark}, done)
		return
	}
	p := packet{port: s.port, lane: o.lane(s.port), whole: !s.limited(), done: done, do: do}
	if !s.limited() {
		p.port = "" // such a stream never refuses
	} else {
		p.lane = nil
	}
	o.write(p)
}

// limited says that the stream may refuse messages because it is full, so that
// each address has one on its way.
func (s *sink) limited() bool { return s.index == egress && s.o.w.plan.Knobs.Limited }

// Mark is part of actor.Sink.
func (s *sink) Mark(body []byte, after uint64, done func(actor.WriteResult)) {
	o, w := s.o, s.o.w
	if !o.reached("mark") {
		return
	}
	l := s.laneForMark()
	o.write(packet{port: s.port, lane: l, done: o.answered("marked", done), do: func() actor.WriteResult {
		res := stored(func(d func(actor.WriteResult)) { s.inner.Mark(body, after, d) })
		w.log(o, "  "+s.port, "marker after %d: outcome %d at %d", after, res.Outcome, res.Seq)
		if res.Outcome == actor.Stored {
			g := o.ghost()
			g.marks[s.index] = append(g.marks[s.index], actor.Mark{Seq: res.Seq, Body: body})
		}
		return res
	}})
}

// laneForMark is the connection that a marker goes over.
func (s *sink) laneForMark() *lane {
	if s.o.host != nil {
		wr := s.writer()
		s.connection = wr.number
		return wr.lane
	}
	l := s.o.lane(s.port)
	if l.told {
		*l = lane{}
	}
	l.marked = true
	if s.limited() {
		return nil
	}
	return l
}

// LastMark is part of actor.Sink.
func (s *sink) LastMark(ctx context.Context) (actor.Mark, error) {
	w := s.o.w
	if err := s.o.readFails(); err != nil {
		return actor.Mark{}, err
	}
	if w.chance(w.plan.Knobs.StaleRead, StaleRead) {
		if old := s.o.ghost().marks[s.index]; len(old) > 0 {
			w.hit(StaleRead)
			return old[max(0, len(old)-1-w.rnd.IntN(3))], nil
		}
	}
	m, err := s.inner.LastMark(ctx)
	w.log(s.o, "read", "the marker in %s is at %d", s.port, m.Seq)
	return m, err
}

// Scan is part of actor.Sink.
func (s *sink) Scan(ctx context.Context, after, through uint64) ([]actor.SinkID, error) {
	s.o.at("scan")
	if err := s.o.readFails(); err != nil {
		return nil, err
	}
	if w := s.o.w; w.chance(w.plan.Knobs.SlowScans, SlowRead) {
		w.hit(SlowRead)
		s.o.slowAnswer = w.rnd.Int64N(w.plan.Knobs.LongDelay)
	}
	ids, err := s.inner.Scan(ctx, after, through)
	s.o.w.log(s.o, "scan", "%s from %d to %d: %v", s.port, after, through, ids)
	return ids, err
}

type state struct {
	o     *owner
	inner actor.StateStore
}

// reading is a state store that reads many records together, as seen by a
// partition: each may be left to Load.
type reading struct{ *state }

// stateOf is what half of the worlds have the one of, and half the other.
func stateOf(o *owner, inner actor.StateStore) actor.StateStore {
	s := &state{o, inner}
	if o.w.plan.Seed%2 == 0 {
		return s
	}
	return &reading{s}
}

// Read is part of actor.StateReader.
func (r *reading) Read(k actor.StateKey, done func(actor.LoadedState, bool)) {
	r.o.Go(actor.WorkRead, func(ctx context.Context) {
		l, err := r.Load(ctx, k)
		done(l, err == nil && !l.Foreign)
	})
}

// Load is part of actor.StateStore.
func (s *state) Load(ctx context.Context, a actor.StateKey) (actor.LoadedState, error) {
	s.o.at("load")
	if err := s.o.readFails(); err != nil {
		return actor.LoadedState{}, err
	}
	l, err := s.inner.Load(ctx, a)
	if w := s.o.w; l.Record != nil && w.chance(w.plan.Knobs.Foreign, Foreign) {
		w.hit(Foreign)
		l.Foreign, l.Detail = true, "no record"
	}
	if l.Record != nil {
		s.o.w.log(s.o, "load", "%s: revision %d, commit %d", a, l.Revision, l.Record.Commit)
	} else {
		s.o.w.log(s.o, "load", "%s: nothing", a)
	}
	return l, err
}

// Write is part of actor.StateStore.
func (s *state) Write(a actor.StateKey, r actor.StateRecord, revision uint64, done func(actor.WriteResult)) {
	o, w := s.o, s.o.w
	if !o.reached("state-write") {
		return
	}
	o.ghost().stateWritten(a, &r)
	do := func() actor.WriteResult {
		res := stored(func(d func(actor.WriteResult)) { s.inner.Write(a, r, revision, d) })
		w.log(o, "  state", "%s commit %d after revision %d: outcome %d, revision %d", a, r.Commit, revision, res.Outcome, res.Seq)
		if res.Outcome != actor.Stored {
			return res
		}
		if r.Commit < w.kvCommit[a] {
			w.fail("%s: the record of %s with commit %d replaces commit %d (K2)", o.name, a, r.Commit, w.kvCommit[a])
		}
		w.kvCommit[a] = r.Commit
		if n := w.newest(o.part); n != nil && n != o && !n.p.Running() {
			w.hit(ReplayMoved)
		}
		return res
	}
	done = o.answered("state-written", done)
	if o.host == nil {
		o.write(packet{port: "state", twice: true, done: done, do: do})
		return
	}
	check := func() bool {
		l, err := s.inner.Load(o.ctx, a)
		return err == nil && l.Revision == revision
	}
	o.host.writer("state", "state", true).gather.Write(&gathered{o: o, key: a.String(), check: check, do: do}, 1, gather.Lane{}, done)
}

// MaxState is part of actor.StateStore.
func (s *state) MaxState() int { return s.inner.MaxState() }

type timers struct {
	o     *owner
	inner actor.TimerStore
}

// Put is part of actor.TimerStore.
func (t *timers) Put(timer actor.Timer, done func(actor.WriteResult)) {
	o, w := t.o, t.o.w
	if !o.reached("timer-put") {
		return
	}
	o.ghost().timerPut(&timer)
	o.write(packet{port: "timers", twice: true, done: done, do: func() actor.WriteResult {
		w.log(o, "  timers", "%v put, due at %d", timer.ID, timer.DueAt-startTime)
		return stored(func(d func(actor.WriteResult)) { t.inner.Put(timer, d) })
	}})
}

// Delete is part of actor.TimerStore.
func (t *timers) Delete(id actor.TimerID, done func(actor.WriteResult)) {
	o, w := t.o, t.o.w
	if !o.reached("timer-delete") {
		return
	}
	o.ghost().timerDeleted(id)
	o.write(packet{port: "timers", twice: true, done: done, do: func() actor.WriteResult {
		w.log(o, "  timers", "%v deleted", id)
		return stored(func(d func(actor.WriteResult)) { t.inner.Delete(id, d) })
	}})
}

// LoadAll is part of actor.TimerStore.
func (t *timers) LoadAll(ctx context.Context, take func([]actor.Timer)) error {
	n := 0
	err := t.inner.LoadAll(ctx, func(list []actor.Timer) {
		n += len(list)
		take(list)
	})
	if fails := t.o.readFails(); fails != nil { // after some, or all
		err = fails
	}
	t.o.w.log(t.o, "load", "%d timers, %v", n, err)
	return err
}

type inbox struct {
	o     *owner
	inner actor.Inbox
}

// Fetch is part of actor.Inbox.
func (i *inbox) Fetch(ctx context.Context, source actor.Source, seq uint64) (actor.Delivery, error) {
	i.o.w.hit(Spill)
	if err := i.o.readFails(); err != nil {
		return actor.Delivery{}, err
	}
	d, err := i.inner.Fetch(ctx, source, seq)
	if err != nil && !errors.Is(err, actor.ErrNotFound) {
		i.o.w.fail("fetch of %s %d: %v", source, seq, err)
	}
	return d, err
}

// Trim is part of actor.Inbox.
func (i *inbox) Trim(ctx context.Context, source actor.Source, before uint64) error {
	i.o.at("trim")
	i.o.w.log(i.o, "trim", "%s below %d", source, before)
	i.o.ghost().trim(source, before)
	i.o.later(func() { _ = i.inner.Trim(ctx, source, before) }) // the fake can't fail
	return nil
}

// replies are answers to callers. Whether they arrive is the gateway's affair:
// what counts is that each leaves, and when.
type replies struct{ o *owner }

// Reply is part of actor.Replies.
func (r *replies) Reply(e *actor.Envelope) {
	if !r.o.reached("reply") {
		return
	}
	r.o.w.log(r.o, "reply", "to %s: %s", e.Target.ID, replyText(e))
	r.o.ghost().replied(e)
}
