package bench

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	chunkSize = 4096
	// The histograms' range in microseconds, and their precision.
	longest = int64(time.Hour / time.Microsecond)
	figures = 3
)

// ledger follows every message from its publish to its record. Times are
// nanoseconds since the run's start, never zero once they are set.
type ledger struct {
	mu        sync.Mutex
	next      uint64 // index of the next message
	first     uint64 // index of the first entry of chunks[0]
	chunks    []*chunk
	acked     uint64
	delivered uint64
	refused   map[int]uint64 // messages that the broker would not store, by key
	refusals  uint64

	from, to  int64  // the measuring window; zero: not begun, or not ended
	inWindow  uint64 // delivered in it
	latency   *hdrhistogram.Histogram
	publish   *hdrhistogram.Histogram
	wholePath *hdrhistogram.Histogram

	problem error // the first
}

type chunk struct {
	entries [chunkSize]entry
	open    int // entries that aren't complete
}

type entry struct {
	scheduled, sent, acked, delivered int64
	key                               int
}

func newLedger() *ledger {
	l := &ledger{refused: map[int]uint64{}}
	for _, h := range []**hdrhistogram.Histogram{&l.latency, &l.publish, &l.wholePath} {
		*h = hdrhistogram.New(1, longest, figures)
	}
	return l
}

// send enters a message that is about to be published.
func (l *ledger) send(key int, scheduled, now int64) (index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	index = l.next
	l.next++
	if at := index - l.first; at == uint64(len(l.chunks))*chunkSize {
		l.chunks = append(l.chunks, &chunk{open: chunkSize})
	}
	*l.entry(index) = entry{scheduled: scheduled, sent: now, key: key}
	return index
}

// entry is nil if the index was never used, or its chunk is complete.
func (l *ledger) entry(index uint64) *entry {
	if index < l.first || index >= l.next {
		return nil
	}
	at := index - l.first
	return &l.chunks[at/chunkSize].entries[at%chunkSize]
}

// ack notes that the broker has stored a message.
func (l *ledger) ack(index uint64, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(index)
	if e == nil || e.acked != 0 {
		l.fail(fmt.Errorf("message %d was acknowledged twice, or never published", index))
		return
	}
	e.acked = now
	l.acked++
	l.complete(index, e)
}

// refuse notes that the broker has not stored a message, and says so.
func (l *ledger) refuse(index uint64, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(index)
	if e == nil || e.acked != 0 || e.delivered != 0 {
		l.fail(fmt.Errorf("message %d was refused, and has an acknowledgement or a record, or was never published", index))
		return
	}
	e.acked, e.delivered = now, now
	l.refused[e.key]++
	l.refusals++
	l.closeEntry(index)
}

// deliver notes the record of a message.
func (l *ledger) deliver(index uint64, now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(index)
	if e == nil || e.delivered != 0 {
		l.fail(fmt.Errorf("message %d has two records, or was never published", index))
		return
	}
	e.delivered = now
	l.delivered++
	if l.from != 0 && now >= l.from && (l.to == 0 || now < l.to) {
		l.inWindow++
	}
	l.complete(index, e)
}

// complete records a message whose acknowledgement and record both are here.
func (l *ledger) complete(index uint64, e *entry) {
	if e.acked == 0 || e.delivered == 0 {
		return
	}
	if l.from != 0 && e.scheduled >= l.from && (l.to == 0 || e.scheduled < l.to) {
		late := e.sent - e.scheduled
		observe(l.latency, late+max(0, e.delivered-e.acked))
		observe(l.publish, e.acked-e.scheduled)
		observe(l.wholePath, e.delivered-e.scheduled)
	}
	l.closeEntry(index)
}

// closeEntry lets go of entries once nothing more is expected for any of a
// chunk.
func (l *ledger) closeEntry(index uint64) {
	c := l.chunks[(index-l.first)/chunkSize]
	c.open--
	for len(l.chunks) > 0 && l.chunks[0].open == 0 {
		l.chunks, l.first = l.chunks[1:], l.first+chunkSize
	}
}

func observe(h *hdrhistogram.Histogram, nanos int64) {
	_ = h.RecordValue(min(longest, nanos/int64(time.Microsecond))) // in range
}

func (l *ledger) fail(err error) {
	if l.problem == nil {
		l.problem = err
	}
}

// begin and end mark the window.
func (l *ledger) begin(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = now
}

func (l *ledger) end(now int64) (invocations uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = now
	return l.inWindow
}

// counts are those since the start; what was refused counts as not sent.
func (l *ledger) counts() (sent, acked, delivered uint64, problem error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - l.refusals, l.acked, l.delivered, l.problem
}

// refusedInAll is how many messages were refused.
func (l *ledger) refusedInAll() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refusals
}

// refusedOf is how many messages to a key were refused.
func (l *ledger) refusedOf(key int) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused[key]
}

// fillLatencies says how long the messages of the window took.
func (l *ledger) fillLatencies(r *Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Latency, r.PublishLatency, r.TotalLatency = quantiles(l.latency), quantiles(l.publish), quantiles(l.wholePath)
}
