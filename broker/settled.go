package broker

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"

	"github.com/jetfn/jetfn/internal/groupsync"
)

// What is read and not handed on yet is bounded in bytes. A message counts as
// settledLeast at least, which bounds their number.
const (
	settledBytes = 16 << 20
	settledLeast = 4 << 10
	settledMost  = settledBytes / settledLeast
)

// source is where messages come from, one after the other.
type source interface {
	Next(opts ...jetstream.NextOpt) (jetstream.Msg, error)
}

// arrival is a message, or why there is none.
type arrival struct {
	msg  jetstream.Msg
	size int64 // in settled.room
	err  error
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
	s := &settled{ctx: ctx, synced: make(chan arrival, settledMost+1), room: semaphore.NewWeighted(settledBytes)}
	var reading sync.WaitGroup
	reading.Go(func() { s.read(from, syncer) })
	return s, func() {
		cancel()
		reading.Wait()
	}
}

// settled hands on what has been synced.
type settled struct {
	ctx    context.Context     //nolint:containedctx // it is that of the one who reads, as of a source's
	synced chan arrival        // never full
	room   *semaphore.Weighted // for the messages in it, or on their way there
}

func (s *settled) read(from source, syncer *groupsync.Syncer) {
	for {
		m, err := from.Next(jetstream.NextContext(s.ctx))
		if err != nil { // the last one
			syncer.After(func(error) { s.synced <- arrival{err: err} })
			return
		}
		size := min(max(int64(len(m.Data())), settledLeast), settledBytes)
		if s.room.Acquire(s.ctx, size) != nil {
			return
		}
		syncer.After(func(err error) { s.synced <- arrival{m, size, err} })
	}
}

// Next returns the next message. It fails as the source does, and if a sync
// has failed.
func (s *settled) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	select {
	case n := <-s.synced:
		s.room.Release(n.size)
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
