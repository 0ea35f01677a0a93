package bench

import (
	"context"
	"time"
)

// Message and Record are what goes in and comes out.
func Message(size int, index uint64) []byte { return message(nil, size, index) }

// NewRecord makes a record of a message.
func NewRecord(key int, count uint64, payload []byte) []byte {
	return newRecord(keyText(key), count, payload[:indexDigits])
}

// ParseRecord reads a record.
func ParseRecord(data []byte) (key int, count, index uint64, err error) {
	r, err := parseRecord(data)
	return r.key, r.count, r.index, err
}

// Ledger follows messages by times in milliseconds since the run's start.
type Ledger struct{ l *ledger }

// NewLedger returns one whose window is open.
func NewLedger() *Ledger {
	l := &Ledger{newLedger()}
	l.l.begin(1)
	return l
}

func ms(n int) int64 { return int64(n) * int64(time.Millisecond) }

// Send enters a message.
func (l *Ledger) Send(scheduled, now int) uint64 { return l.l.send(0, ms(scheduled), ms(now)) }

// Ack notes an acknowledgement.
func (l *Ledger) Ack(index uint64, now int) { l.l.ack(index, ms(now)) }

// Deliver notes a record.
func (l *Ledger) Deliver(index uint64, now int) { l.l.deliver(index, ms(now)) }

// Refuse notes a refusal.
func (l *Ledger) Refuse(index uint64, now int) { l.l.refuse(index, ms(now)) }

// Sent is how many messages count.
func (l *Ledger) Sent() uint64 {
	sent, _, _, _ := l.l.counts()
	return sent
}

// Problem is the first thing that was wrong.
func (l *Ledger) Problem() error { return l.l.problem }

// Chunks is how many chunks of entries are in memory.
func (l *Ledger) Chunks() int { return len(l.l.chunks) }

// Latencies are those so far.
func (l *Ledger) Latencies() (latency, publish, total Quantiles) {
	var r Result
	l.l.fillLatencies(&r)
	return r.Latency, r.PublishLatency, r.TotalLatency
}

// Verify is the check at a run's end: counts are the records' of each key, in
// order; sent is how many messages each key got.
func Verify(ctx context.Context, base string, sent []uint64, counts [][]uint64) error {
	l := newLedger()
	r := newReader(l, clock{time.Now()}, len(sent), func() {})
	for key, n := range sent {
		for range n {
			l.ack(l.send(key, 1, 1), 2)
		}
	}
	index := uint64(0)
	for key := range counts {
		for _, count := range counts[key] {
			r.check(record{key: key, count: count})
			l.deliver(index, 3)
			index++
		}
	}
	return verify(ctx, base, sent, l, r)
}
