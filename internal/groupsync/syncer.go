// Package groupsync lets many writers share one sync of their file system.
package groupsync

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed means that a Syncer was closed before it was asked.
var ErrClosed = errors.New("nothing is synced any more")

// Syncer syncs for whoever asks. Those who ask while a sync is under way share
// the next one. A nil Syncer is one that never has anything to do: it answers
// at once.
type Syncer struct {
	sync   func() error
	failed func(error)

	mu      sync.Mutex
	waiting []func(error) // for the next sync
	syncing bool          // a goroutine makes one after the other
	settled []settled     // and these are told what became of theirs
	telling bool          // by another one
	err     error         // of the first sync that failed; there is none after it
	closed  bool
	ended   sync.WaitGroup
}

// settled are those who shared one sync.
type settled struct {
	waited []func(error)
	err    error
}

// New returns a Syncer that calls sync, one call at a time. What it makes
// durable must include all that was written before it is called.
//
// After the first error it calls sync no more, and everybody gets that error:
// what the system could not write it may have forgotten, so that a later sync
// would prove nothing. Unless failed is nil, it is called with the error, once.
func New(sync func() error, failed func(error)) *Syncer {
	return &Syncer{sync: sync, failed: failed}
}

// After calls done once with the outcome of a sync that begins after the call
// of After. It doesn't block, and the calls of done come in the order of those
// of After, one at a time.
func (s *Syncer) After(done func(error)) {
	if s == nil {
		done(nil)
		return
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.waiting = append(s.waiting, done)
		if !s.syncing {
			s.syncing = true
			s.ended.Go(s.syncAll)
		}
	}
	s.mu.Unlock()
	if closed {
		done(ErrClosed)
	}
}

// Wait returns when a sync that begins now has ended, with its error or that
// of ctx.
func (s *Syncer) Wait(ctx context.Context) error {
	if s == nil {
		return nil
	}
	ended := make(chan error, 1)
	s.After(func(err error) { ended <- err })
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close waits until everybody has been told. Who asks later gets ErrClosed.
func (s *Syncer) Close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.ended.Wait()
}

// syncAll syncs as long as somebody waits.
func (s *Syncer) syncAll() {
	for {
		s.mu.Lock()
		waited, err := s.waiting, s.err
		s.waiting = nil
		if s.syncing = len(waited) > 0; !s.syncing {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if err == nil {
			if err = s.sync(); err != nil && s.failed != nil {
				s.failed(err)
			}
		}
		s.mu.Lock()
		s.err = err
		s.settled = append(s.settled, settled{waited, err})
		if !s.telling {
			s.telling = true
			s.ended.Go(s.tellAll)
		}
		s.mu.Unlock()
	}
}

// tellAll tells those whose sync has ended, while the next one is under way.
func (s *Syncer) tellAll() {
	for {
		s.mu.Lock()
		all := s.settled
		s.settled = nil
		if s.telling = len(all) > 0; !s.telling {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for _, one := range all {
			for _, done := range one.waited {
				done(one.err)
			}
		}
	}
}
