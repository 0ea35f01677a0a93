package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// seat returns the place of a's partition, if it is up.
func (g *generation) seat(a actor.Address) (*seat, error) {
	s := g.seats[a.Partition(len(g.seats))]
	if s.down() {
		return nil, fmt.Errorf("%w: partition %d is down", gateway.ErrNotReady, s.partition)
	}
	return s, nil
}

// query returns the state of a.
func (g *generation) query(ctx context.Context, a actor.Address) (actor.StateView, error) {
	s, err := g.seat(a)
	if err != nil {
		return actor.StateView{}, err
	}
	view, err := s.processor.Query(ctx, a)
	if errors.Is(err, actor.ErrEnded) {
		err = fmt.Errorf("%w: %w", gateway.ErrNotReady, err)
	}
	return view, err
}

// edit changes the state of a between two of its calls.
func (g *generation) edit(ctx context.Context, a actor.Address, decide actor.Edit) (actor.StateView, error) {
	s, err := g.seat(a)
	if err != nil {
		return actor.StateView{}, err
	}
	view, err := s.processor.Edit(ctx, a, decide)
	limit := (*actor.InvokeError)(nil)
	switch {
	case err == nil:
		return view, nil
	case errors.Is(err, actor.ErrUnanswered):
		return view, fmt.Errorf("%w: %w", gateway.ErrUnknown, err)
	case errors.Is(err, actor.ErrEnded):
		return view, fmt.Errorf("%w: %w", gateway.ErrNotReady, err)
	case errors.As(err, &limit) && limit.Reason == actor.ReasonLimit:
		return view, fmt.Errorf("%w: %w", gateway.ErrTooLarge, err)
	}
	return view, err
}
