package bench

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const readAhead = 8192

// reader consumes the egress and checks the records.
type reader struct {
	ledger *ledger
	clock  clock
	done   func() // called for each record

	mu       sync.Mutex
	last     []uint64 // count of each key's last record
	wrong    int
	problems []string // the first few
}

func newReader(l *ledger, c clock, keys int, done func()) *reader {
	return &reader{ledger: l, clock: c, done: done, last: make([]uint64, keys)}
}

// consume reads from the stream's start until the returned function is called.
func (r *reader) consume(ctx context.Context, nc *nats.Conn) (stop func(), err error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	id := egressID()
	subject := appName + ".egress." + actor.Escape(id.Namespace) + "." + actor.Escape(id.Name)
	stream, err := js.StreamNameBySubject(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("find the stream of %s: %w", subject, err)
	}
	consumer, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		FilterSubject: subject, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, MemoryStorage: true,
	})
	if err != nil {
		return nil, fmt.Errorf("create consumer of %s: %w", subject, err)
	}
	reading, err := consumer.Consume(r.read, jetstream.PullMaxMessages(readAhead))
	if err != nil {
		return nil, fmt.Errorf("consume %s: %w", subject, err)
	}
	return reading.Stop, nil
}

func (r *reader) read(m jetstream.Msg) {
	now := r.clock.now()
	rec, err := parseRecord(m.Data())
	if err != nil {
		r.complain(err.Error())
		return
	}
	r.check(rec)
	r.ledger.deliver(rec.index, now)
	r.done()
}

// check wants the counts of a key to be 1, 2, 3 and so on.
func (r *reader) check(rec record) {
	if rec.key >= len(r.last) {
		r.complain(fmt.Sprintf("a record of key %d, which got no message", rec.key))
		return
	}
	r.mu.Lock()
	last := r.last[rec.key]
	r.last[rec.key] = max(last, rec.count)
	r.mu.Unlock()
	if rec.count != last+1 {
		r.complain(fmt.Sprintf("key %d: count %d after %d", rec.key, rec.count, last))
	}
}

func (r *reader) complain(problem string) {
	const most = 5
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrong++; len(r.problems) < most {
		r.problems = append(r.problems, problem)
	}
}
