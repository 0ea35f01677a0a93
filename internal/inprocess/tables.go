package inprocess

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/sdk"
)

// bufferType is that of the state which says what elements a buffer has.
const bufferType = "io.jetfn.types/buffer"

// ErrPages means that an entry holds the order of a table's keys, which only
// changes of the table change.
var ErrPages = errors.New("it holds the order of a table's keys")

// EditEntry changes an entry of a table from outside, as a function of package
// sdk would, so that the order of the table's keys stays right: value nil
// removes it. What it sets lives for that long; zero is for ever. The error is
// actor.MissingEntries where more of the table has to be known.
func EditEntry(ctx context.Context, v actor.StateView, a actor.Address, entry string, value *actor.Value, lives time.Duration) (actor.Edited, error) {
	table, key, _ := strings.Cut(entry, "/")
	plain := actor.Edited{Mutations: []actor.Mutation{{Name: entry, Delete: value == nil, ExpireAfter: lives}}}
	if value != nil {
		plain.Mutations[0].Value = *value
	}
	if strings.HasPrefix(table, "~") {
		return actor.Edited{}, fmt.Errorf("%s: %w", entry, ErrPages)
	}
	if bounds, ok := v.State.Get(table); ok && bounds.Value.Type == bufferType {
		return plain, nil
	}
	typename := "io.jetfn.types/bytes"
	if value != nil {
		typename = value.Type
	}
	entries := sdk.NewTable(table, sdk.StringKey(), sdk.Bytes(typename))
	registry, err := sdk.NewRegistry([]sdk.Function{{
		Type: a.Type.String(), States: []sdk.State{entries},
		Invoke: func(ctx sdk.Context, _ sdk.Message) error {
			if value == nil {
				entries.Remove(ctx, key)
			} else {
				entries.Set(ctx, key, value.Data)
			}
			return nil
		},
	}})
	if err != nil {
		return plain, nil //nolint:nilerr // no table of the SDK has such a name, so nothing keeps its order
	}
	b := &actor.Batch{Target: a, State: v.State, Envelopes: []actor.Envelope{{Target: a, Value: actor.Value{Type: typename}}}}
	for i := range v.Entries {
		b.Entries = append(b.Entries, v.Entries[i].Name)
	}
	effects, err := registry.Invoke(ctx, batch(b))
	if err != nil {
		return actor.Edited{}, err
	}
	if len(effects.Missing) > 0 {
		lacks := &actor.MissingEntries{}
		for i := range effects.Missing {
			lacks.Names = append(lacks.Names, effects.Missing[i].Name)
		}
		return actor.Edited{}, lacks
	}
	out := converted(effects, nil)
	if i := slices.IndexFunc(out.Mutations, func(m actor.Mutation) bool { return m.Name == entry }); i >= 0 {
		out.Mutations[i].ExpireAfter = lives
	}
	return actor.Edited{Mutations: out.Mutations}, nil
}
