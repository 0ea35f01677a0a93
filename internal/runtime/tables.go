package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/inprocess"
)

// queryEntries returns the state of a with entries of its tables.
func (g *generation) queryEntries(ctx context.Context, a actor.Address, names []string) (actor.StateView, error) {
	s, err := g.seat(a)
	if err != nil {
		return actor.StateView{}, err
	}
	view, err := s.processor.QueryEntries(ctx, a, names)
	return view, readError(err)
}

// Entries implements gateway.Tables. Which entries there are it reads in the
// bucket, which follows the commits within a second or so; what they hold, the
// owner says.
func (s surface) Entries(ctx context.Context, a actor.Address, table, after string, limit int) (actor.StateView, string, error) {
	g, err := s.generation()
	if err != nil {
		return actor.StateView{}, "", err
	}
	names, next, err := g.state.Entries(ctx, a, table, after, limit)
	if err != nil {
		return actor.StateView{}, "", err
	}
	view, err := g.queryEntries(ctx, a, names)
	view.State = entriesOf(view.State)
	return view, next, err
}

// entriesOf is s less the values that are no entries.
func entriesOf(s actor.State) (out actor.State) {
	for i := range s {
		if actor.IsEntry(s[i].Name) {
			out = append(out, s[i])
		}
	}
	return out
}

// Entry implements gateway.Tables.
func (s surface) Entry(ctx context.Context, a actor.Address, name string) (actor.StateView, error) {
	g, err := s.generation()
	if err != nil {
		return actor.StateView{}, err
	}
	return g.queryEntries(ctx, a, []string{name})
}

// EditEntry implements gateway.Tables.
func (s surface) EditEntry(ctx context.Context, v actor.StateView, a actor.Address, entry string, value *actor.Value, lives time.Duration) (actor.Edited, error) {
	change, err := inprocess.EditEntry(ctx, v, a, entry, value, lives)
	if errors.Is(err, inprocess.ErrPages) {
		err = fmt.Errorf("%w: %w", gateway.ErrBadRequest, err)
	}
	return change, err
}
