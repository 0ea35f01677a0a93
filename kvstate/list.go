package kvstate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const defaultLimit = 100

// Listed is a stored record and where it is.
type Listed struct {
	Address  actor.Address
	Record   actor.StateRecord
	Revision uint64
}

// List returns up to limit records of type t in the order of their keys,
// those after the id called after, and the id to go on after, which is empty
// at the end. Zero limit means 100. Removed state, and state that was lost to
// a foreign write, is left out.
func (s *Store) List(ctx context.Context, t actor.TypeName, after string, limit int) (items []Listed, next string, err error) {
	if limit <= 0 {
		limit = defaultLimit
	}
	keys, err := s.keys(ctx, t, after)
	if err != nil {
		return nil, "", fmt.Errorf("list state of %s: %w", t, err)
	}
	for i, key := range keys {
		a, err := actor.ParseKey(key)
		if err != nil {
			continue // a foreign key
		}
		loaded, err := s.load(ctx, actor.StateKey{Address: a})
		if errors.Is(err, actor.ErrStateLost) {
			continue
		}
		if err != nil {
			return nil, "", fmt.Errorf("list state of %s: %w", t, err)
		}
		if loaded.Record == nil || len(loaded.Record.State) == 0 {
			continue
		}
		items = append(items, Listed{Address: a, Record: *loaded.Record, Revision: loaded.Revision})
		if len(items) == limit {
			if i < len(keys)-1 {
				next = a.ID
			}
			break
		}
	}
	return items, next, nil
}

// keys returns the sorted keys of type t that come after the id called after.
func (s *Store) keys(ctx context.Context, t actor.TypeName, after string) ([]string, error) {
	prefix := actor.Escape(t.Namespace) + "." + actor.Escape(t.Name) + "."
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(s.prefix+prefix+"*"))
	if err != nil {
		return nil, err
	}
	start := ""
	if after != "" {
		start = prefix + actor.Escape(after)
	}
	var keys []string
	for subject := range info.State.Subjects {
		if key := strings.TrimPrefix(subject, s.prefix); key > start {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}
