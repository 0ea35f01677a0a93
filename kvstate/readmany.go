package kvstate

import (
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

// What one request reads at most. The server answers up to 1,024 subjects, and
// stands in the way of others meanwhile.
const (
	readMost  = 128
	readBytes = 64 << 10 // of keys
)

const (
	statusEnd        = "204"        // of the answer behind the last message
	noResults        = "No Results" // the description where there are no messages
	headerNumPending = "Nats-Num-Pending"
)

// reader reads records directly, many with one request: while one is on its
// way, those that are asked for gather.
//
// The server answers a request from one state of the stream, into which all has
// gone that it acknowledged before, and sends the messages that there are. So a
// key without one is absent once the end has come, and only then.
type reader struct {
	pub     *jspub.Publisher
	subject string // of requests
	prefix  string // of the bucket's subjects
	decode  func(k actor.StateKey, key string, m *jetstream.RawStreamMsg) (actor.StateRecord, error)

	mu      sync.Mutex
	waiting []pendingRead
	busy    bool // a request is on its way
}

// pendingRead is a read that nobody has answered yet.
type pendingRead struct {
	key     actor.StateKey
	subject string
	done    func(actor.LoadedState, bool)
}

func (r *reader) read(k actor.StateKey, done func(actor.LoadedState, bool)) {
	p := pendingRead{key: k, subject: r.prefix + k.Key(), done: done}
	r.mu.Lock()
	r.waiting = append(r.waiting, p)
	next := r.next()
	r.mu.Unlock()
	r.send(next)
}

// next takes what the next request reads; mu is held.
func (r *reader) next() []pendingRead {
	if r.busy || len(r.waiting) == 0 {
		return nil
	}
	n, size := 0, 0
	for n < min(len(r.waiting), readMost) {
		if size += len(r.waiting[n].subject); n > 0 && size > readBytes {
			break
		}
		n++
	}
	next := r.waiting[:n:n]
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	r.busy = true
	return next
}

// send asks for records, and for those behind them when they are there.
func (r *reader) send(reads []pendingRead) {
	if len(reads) == 0 {
		return
	}
	b := &readBatch{reader: r, reads: reads, left: make(map[string]int, len(reads))}
	for i := range reads {
		b.left[reads[i].subject] = i
	}
	r.pub.AskAll(&nats.Msg{Subject: r.subject, Data: request(reads)}, b.answer, b.ended)
}

// request is what the server is asked. Subjects of keys have no character that
// JSON escapes.
func request(reads []pendingRead) []byte {
	size := 24
	for i := range reads {
		size += len(reads[i].subject) + 3
	}
	b := append(make([]byte, 0, size), `{"multi_last":[`...)
	for i := range reads {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), reads[i].subject...), '"')
	}
	return append(b, "]}"...)
}

// readBatch is a request that is on its way.
type readBatch struct {
	reader *reader

	mu    sync.Mutex
	reads []pendingRead  // done is nil once it is answered
	left  map[string]int // of reads without a message, by subject
	whole bool           // all messages that there are have come
}

// answer takes one, and reports whether it is the last.
func (b *readBatch) answer(m *nats.Msg) bool {
	subject := m.Header.Get(jetstream.SubjectHeader)
	b.mu.Lock()
	if subject == "" {
		b.whole = complete(m)
		b.mu.Unlock()
		return true
	}
	i, ok := b.left[subject]
	if !ok {
		b.mu.Unlock()
		return false
	}
	delete(b.left, subject)
	p := b.reads[i]
	b.reads[i].done = nil
	b.mu.Unlock()
	if p.done != nil {
		p.done(b.reader.loaded(&p, m))
	}
	return false
}

// complete says whether the messages that came are all that there are: m is
// the end of the answers.
func complete(m *nats.Msg) bool {
	switch m.Header.Get(statusOf) {
	case statusEnd:
		return m.Header.Get(headerNumPending) == "0"
	case statusNotFound:
		return m.Header.Get(descriptionOf) == noResults
	}
	return false
}

// ended answers what no message came for, and has the next request sent. A key
// that was asked for twice has one message, which is the later one's.
func (b *readBatch) ended(err error) {
	r := b.reader
	r.mu.Lock()
	r.busy = false
	next := r.next()
	r.mu.Unlock()
	r.send(next)
	b.mu.Lock()
	var rest []pendingRead
	for i := range b.reads {
		if p := b.reads[i]; p.done != nil {
			b.reads[i].done = nil
			rest = append(rest, p)
		}
	}
	whole, left := b.whole && err == nil, b.left
	b.left = nil
	b.mu.Unlock()
	for _, p := range rest {
		_, absent := left[p.subject]
		p.done(actor.LoadedState{}, whole && absent)
	}
}

// loaded makes a record of a message of ours. Of any other it says nothing.
func (r *reader) loaded(p *pendingRead, m *nats.Msg) (actor.LoadedState, bool) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return actor.LoadedState{}, false
	}
	record, err := r.decode(p.key, p.subject[len(r.prefix):], &jetstream.RawStreamMsg{
		Subject: p.subject, Sequence: seq, Header: m.Header, Data: m.Data,
	})
	if err != nil {
		return actor.LoadedState{}, false
	}
	return actor.LoadedState{Record: &record, Revision: seq}, true
}

// reading is a partition whose records are read many at once.
type reading struct{ *partition }

// Read is part of actor.StateReader.
func (p *reading) Read(k actor.StateKey, done func(actor.LoadedState, bool)) { p.reader.read(k, done) }
