package actortest

import (
	"context"
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
	changed  chan struct{} // closed, and made again, when a source grows
}

// NewMemory returns an empty one. It takes any partition number.
func NewMemory() *Memory {
	return &Memory{
		sources: map[actor.Source]*memoryLog{
			actor.SourceMailbox: newMemoryLog(), actor.SourceIngress: newMemoryLog(),
		},
		journals: newMemoryLog(), egress: newMemoryLog(), letters: newMemoryLog(),
		states: newMemoryLog(), timers: newMemoryLog(),
		changed: make(chan struct{}),
	}
}

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
	l := m.sources[source]
	d.Source, d.Seq, d.Time = source, l.last+1, time.Now().UnixMilli()
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
		e, ok := m.sources[source].from(next, "")
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

// EgressMessages returns what is in the egress stream, in order.
func (m *Memory) EgressMessages() []actor.SinkMessage { return m.sinkMessages(m.egress) }

// DeadLetters returns what is in the dead letters' stream, in order.
func (m *Memory) DeadLetters() []actor.SinkMessage { return m.sinkMessages(m.letters) }

func (m *Memory) sinkMessages(l *memoryLog) []actor.SinkMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []actor.SinkMessage
	for _, e := range l.entries {
		if message, ok := e.item.(actor.SinkMessage); ok {
			out = append(out, message)
		}
	}
	return out
}
