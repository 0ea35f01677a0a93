package jspub

import (
	"crypto/rand"
	"errors"
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

// ErrReconnected means that a message was not sent, since the connection that
// it was meant for is lost.
var ErrReconnected = errors.New("the connection is another one than the one that the message belongs to")

// Write is one message for a Writer.
type Write struct {
	Subject string
	Header  []Field // of different names
	Data    []byte
	// ID is the Nats-Msg-Id of a message that is stored singly.
	ID string
	// Lane orders the write; see gather.Lane.
	Lane gather.Lane
	// Connection is the one that the message has to go over, or not at all, as
	// Publisher.Connection counts them; zero: any.
	Connection uint64
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
	w.gather.Write(m, len(m.Data), m.Lane, done)
}

func (w *Writer) single(m *Write, done func(actor.WriteResult)) {
	if !w.pub.may(m) {
		done(actor.WriteResult{Outcome: actor.Unknown, Err: ErrReconnected})
		return
	}
	l := w.pub.letter()
	defer w.pub.giveBack(l)
	var id []Field
	if m.ID != "" {
		id = []Field{{headerMsgID, m.ID}}
	}
	l.say(m.Subject, m.Data, m.Header, id)
	w.pub.Publish(&l.msg, func(a Ack) { done(a.WriteResult) })
}

// gathered is the Writer as its gatherer sees it.
type gathered struct{ *Writer }

// Single is part of gather.Stream.
func (w gathered) Single(m *Write, done func(actor.WriteResult)) { w.single(m, done) }

// Batch is part of gather.Stream.
func (w gathered) Batch(ms []*Write, done func(gather.BatchResult)) {
	if !w.pub.may(ms...) { // one by one, they learn it themselves
		done(gather.BatchResult{Rest: actor.Refused, Err: ErrReconnected})
		return
	}
	l := w.pub.letter()
	defer w.pub.giveBack(l)
	id := w.nonce + strconv.FormatUint(w.count.Add(1), 36)
	last := len(ms) - 1
	for i, m := range ms[:last] {
		l.say(m.Subject, m.Data, m.Header, []Field{{headerBatch, id}, {headerBatchSeq, strconv.Itoa(i + 1)}})
		if err := w.pub.nc.PublishMsg(&l.msg); err != nil {
			// The server drops what it got.
			done(gather.BatchResult{Rest: actor.Refused, Err: fmt.Errorf("batch not committed: %w", err)})
			return
		}
	}
	m := ms[last]
	l.say(m.Subject, m.Data, m.Header, []Field{{headerBatch, id}, {headerBatchSeq, strconv.Itoa(last + 1)}, {headerBatchCommit, "1"}})
	w.pub.publish(&l.msg, func(m *nats.Msg) Ack { return parseBatch(m, id, len(ms)) }, func(a Ack) {
		if a.Outcome == actor.Stored {
			done(gather.BatchResult{Stored: len(ms), Seq: a.Seq})
			return
		}
		done(gather.BatchResult{Rest: a.Outcome, Err: a.Err})
	})
}

// may says whether messages may be sent over the connection that there is now.
func (p *Publisher) may(ms ...*Write) bool {
	now := p.Connection()
	for _, m := range ms {
		if m.Connection != 0 && m.Connection != now {
			return false
		}
	}
	return true
}

// Now is part of gather.Stream.
func (w gathered) Now() time.Duration { return time.Since(w.start) }

// After is part of gather.Stream.
func (w gathered) After(d time.Duration, f func()) { time.AfterFunc(d, f) }
