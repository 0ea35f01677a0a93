package actortest

import (
	"slices"
	"strings"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/mutant"
)

// Paused is what is recorded of a key.
type Paused struct {
	actor.PauseNews
	Cause actor.PauseCause // zero: an operator
}

type memoryPauseStore struct{ m *Memory }

// Pause is part of actor.PauseStore.
func (s *memoryPauseStore) Pause(k actor.PauseKey, cause actor.PauseCause, revision uint64, done func(actor.WriteResult)) {
	s.m.mu.Lock()
	if mutant.On("pause-put") {
		revision = s.m.pauses.newest[k.String()]
	}
	r := s.m.putPaused(Paused{actor.PauseNews{Key: k, Paused: true}, cause}, revision)
	s.m.mu.Unlock()
	done(r)
}

// putPaused writes a record; mu is held.
func (m *Memory) putPaused(p Paused, revision uint64) actor.WriteResult {
	key := p.Key.String()
	p.Revision = m.pauses.last + 1
	r := m.pauses.appendAfter(key, p, key, revision)
	m.pauses.purge(key, m.pauses.newest[key])
	return r
}

// SetPaused pauses or resumes as an operator does, and returns the news.
func (m *Memory) SetPaused(k actor.PauseKey, paused bool) actor.PauseNews {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.putPaused(Paused{PauseNews: actor.PauseNews{Key: k, Paused: paused}}, m.pauses.newest[k.String()])
	return actor.PauseNews{Key: k, Revision: r.Seq, Paused: paused}
}

// Paused returns the record of every key that was ever paused, in the order of
// the keys.
func (m *Memory) Paused() (out []Paused) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.pauses.keys {
		if e, ok := m.pauses.latest(key); ok {
			p, _ := e.item.(Paused)
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b Paused) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return out
}
