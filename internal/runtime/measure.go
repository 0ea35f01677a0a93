package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
)

// The NATS server is asked no more often than measureEvery, however often
// metrics are read, and has measureLimit to answer.
const (
	measureEvery = 2 * time.Second
	measureLimit = time.Second
)

// measures are what the NATS side tells of itself.
type measures struct {
	streams    []broker.StreamMeasure
	lags       map[actor.Source]uint64
	pinged     bool
	roundTrip  time.Duration
	connected  int64
	reconnects int64
	stored     int64 // of the embedded server, as the next
	maxStored  int64
}

// gauge keeps the latest measures.
type gauge struct {
	mu   sync.Mutex
	at   time.Time
	last measures
}

// measure returns the latest measures, and takes them if they are old.
func (b *backbone) measure(ctx context.Context) measures {
	b.gauge.mu.Lock()
	defer b.gauge.mu.Unlock()
	if time.Since(b.gauge.at) < measureEvery {
		return b.gauge.last
	}
	limited, cancel := context.WithTimeout(ctx, measureLimit)
	defer cancel()
	m := measures{lags: map[actor.Source]uint64{}, reconnects: int64(b.nc.Stats().Reconnects)}
	if b.nc.IsConnected() {
		m.connected = 1
		began := time.Now()
		if b.nc.FlushWithContext(limited) == nil {
			m.pinged, m.roundTrip = true, time.Since(began)
		}
		m.streams, _ = b.app.Measure(limited) // what can't be asked isn't told
	}
	if b.server != nil {
		m.stored, m.maxStored = b.server.Stored()
	}
	for _, s := range m.streams {
		source := actor.Source(s.Name)
		if source == actor.SourceMailbox || source == actor.SourceIngress {
			m.lags[source] = s.Last - min(max(b.read.of(source).position.Load(), max(s.First, 1)-1), s.Last)
		}
	}
	for _, f := range b.foreigns() {
		m.lags[f.Source()] = f.Pending()
	}
	b.gauge.at, b.gauge.last = time.Now(), m
	return m
}

// foreigns are the streams of others that are read now.
func (b *backbone) foreigns() []*broker.Foreign {
	if list := b.existing.Load(); list != nil {
		return *list
	}
	return nil
}

// reads count what was read of each source, by all generations.
type reads struct {
	mu  sync.Mutex
	all map[actor.Source]*read
}

// read is what was read of one source.
type read struct {
	messages atomic.Int64
	position atomic.Uint64 // of the newest
}

func (r *reads) of(s actor.Source) *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[actor.Source]*read{}
	}
	if r.all[s] == nil {
		r.all[s] = &read{}
	}
	return r.all[s]
}

// each calls f with all sources.
func (r *reads) each(f func(actor.Source, *read)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s, n := range r.all {
		f(s, n)
	}
}

// counted is deliver with what it gets counted.
func (r *reads) counted(s actor.Source, start uint64, deliver broker.Deliver) broker.Deliver {
	n := r.of(s)
	n.position.Store(max(start, 1) - 1)
	return func(ctx context.Context, partition int, d actor.Delivery) error {
		seq := d.Seq
		err := deliver(ctx, partition, d)
		if err == nil {
			n.messages.Add(1)
			n.position.Store(seq)
		}
		return err
	}
}
