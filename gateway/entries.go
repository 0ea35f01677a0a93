package gateway

import (
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// divide separates the entries of tables that a function asks for from the
// states that it declares.
func divide(missing []stateSpec) (states, entries []stateSpec) {
	for _, m := range missing {
		if actor.IsEntry(m.name) {
			entries = append(entries, m)
		} else {
			states = append(states, m)
		}
	}
	return states, entries
}

func tableOf(entry string) string {
	table, _, _ := strings.Cut(entry, "/")
	return table
}

// registerEntries remembers what entries say of their tables: their type, and
// how long entries live. The newest word counts.
func (r *registration) registerEntries(entries []stateSpec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		table := tableOf(e.name)
		if old, ok := r.tables[table]; ok && old == e.lifetime() {
			continue
		}
		if r.tables == nil {
			r.tables = map[string]lifetime{}
		}
		if len(r.tables) < maxTables {
			r.tables[table] = e.lifetime()
		}
	}
}

// maxTables bounds what a function makes the worker remember.
const maxTables = 10_000

// lifetime is how long values live.
type lifetime struct {
	mode  expireMode
	after int64 // in milliseconds
}

func (s *stateSpec) lifetime() lifetime { return lifetime{s.expireMode, s.expireAfter.Milliseconds()} }

// entryLifetimes sets how long the entries live that mutations write.
func (r *registration) entryLifetimes(mutations []actor.Mutation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range mutations {
		m := &mutations[i]
		if m.Delete || !actor.IsEntry(m.Name) {
			continue
		}
		if l := r.tables[tableOf(m.Name)]; l.mode == expireAfterWrite {
			m.ExpireAfter = millis(l.after)
		}
	}
}
