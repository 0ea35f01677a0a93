package actor

import (
	"errors"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// maxEntries is how many entries one batch may ask for.
const maxEntries = 20_000

// wantsEntries reports whether a call has ended to be made again with more
// entries, and loads them then. The error is why it can't be.
func (p *Partition) wantsEntries(act *activation, err error) (bool, error) {
	var missing *MissingEntries
	if !errors.As(err, &missing) {
		return false, err
	}
	var news []StateKey
	seen := map[string]bool{}
	for _, name := range missing.Names {
		k := StateKey{Address: act.addr, Entry: name}
		if bad := k.check(); bad != nil {
			return false, bad
		}
		if !seen[name] && !act.hasEntry(name) {
			seen[name] = true
			news = append(news, k)
		}
	}
	switch {
	case len(news) == 0:
		return false, protocolError("%s asks for entries and names none that it hasn't got", act.addr)
	case len(act.entries)+len(news) > maxEntries:
		return false, limitError("%s asks for %d entries in one call, the limit is %d", act.addr, len(act.entries)+len(news), maxEntries)
	}
	act.phase = actLoading
	act.calls-- // it was no attempt
	left := len(news)
	for _, k := range news {
		e := p.states.use(k)
		act.entries = append(act.entries, e)
		p.states.whenLoaded(e, func() {
			if left--; left == 0 || mutant.On("entries-not-awaited") {
				p.ready(act)
			}
		})
	}
	slices.SortFunc(act.entries, func(a, b *entry) int { return strings.Compare(a.key.Entry, b.key.Entry) })
	return true, nil
}

func (act *activation) hasEntry(name string) bool {
	_, found := slices.BinarySearchFunc(act.entries, name, func(e *entry, name string) int { return strings.Compare(e.key.Entry, name) })
	return found
}

// dropEntries lets go of what the last batch has asked for.
func (p *Partition) dropEntries(act *activation) {
	for _, e := range act.entries {
		p.states.release(e)
	}
	act.entries = nil
}

// shown is the state that a call of the address is given, and the names of the
// entries that it has asked for.
func (act *activation) shown(now int64) (s State, entries []string) {
	s = act.state.current.Alive(now)
	if len(act.entries) == 0 {
		return s, nil
	}
	s = slices.Clone(s)
	for _, e := range act.entries {
		entries = append(entries, e.key.Entry)
		s = append(s, e.current.Alive(now)...)
	}
	slices.SortFunc(s, func(a, b StateValue) int { return strings.Compare(a.Name, b.Name) })
	return s, entries
}

// expired are the removals of what had expired when the call in flight began
// (K8).
func (act *activation) expired() []stateMutation {
	out := act.state.current.expired(act.startedAt)
	for _, e := range act.entries {
		out = append(out, e.current.expired(act.startedAt)...)
	}
	return out
}

// checkStates refuses what would not fit into the records of an address.
func (p *Partition) checkStates(a Address, next State, muts []stateMutation) error {
	if size := next.Size(); size > p.cfg.MaxState {
		return limitError("the state of %s would take %d bytes, the limit is %d", a, size, p.cfg.MaxState)
	}
	for i := range muts {
		name := muts[i].name
		if !IsEntry(name) {
			continue
		}
		k := StateKey{Address: a, Entry: name}
		if err := k.check(); err != nil {
			return err
		}
		if n := muts[i].value.size(); n > p.cfg.MaxState {
			return limitError("the entry %s would take %d bytes, the limit is %d", k, n, p.cfg.MaxState)
		}
	}
	return nil
}
