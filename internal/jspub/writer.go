package jspub

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// What JetStream calls an atomic batch's headers.
const (
	headerBatch       = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
	headerMsgID       = jetstream.MsgIDHeader
)

// The limits of a Writer. A batch on a file-backed stream takes the server as
// long as about fourteen synced messages do, 2 to 4 ms of CPU time, however
// few it holds. More singles in flight would hide the backlog in the server's
// queue, where no batch forms of it. The server takes at most 1,000 in one.
const (
	writerSingles  = 8
	writerLeast    = 16
	writerMost     = 1000
	writerBytes    = 4 << 20
	writerRest     = 2 // twice as long as the batch took
	writerRestMost = 20 * time.Millisecond
)

// Write is one message for a Writer.
type Write struct {
	Msg *nats.Msg
	// ID is the Nats-Msg-Id of a message that is stored singly.
	ID string
	// Lane orders the write; see gather.Lane.
	Lane gather.Lane
	// May is asked right before the message is handed to the network, unless
	// it is nil. Its error means that the message must not be sent any more.
	May func() error
}

// Writer is a way into one stream. Where the stream takes batches, messages
// that pile up are stored together.
type Writer struct {
	pub    *Publisher
	gather *gather.Gatherer[*Write]
	nonce  string
	start  time.Time
	count  atomic.Uint64
}

// NewWriter returns a Writer for stream. batches says that the server syncs for
// every acknowledgement, so that batches pay.
func (p *Publisher) NewWriter(stream jetstream.Stream, batches bool) *Writer {
	w := &Writer{pub: p}
	if batches && stream.CachedInfo().Config.AllowAtomicPublish {
		w.nonce, w.start = rand.Text()[:12]+"-", time.Now()
		w.gather = gather.New(gathered{w}, gather.Limits{
			Singles: writerSingles, Least: writerLeast, Most: writerMost, Bytes: writerBytes,
			Rest: writerRest, RestMost: writerRestMost,
		})
	}
	return w
}

// Write stores a message and calls done once with the outcome, possibly before
// it returns.
func (w *Writer) Write(m *Write, done func(actor.WriteResult)) {
	if w.gather == nil {
		w.single(m, done)
		return
	}
	w.gather.Write(m, len(m.Msg.Data), m.Lane, done)
}

func (w *Writer) single(m *Write, done func(actor.WriteResult)) {
	if m.May != nil {
		if err := m.May(); err != nil {
			done(actor.WriteResult{Outcome: actor.Unknown, Err: err})
			return
		}
	}
	if m.ID != "" {
		m.Msg.Header[headerMsgID] = []string{m.ID}
	}
	w.pub.Publish(m.Msg, func(a Ack) { done(a.WriteResult) })
}

// gathered is the Writer as its gatherer sees it.
type gathered struct{ *Writer }

// Single is part of gather.Stream.
func (w gathered) Single(m *Write, done func(actor.WriteResult)) { w.single(m, done) }

// Batch is part of gather.Stream.
func (w gathered) Batch(ms []*Write, done func(gather.BatchResult)) {
	if err := may(ms); err != nil { // one by one, they learn it themselves
		done(gather.BatchResult{Rest: actor.Refused, Err: err})
		return
	}
	id := w.nonce + strconv.FormatUint(w.count.Add(1), 36)
	for i, m := range ms[:len(ms)-1] {
		mark(m, id, i)
		m.Msg.Reply = ""
		if err := w.pub.nc.PublishMsg(m.Msg); err != nil {
			unmark(ms[:i+1])
			// The server drops what it got.
			done(gather.BatchResult{Rest: actor.Refused, Err: fmt.Errorf("batch not committed: %w", err)})
			return
		}
	}
	last := ms[len(ms)-1]
	mark(last, id, len(ms)-1)
	last.Msg.Header[headerBatchCommit] = []string{"1"}
	w.pub.publish(last.Msg, func(m *nats.Msg) Ack { return parseBatch(m, id, len(ms)) }, func(a Ack) {
		if a.Outcome == actor.Stored {
			done(gather.BatchResult{Stored: len(ms), Seq: a.Seq})
			return
		}
		unmark(ms)
		done(gather.BatchResult{Rest: a.Outcome, Err: a.Err})
	})
}

// may says why one of the messages must not be sent any more.
func may(ms []*Write) error {
	for _, m := range ms {
		if m.May == nil {
			continue
		}
		if err := m.May(); err != nil {
			return err
		}
	}
	return nil
}

// Now is part of gather.Stream.
func (w gathered) Now() time.Duration { return time.Since(w.start) }

// After is part of gather.Stream.
func (w gathered) After(d time.Duration, f func()) { time.AfterFunc(d, f) }

func mark(m *Write, id string, i int) {
	if m.Msg.Header == nil {
		m.Msg.Header = nats.Header{}
	}
	m.Msg.Header[headerBatch] = []string{id}
	m.Msg.Header[headerBatchSeq] = []string{strconv.Itoa(i + 1)}
}

// unmark makes messages single ones again.
func unmark(ms []*Write) {
	for _, m := range ms {
		delete(m.Msg.Header, headerBatch)
		delete(m.Msg.Header, headerBatchSeq)
		delete(m.Msg.Header, headerBatchCommit)
	}
}
