package broker

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/internal/groupsync"
)

// settledMost bounds the messages that are read and not synced yet.
const settledMost = 4096

// source is where messages come from, one after the other.
type source interface {
	Next(opts ...jetstream.NextOpt) (jetstream.Msg, error)
}

// arrival is a message, or why there is none.
type arrival struct {
	msg jetstream.Msg
	err error
}

// settle returns a source of the same messages, each of which was synced after
// it was read. What is derived from a message must not be durable before it:
// after a power failure the message would be gone, and its sequence another
// one's. Without a syncer it returns the source itself. It reads until ctx
// ends, the source fails, or end is called, which waits for that.
func settle(ctx context.Context, from source, syncer *groupsync.Syncer) (synced source, end func()) {
	if syncer == nil {
		return from, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &settled{ctx: ctx, synced: make(chan arrival, settledMost), room: make(chan struct{}, settledMost)}
	var reading sync.WaitGroup
	reading.Go(func() { s.read(from, syncer) })
	return s, func() {
		cancel()
		reading.Wait()
	}
}

// settled hands on what has been synced.
type settled struct {
	ctx    context.Context //nolint:containedctx // it is that of the one who reads, as of a source's
	synced chan arrival    // never full
	room   chan struct{}   // one for each message in it, or on its way there
}

func (s *settled) read(from source, syncer *groupsync.Syncer) {
	for {
		select {
		case s.room <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		m, err := from.Next(jetstream.NextContext(s.ctx))
		if err != nil {
			syncer.After(func(error) { s.synced <- arrival{err: err} })
			return
		}
		syncer.After(func(err error) { s.synced <- arrival{m, err} })
	}
}

// Next returns the next message. It fails as the source does, and if a sync
// has failed.
func (s *settled) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	select {
	case n := <-s.synced:
		<-s.room
		return n.msg, n.err
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// syncedBucket is a bucket whose writes are durable when they return.
type syncedBucket struct {
	jetstream.KeyValue
	syncer *groupsync.Syncer
}

func (b syncedBucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.KeyValue.Put(ctx, key, value)
	return revision, b.durable(ctx, err)
}

func (b syncedBucket) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	revision, err := b.KeyValue.Create(ctx, key, value, opts...)
	return revision, b.durable(ctx, err)
}

func (b syncedBucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := b.KeyValue.Update(ctx, key, value, revision)
	return revision, b.durable(ctx, err)
}

func (b syncedBucket) Delete(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	return b.durable(ctx, b.KeyValue.Delete(ctx, key, opts...))
}

func (b syncedBucket) durable(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	return b.syncer.Wait(ctx)
}
