package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/jetfn/jetfn/actor"
)

const (
	// sweepPause is the pause before a sweep that has failed is tried again.
	sweepPause = 10 * time.Second
	// sweepLimit is how long an owner may take to look at one record.
	sweepLimit = 10 * time.Second
)

// sweep has the partitions remove what has expired of addresses that nobody
// calls any more, until ctx ends.
func (g *generation) sweep(ctx context.Context) {
	for {
		err := g.state.Sweep(ctx, g.sweepRecord)
		if ctx.Err() != nil {
			return
		}
		g.worker.log.Warn().Err(err).Dur("retry_in", sweepPause).Msg("expired state can't be swept, trying again")
		if !sleep(ctx, ctx, sweepPause) {
			return
		}
	}
}

// sweepRecord asks the owner of a record what has expired.
func (g *generation) sweepRecord(ctx context.Context, k actor.StateKey) (actor.Swept, error) {
	s := g.seats[k.Address.Partition(len(g.seats))]
	if s.down() {
		return actor.Swept{Busy: true}, nil
	}
	limited, cancel := context.WithTimeout(ctx, sweepLimit)
	defer cancel()
	swept, err := s.processor.Sweep(limited, k)
	switch {
	case err != nil && s.down(), errors.Is(err, actor.ErrUnanswered) && ctx.Err() == nil:
		return actor.Swept{Busy: true}, nil
	case errors.Is(err, actor.ErrStateLost): // nobody can tell what is in it
		return actor.Swept{}, nil
	}
	return swept, err
}
