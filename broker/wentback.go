package broker

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync/atomic"
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
	nc     *nats.Conn
	anchor atomic.Pointer[actor.Anchor] // that WentBack found in order
	looked atomic.Uint64                // at the end of the stream: by then so many connections had been lost
}

func newStreamEnd(nc *nats.Conn) *streamEnd {
	e := &streamEnd{nc: nc}
	e.anchor.Store(&actor.Anchor{})
	e.looked.Store(nc.Stats().Reconnects)
	return e
}

// known reports whether somebody has looked since the connection was last made.
// Else a server may have lost what was read, and what is there may be new: it
// isn't removed.
func (e *streamEnd) known() bool { return e.looked.Load() == e.nc.Stats().Reconnects }

// WentBack reports whether source's stream has lost its end since the message at
// was read; if nothing is known of its time, only whether the stream is too
// short for it. What was removed in order is no loss. After a loss no
// partition's word counts any more on what may be removed.
func (a *App) WentBack(ctx context.Context, source actor.Source, at actor.Anchor) (bool, error) {
	stream, err := a.sourceStream(source)
	if err != nil {
		return false, err
	}
	end := a.ends[source]
	connection := end.nc.Stats().Reconnects
	back, err := wentBack(ctx, stream, at)
	if err != nil {
		return false, fmt.Errorf("look at the end of %s: %w", source, err)
	}
	if back {
		a.trimmers[source].forget()
		at = actor.Anchor{}
	}
	end.anchor.Store(&at)
	end.looked.Store(connection)
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
		if err != nil || info.State.LastSeq >= at.Seq || looks == shortLooks {
			return err == nil && info.State.LastSeq < at.Seq, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(shortPause):
		}
	}
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
