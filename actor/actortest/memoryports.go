package actortest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/mutant"
)

const memoryMaxRecord = 1 << 20

var errTooLarge = errors.New("too large")

type memoryJournal struct {
	m *Memory
	p int
}

func (j *memoryJournal) Append(data []byte, after uint64, done func(actor.WriteResult)) {
	if len(data) > memoryMaxRecord {
		done(actor.WriteResult{Outcome: actor.Refused, Err: errTooLarge})
		return
	}
	j.m.mu.Lock()
	r := j.m.journals.appendAfter(itoa(j.p), bytes.Clone(data), itoa(j.p), after)
	j.m.mu.Unlock()
	done(r)
}

func (j *memoryJournal) Last(context.Context) (actor.Entry, error) {
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	return entry(j.m.journals.latest(itoa(j.p)))
}

func (j *memoryJournal) Next(_ context.Context, from uint64) (actor.Entry, error) {
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	return entry(j.m.journals.from(from, itoa(j.p)))
}

func entry(e memoryEntry, ok bool) (actor.Entry, error) {
	if !ok {
		return actor.Entry{}, actor.ErrNotFound
	}
	data, _ := e.item.([]byte)
	return actor.Entry{Seq: e.seq, Data: bytes.Clone(data)}, nil
}

func (j *memoryJournal) Purge(_ context.Context, before uint64) error {
	j.m.mu.Lock()
	defer j.m.mu.Unlock()
	j.m.journals.purge(itoa(j.p), min(before, j.m.journals.newest[itoa(j.p)]))
	return nil
}

func (j *memoryJournal) MaxRecord() int { return memoryMaxRecord }

type memoryOutbox struct{ m *Memory }

func (o *memoryOutbox) Publish(s actor.OutboundSend, done func(actor.WriteResult)) {
	o.m.mu.Lock()
	seq := o.m.store(actor.SourceMailbox, s.To, actor.Delivery{
		Internal: true, From: s.From, Number: s.Number, Delivered: s.Delivered, Epoch: s.Epoch, First: s.First, Inputs: []actor.Input{{Envelope: s.Envelope}},
	})
	o.m.mu.Unlock()
	done(actor.WriteResult{Outcome: actor.Stored, Seq: seq})
}

type memoryInbox struct {
	m *Memory
	p int
}

func (i *memoryInbox) Fetch(_ context.Context, source actor.Source, seq uint64) (actor.Delivery, error) {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	e, ok := i.m.source(source).from(seq, itoa(i.p))
	if !ok || e.seq != seq {
		return actor.Delivery{}, fmt.Errorf("fetch %s message %d: %w", source, seq, actor.ErrNotFound)
	}
	r, _ := e.item.(routed)
	return r.delivery, nil
}

func (i *memoryInbox) Trim(_ context.Context, source actor.Source, before uint64) error {
	i.m.mu.Lock()
	defer i.m.mu.Unlock()
	i.m.source(source).purge(itoa(i.p), before)
	return nil
}

type memorySink struct {
	m   *Memory
	p   int
	log *memoryLog
}

const sinkMessages = "messages"

func (s *memorySink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	s.m.mu.Lock()
	r := s.log.appendAfter(sinkMessages, m, itoa(s.p), mark)
	s.m.mu.Unlock()
	done(r)
}

func (s *memorySink) Mark(body []byte, after uint64, done func(actor.WriteResult)) {
	s.m.mu.Lock()
	r := s.log.appendAfter(itoa(s.p), bytes.Clone(body), itoa(s.p), after)
	s.m.mu.Unlock()
	done(r)
}

func (s *memorySink) LastMark(context.Context) (actor.Mark, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	e, err := entry(s.log.latest(itoa(s.p)))
	return actor.Mark{Seq: e.Seq, Body: e.Data}, err
}

func (s *memorySink) Scan(_ context.Context, after, through uint64) ([]actor.SinkID, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if through > s.log.last {
		return nil, fmt.Errorf("scan through %d: the stream ends at %d", through, s.log.last)
	}
	var ids []actor.SinkID
	for _, e := range s.log.keys[sinkMessages] {
		m, ok := e.item.(actor.SinkMessage)
		if ok && m.ID.Partition == s.p && after < e.seq && e.seq <= through {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}

type memoryState struct {
	m *Memory
	p int
}

func (s *memoryState) Load(_ context.Context, k actor.StateKey) (actor.LoadedState, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	e, ok := s.m.states.latest(k.Key())
	if !ok {
		return actor.LoadedState{}, nil
	}
	r, _ := e.item.(actor.StateRecord)
	return actor.LoadedState{Record: &r, Revision: e.seq}, nil
}

func (s *memoryState) Write(k actor.StateKey, r actor.StateRecord, revision uint64, done func(actor.WriteResult)) {
	r.Partition = s.p
	s.m.mu.Lock()
	if mutant.On("state-put") {
		revision = s.m.states.newest[k.Key()]
	}
	result := s.m.states.appendAfter(k.Key(), r, k.Key(), revision)
	s.m.states.purge(k.Key(), s.m.states.newest[k.Key()])
	s.m.mu.Unlock()
	done(result)
}

func (s *memoryState) MaxState() int { return memoryMaxRecord }

type memoryTimers struct {
	m *Memory
	p int
}

type partitionTimer struct {
	actor.Timer
	partition int
}

func (t *memoryTimers) key(id actor.TimerID) string {
	return fmt.Sprintf("%d.%d.%d.%d", t.p, id.Epoch, id.Commit, id.Index)
}

func (t *memoryTimers) Put(timer actor.Timer, done func(actor.WriteResult)) {
	t.m.mu.Lock()
	expected := uint64(0)
	if mutant.On("timer-put") {
		expected = t.m.timers.newest[t.key(timer.ID)]
	}
	r := t.m.timers.appendAfter(t.key(timer.ID), partitionTimer{timer, t.p}, t.key(timer.ID), expected)
	t.m.mu.Unlock()
	done(actor.WriteResult{Outcome: actor.Stored, Seq: r.Seq})
}

func (t *memoryTimers) Delete(id actor.TimerID, done func(actor.WriteResult)) {
	t.m.mu.Lock()
	seq := t.m.timers.append(t.key(id), nil)
	t.m.timers.purge(t.key(id), seq)
	t.m.mu.Unlock()
	done(actor.WriteResult{Outcome: actor.Stored, Seq: seq})
}

func (t *memoryTimers) LoadAll(_ context.Context, take func([]actor.Timer)) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	var found []memoryEntry
	for _, list := range t.m.timers.keys {
		if e := list[len(list)-1]; e.item != nil {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b memoryEntry) int { return cmp.Compare(a.seq, b.seq) })
	for _, e := range found {
		if timer, _ := e.item.(partitionTimer); timer.partition == t.p {
			take([]actor.Timer{timer.Timer})
		}
	}
	return nil
}

type memoryReplies struct{ m *Memory }

func (r *memoryReplies) Reply(e *actor.Envelope) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	r.m.replies = append(r.m.replies, *e)
}
