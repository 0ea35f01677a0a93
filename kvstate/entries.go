package kvstate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// pagesPrefix begins the names of tables that hold the order of another
// table's keys.
const pagesPrefix = "~"

// Entries returns the names of up to limit entries of a table of a, or of all
// its tables if that is empty, in the order of their keys, those after the one
// called after, and the one to go on after, which is empty at the end. Entries
// that were removed are not among them.
func (s *Store) Entries(ctx context.Context, a actor.Address, table, after string, limit int) (names []string, next string, err error) {
	prefix := s.prefix + a.Key() + "."
	filter := prefix + "*.*"
	if table != "" {
		filter = prefix + actor.Escape(table) + ".*"
	}
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, "", fmt.Errorf("list entries of %s: %w", a, err)
	}
	start := ""
	if after != "" {
		start = actor.StateKey{Address: a, Entry: after}.Key()
	}
	var keys []string
	for subject := range info.State.Subjects {
		if key := strings.TrimPrefix(subject, s.prefix); key > start {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for i, key := range keys {
		name, ok := entryName(strings.TrimPrefix(s.prefix+key, prefix))
		if !ok || table == "" && strings.HasPrefix(name, pagesPrefix) {
			continue
		}
		loaded, err := s.load(ctx, actor.StateKey{Address: a, Entry: name})
		if err == nil && (loaded.Record == nil || len(loaded.Record.State) == 0) {
			continue // removed
		}
		if names = append(names, name); len(names) == limit {
			if i < len(keys)-1 {
				next = name
			}
			break
		}
	}
	return names, next, nil
}

// entryName reads the last two tokens of an entry's key.
func entryName(tokens string) (string, bool) {
	table, key, _ := strings.Cut(tokens, ".")
	tableName, err1 := actor.Unescape(table)
	keyName, err2 := actor.Unescape(key)
	return tableName + "/" + keyName, err1 == nil && err2 == nil && tableName != "" && keyName != "" && !strings.Contains(tableName, "/")
}
