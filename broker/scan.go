package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// scanIdle is how long a scan waits for the next message before it gives up.
const scanIdle = 10 * time.Second

var errScanned = errors.New("scan complete")

// scanner finds the ids in a sink's stream. Scans of several partitions at
// the same time share their passes over the stream, since a pass sees the
// messages of all.
type scanner struct {
	app    *App
	stream jetstream.Stream
	turn   chan struct{} // holds a token while a pass, or its evaluation, goes on

	mu      sync.Mutex
	waiting map[*scanRequest]struct{}

	// What the passes saw of (lo, hi]; owned by who has the turn, and
	// forgotten when nobody waits.
	lo, hi uint64
	found  map[int][]foundID
}

type scanRequest struct{ after, through uint64 }

type foundID struct {
	seq uint64
	id  actor.SinkID
}

func newScanner(app *App, stream jetstream.Stream) *scanner {
	return &scanner{app: app, stream: stream, turn: make(chan struct{}, 1), waiting: map[*scanRequest]struct{}{}}
}

func (s *scanner) scan(ctx context.Context, partition int, after, through uint64) ([]actor.SinkID, error) {
	if through <= after {
		return nil, nil
	}
	r := &scanRequest{after, through}
	s.enter(r)
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		s.leave(r)
		return nil, ctx.Err()
	}
	defer func() {
		if s.leave(r) {
			s.found, s.lo, s.hi = nil, 0, 0
		}
		<-s.turn
	}()
	if err := s.cover(ctx, r); err != nil {
		return nil, fmt.Errorf("scan %s from %d through %d: %w", s.stream.CachedInfo().Config.Name, after+1, through, err)
	}
	var ids []actor.SinkID
	for _, f := range s.found[partition] {
		if after < f.seq && f.seq <= through {
			ids = append(ids, f.id)
		}
	}
	return ids, nil
}

func (s *scanner) enter(r *scanRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[r] = struct{}{}
}

// leave says whether nobody waits any more.
func (s *scanner) leave(r *scanRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, r)
	return len(s.waiting) == 0
}

// lowest is where a pass has to start to serve all who wait.
func (s *scanner) lowest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, low := true, uint64(0)
	for r := range s.waiting {
		if first || r.after < low {
			first, low = false, r.after
		}
	}
	return low
}

// cover reads what is missing of r's range.
func (s *scanner) cover(ctx context.Context, r *scanRequest) error {
	if s.found == nil || r.after < s.lo || r.after > s.hi {
		low := s.lowest()
		s.found, s.lo, s.hi = map[int][]foundID{}, low, low
	}
	if r.through <= s.hi {
		return nil
	}
	info, err := s.stream.Info(ctx)
	if err != nil {
		return err
	}
	last := info.State.LastSeq
	if last < r.through {
		return fmt.Errorf("the stream ends at %d", last)
	}
	return s.pass(ctx, r.through, last)
}

// pass reads on from hi, through the stream's last message, or through the
// one needed if there is nothing more behind it.
func (s *scanner) pass(ctx context.Context, needed, last uint64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(scanIdle, func() { cancel(errors.New("the stream delivers nothing")) })
	defer idle.Stop()
	cfg := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.hi + 1, HeadersOnly: true}
	err := s.app.follow(ctx, s.stream.CachedInfo().Config.Name, cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error {
		idle.Reset(scanIdle)
		s.note(m, md.Sequence.Stream)
		switch {
		case md.Sequence.Stream >= last, md.Sequence.Stream >= needed && md.NumPending == 0:
			return errScanned
		case md.NumPending == 0:
			return fmt.Errorf("the stream's last message is %d", md.Sequence.Stream)
		}
		return nil
	})
	switch {
	case errors.Is(err, errScanned):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

func (s *scanner) note(m jetstream.Msg, seq uint64) {
	s.hi = seq
	text := m.Headers().Get(HeaderID)
	if text == "" {
		return
	}
	if id, ok := s.app.parseSinkID(text); ok {
		s.found[id.Partition] = append(s.found[id.Partition], foundID{seq, id})
	}
}
