package actortest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// Memory is an application without a broker: the ports of all its partitions,
// in memory. It answers every write before the call returns.
type Memory struct {
	mu       sync.Mutex
	sources  map[actor.Source]*memoryLog // items are routed deliveries
	journals *memoryLog
	egress   *memoryLog
	letters  *memoryLog
	states   *memoryLog
	timers   *memoryLog
	pauses   *memoryLog // items are memoryPauses
	replies  []actor.Envelope
	changed  chan struct{} // closed, and made again, when a source grows
	now      func() int64
}

// NewMemory returns an empty one. It takes any partition number.
func NewMemory() *Memory {
	return &Memory{
		sources:  map[actor.Source]*memoryLog{},
		journals: newMemoryLog(), egress: newMemoryLog(), letters: newMemoryLog(),
		states: newMemoryLog(), timers: newMemoryLog(), pauses: newMemoryLog(),
		changed: make(chan struct{}),
		now:     func() int64 { return time.Now().UnixMilli() },
	}
}

// SetClock replaces the clock, which is in Unix milliseconds. It is for the
// time before m is used.
func (m *Memory) SetClock(now func() int64) { m.now = now }

// Ports returns the ports of partition p.
func (m *Memory) Ports(p int) actor.Ports {
	return actor.Ports{
		Journal:     &memoryJournal{m, p},
		Outbox:      &memoryOutbox{m},
		Egress:      &memorySink{m, p, m.egress},
		DeadLetters: &memorySink{m, p, m.letters},
		State:       &memoryState{m, p},
		Timers:      &memoryTimers{m, p},
		Inbox:       &memoryInbox{m, p},
		Pauses:      &memoryPauseStore{m},
		Replies:     &memoryReplies{m},
	}
}

// Send stores a message from outside for partition p and returns its
// sequence.
func (m *Memory) Send(source actor.Source, p int, dedup bool, inputs ...actor.Input) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.store(source, p, actor.Delivery{Dedup: dedup, Inputs: inputs})
}

// store adds a delivery; mu is held.
func (m *Memory) store(source actor.Source, p int, d actor.Delivery) uint64 {
	l := m.source(source)
	d.Source, d.Seq, d.Time = source, l.last+1, m.now()
	for i := range d.Inputs {
		d.Inputs[i].Envelope.StoredAt = d.Time
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return l.append(itoa(p), routed{p, d})
}

// routed is a delivery and the partition it is for.
type routed struct {
	partition int
	delivery  actor.Delivery
}

// Feed hands the deliveries of source to deliver, from sequence start on, in
// order. It returns nil when ctx ends, and the error of deliver.
func (m *Memory) Feed(ctx context.Context, source actor.Source, start uint64, deliver func(ctx context.Context, partition int, d actor.Delivery) error) error {
	for next := start; ; {
		m.mu.Lock()
		e, ok := m.source(source).from(next, "")
		changed := m.changed
		m.mu.Unlock()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
			}
			continue
		}
		r, _ := e.item.(routed)
		if err := deliver(ctx, r.partition, r.delivery); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end of ctx is the normal end
			}
			return err
		}
		next = e.seq + 1
	}
}

// Delivery returns the first delivery of source for partition p with a
// sequence of at least from; ok is false if there is none yet.
func (m *Memory) Delivery(source actor.Source, p int, from uint64) (d actor.Delivery, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.source(source).from(from, itoa(p))
	r, _ := e.item.(routed)
	return r.delivery, ok
}

// Last is the sequence of the newest delivery of source, of any partition.
func (m *Memory) Last(source actor.Source) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.source(source).last
}

// source is what source holds; mu is held.
func (m *Memory) source(source actor.Source) *memoryLog {
	l := m.sources[source]
	if l == nil {
		l = newMemoryLog()
		m.sources[source] = l
	}
	return l
}

// Remove removes partition p's deliveries of source below before, as the owner
// of a foreign stream may.
func (m *Memory) Remove(source actor.Source, p int, before uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source(source).purge(itoa(p), before)
}

// LoseEnd has the stream of source go back behind what it held last: the
// messages after sequence last are gone, and the next one follows it.
func (m *Memory) LoseEnd(source actor.Source, last uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source(source).loseEnd(last)
}

// At returns the delivery of source at seq, of any partition.
func (m *Memory) At(source actor.Source, seq uint64) (d actor.Delivery, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.source(source).from(seq, "")
	r, _ := e.item.(routed)
	return r.delivery, ok && e.seq == seq
}

// EvictMark removes partition p's marker from the egress stream or the dead
// letters', as a limit of the stream might; false if there is none.
func (m *Memory) EvictMark(p int, egress bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.letters
	if egress {
		l = m.egress
	}
	_, there := l.newest[itoa(p)]
	l.purge(itoa(p), l.last+1)
	return there
}

// Replies returns the answers to callers that were let out, in order.
func (m *Memory) Replies() []actor.Envelope {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.replies)
}

// EgressMessages returns what is in the egress stream, in order.
func (m *Memory) EgressMessages() []actor.SinkMessage { return m.sinkMessages(m.egress) }

// DeadLetters returns what is in the dead letters' stream, in order.
func (m *Memory) DeadLetters() []actor.SinkMessage { return m.sinkMessages(m.letters) }

func (m *Memory) sinkMessages(l *memoryLog) []actor.SinkMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []actor.SinkMessage
	for _, e := range l.keys[sinkMessages] {
		if message, ok := e.item.(actor.SinkMessage); ok {
			out = append(out, message)
		}
	}
	return out
}
