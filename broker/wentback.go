package broker

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const (
	// shortLooks is how often a stream must look too short to be so: a new
	// leader may not know its last messages yet.
	shortLooks = 3
	shortPause = 500 * time.Millisecond
)

// streamEnd is what is known of the end of a stream of ours.
type streamEnd struct {
	nc *nats.Conn

	mu     sync.Mutex
	last   actor.Anchor // what was read last
	looked uint64       // whether it was there still: by then so many connections had been lost
	gone   bool         // it was not
}

func newStreamEnd(nc *nats.Conn) *streamEnd {
	return &streamEnd{nc: nc, looked: nc.Stats().Reconnects}
}

// read notes what was read; false if the stream is known to have lost such.
func (e *streamEnd) read(at actor.Anchor) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at.Seq > e.last.Seq { // a clock that was put back makes no message new
		e.last = actor.Anchor{Seq: at.Seq, Stored: max(e.last.Stored, at.Stored)}
	}
	return !e.gone
}

// begin has everything begin with at, which is there if anything is.
func (e *streamEnd) begin(at actor.Anchor, connection uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.looked, e.gone = at, connection, false
}

// look reports whether stream has lost what was read of it; until everything
// begins anew it has, then. Unless it must, it looks once for each connection:
// a server that has failed has lost that, too.
func (e *streamEnd) look(ctx context.Context, stream jetstream.Stream, must bool) (back bool, err error) {
	connection := e.nc.Stats().Reconnects
	e.mu.Lock()
	at, gone, known := e.last, e.gone, e.looked == connection && !must
	e.mu.Unlock()
	if gone || known {
		return gone, nil
	}
	if back, err = wentBack(ctx, stream, at); err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looked, e.gone = connection, back
	return back, nil
}

// WentBack reports whether source's stream has lost its end since the message at
// was read; if nothing is known of its time, only whether the stream is too
// short for it. What was removed in order is no loss. It is asked before a Feed,
// and while no partition is owned that began earlier: after a loss none of their
// words count any more on what may be removed.
func (a *App) WentBack(ctx context.Context, source actor.Source, at actor.Anchor) (bool, error) {
	stream, err := a.sourceStream(source)
	if err != nil {
		return false, err
	}
	connection := a.nc.Stats().Reconnects
	back, err := wentBack(ctx, stream, at)
	if err != nil {
		return false, fmt.Errorf("look at the end of %s: %w", source, err)
	}
	if back {
		a.trimmers[source].forget()
		at = actor.Anchor{}
	}
	a.ends[source].begin(at, connection)
	return back, nil
}

func wentBack(ctx context.Context, stream jetstream.Stream, at actor.Anchor) (bool, error) {
	if at.Seq == 0 {
		return false, nil
	}
	for looks := 1; ; looks++ {
		m, err := stream.GetMsg(ctx, at.Seq)
		if err == nil {
			return at.Stored != 0 && m.Time.UnixMilli() > at.Stored, nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return false, err
		}
		info, err := stream.Info(ctx)
		switch {
		case err != nil:
			return false, err
		case info.State.LastSeq >= at.Seq:
			return removedNew(ctx, stream, at)
		case looks == shortLooks:
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(shortPause):
		}
	}
}

// removedNew reports whether the message that is no longer at at.Seq may have
// been another one: what came instead of what was lost may have been handled
// and removed by its owner, before somebody else looks for what is his.
func removedNew(ctx context.Context, stream jetstream.Stream, at actor.Anchor) (bool, error) {
	if at.Stored == 0 {
		return false, nil
	}
	next, err := newSince(ctx, stream, at.Stored)
	if err != nil || next > at.Seq {
		return false, err
	}
	m, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(">")) // the first one that there is
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil && m.Sequence <= at.Seq, err
}

// newSince is the sequence of the first message that was stored after a time,
// in Unix milliseconds; the next one's if there is none.
func newSince(ctx context.Context, stream jetstream.Stream, stored int64) (uint64, error) {
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	first, n := info.State.FirstSeq, int(info.State.LastSeq+1-info.State.FirstSeq)
	n = sort.Search(max(n, 0), func(i int) bool {
		m, failed := stream.GetMsg(ctx, first+uint64(i), jetstream.WithGetMsgSubject(">"))
		switch {
		case errors.Is(failed, jetstream.ErrMsgNotFound):
			return true // nothing is behind it
		case failed != nil:
			err = failed
			return true
		}
		return m.Time.UnixMilli() > stored
	})
	return first + uint64(n), err
}

// Start is where a feed of f goes on: at start, unless the stream has lost its
// end since the message at was read; then it is at the first one that is new.
func (f *Foreign) Start(ctx context.Context, start uint64, at actor.Anchor) (next uint64, back bool, err error) {
	if at.Stored == 0 {
		return start, false, nil
	}
	stream, err := f.app.js.Stream(ctx, f.cfg.Stream)
	if err == nil {
		back, err = wentBack(ctx, stream, at)
	}
	if err == nil && back {
		next, err = newSince(ctx, stream, at.Stored)
	}
	if err != nil {
		return start, false, fmt.Errorf("look at the end of the stream %q: %w", f.cfg.Stream, err)
	}
	if !back {
		return start, false, nil
	}
	return min(start, next), true, nil
}
