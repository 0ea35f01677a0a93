package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
)

// watchPause is the pause before the bucket is watched again.
const watchPause = time.Second

// pauses knows what gets no calls, and tells the processors. It is safe for
// many goroutines.
type pauses struct {
	mu    sync.Mutex
	all   map[actor.PauseKey]broker.Pause // resumptions, too
	seats []*seat                         // of the generation that is at work or begins
}

// attach tells the processors of a generation that begins.
func (p *pauses) attach(seats []*seat, now []broker.Pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range now {
		p.take(one)
	}
	p.seats = seats
	for _, one := range p.all {
		p.tell(one.PauseNews)
	}
}

// take notes what is recorded, unless something newer is known.
func (p *pauses) take(next broker.Pause) {
	if p.all == nil {
		p.all = map[actor.PauseKey]broker.Pause{}
	}
	if next.Revision > p.all[next.Key].Revision {
		p.all[next.Key] = next
	}
}

// telling is a processor that is being told.
type telling struct {
	done <-chan struct{} // closed once it knows
	seat *seat
}

// set takes what is recorded and tells the processors.
func (p *pauses) set(next broker.Pause) []telling {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take(next)
	return p.tell(p.all[next.Key].PauseNews)
}

// tell gives news to the processors that it is for: an address has one.
func (p *pauses) tell(n actor.PauseNews) (told []telling) {
	for i, s := range p.seats {
		if n.Key.Whole || n.Key.Address.Partition(len(p.seats)) == i {
			told = append(told, telling{s.processor.Pause(n), s})
		}
	}
	return told
}

// of is what keeps calls from a key; false if nothing does.
func (p *pauses) of(keys ...actor.PauseKey) (broker.Pause, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range keys {
		if one := p.all[k]; one.Paused {
			return one, true
		}
	}
	return broker.Pause{}, false
}

// list is what is paused, sorted.
func (p *pauses) list() (out []broker.Pause) {
	p.mu.Lock()
	for _, one := range p.all {
		if one.Paused {
			out = append(out, one)
		}
	}
	p.mu.Unlock()
	slices.SortFunc(out, func(a, b broker.Pause) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return out
}

// watch follows the bucket until ctx ends.
func (p *pauses) watch(ctx context.Context, w *worker, app *broker.App) {
	for {
		err := app.WatchPaused(ctx, func(next broker.Pause) { p.set(next) })
		if ctx.Err() != nil {
			return
		}
		w.log.Warn().Err(err).Msg("what is paused can't be watched, trying again")
		if !sleep(ctx, ctx, watchPause) {
			return
		}
	}
}

// typeKeys are the keys that bar a type.
func typeKeys(t actor.TypeName) []actor.PauseKey {
	return []actor.PauseKey{actor.PauseType(t), actor.PauseType(actor.TypeName{Namespace: t.Namespace, Name: actor.AnyName})}
}

// Paused implements gateway.Pauses.
func (s surface) Paused(k actor.PauseKey) bool {
	keys := typeKeys(k.Address.Type)
	if !k.Whole {
		keys = append(keys, k)
	}
	_, paused := s.worker.pauses.of(keys...)
	return paused
}

// AllPaused implements gateway.Pauses.
func (s surface) AllPaused() []gateway.Pause {
	list := s.worker.pauses.list()
	out := make([]gateway.Pause, len(list))
	for i := range list {
		out[i] = gateway.Pause{Key: list[i].Key, At: list[i].At, Cause: list[i].Cause}
	}
	return out
}

// SetPaused implements gateway.Pauses.
func (s surface) SetPaused(ctx context.Context, k actor.PauseKey, paused bool) error {
	g, err := s.generation()
	if err != nil {
		return err
	}
	now, err := g.app.SetPaused(ctx, k, paused)
	if err != nil {
		if errors.Is(err, broker.ErrUnknown) {
			err = fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
		}
		return err
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

// whyPaused is nil unless a call to a would wait for it to be resumed.
func (s surface) whyPaused(a actor.Address) error {
	p, paused := s.worker.pauses.of(append(typeKeys(a.Type), actor.PauseAddress(a))...)
	switch {
	case !paused:
		return nil
	case p.Cause == nil:
		return fmt.Errorf("%w: %s gets no calls until it is resumed", gateway.ErrPaused, p.Key)
	}
	return fmt.Errorf("%w: %s gets no calls until it is resumed, after a failure of %s: %s", gateway.ErrPaused, p.Key, p.Cause.Address, p.Cause.Error)
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
