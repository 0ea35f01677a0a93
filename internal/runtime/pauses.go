package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
)

// watchPause is the pause before the bucket is watched again.
const watchPause = time.Second

// pauses knows which function types get no calls, and tells the processors.
// It is safe for many goroutines.
type pauses struct {
	mu    sync.Mutex
	now   broker.Paused
	seats []*seat // of the generation that is at work or begins
}

// attach tells the processors of a generation that begins.
func (p *pauses) attach(seats []*seat, now broker.Paused) {
	p.mu.Lock()
	p.seats = seats
	p.mu.Unlock()
	p.set(now)
}

// telling is a processor that is being told.
type telling struct {
	done <-chan struct{} // closed once it knows
	seat *seat
}

// set takes a set, unless it knows a newer one, and tells the processors.
func (p *pauses) set(next broker.Paused) (told []telling) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if next.Revision >= p.now.Revision {
		p.now = next
	}
	for _, s := range p.seats {
		told = append(told, telling{s.processor.Pause(p.now.Types), s})
	}
	return told
}

// types are those that get no calls.
func (p *pauses) types() []actor.TypeName {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Types
}

// watch follows the bucket until ctx ends.
func (p *pauses) watch(ctx context.Context, w *worker, app *broker.App) {
	for {
		err := app.WatchPaused(ctx, func(next broker.Paused) { p.set(next) })
		if ctx.Err() != nil {
			return
		}
		w.log.Warn().Err(err).Msg("what is paused can't be watched, trying again")
		if !sleep(ctx, ctx, watchPause) {
			return
		}
	}
}

// Paused implements gateway.Pauses.
func (s surface) Paused(t actor.TypeName) bool {
	return slices.ContainsFunc(s.worker.pauses.types(), func(p actor.TypeName) bool {
		return p == t || p.Namespace == t.Namespace && p.Name == actor.AnyName
	})
}

// PausedTypes implements gateway.Pauses.
func (s surface) PausedTypes() []actor.TypeName { return s.worker.pauses.types() }

// SetPaused implements gateway.Pauses.
func (s surface) SetPaused(ctx context.Context, t actor.TypeName, paused bool) error {
	g, err := s.generation()
	if err != nil {
		return err
	}
	if err := g.app.SetPaused(ctx, t, paused); err != nil {
		if errors.Is(err, broker.ErrUnknown) {
			err = fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
		}
		return err
	}
	now, err := g.app.Paused(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
	}
	for _, one := range s.worker.pauses.set(now) {
		select {
		case <-one.done:
		case <-one.seat.ended:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", gateway.ErrUnknown, ctx.Err())
		}
	}
	return nil
}

// Backlog implements gateway.Pauses.
func (s surface) Backlog(ctx context.Context) (map[actor.TypeName]int, error) {
	g, err := s.generation()
	if err != nil {
		return nil, err
	}
	sum := map[actor.TypeName]int{}
	for _, seat := range g.seats {
		if seat.down() {
			continue
		}
		counts, err := seat.processor.Backlog(ctx)
		if err != nil {
			return nil, err
		}
		for t, n := range counts {
			sum[t] += n
		}
	}
	return sum, nil
}
