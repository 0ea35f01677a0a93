package actor

import (
	"slices"
	"strings"
)

// loaded reports whether all that the edit has asked for is here.
func (w *waitingEdit) loaded() bool {
	return w.entry.loaded && !slices.ContainsFunc(w.tables, func(e *entry) bool { return !e.loaded })
}

func (w *waitingEdit) release(p *Partition) {
	p.states.release(w.entry)
	for _, e := range w.tables {
		p.states.release(e)
	}
}

// editWants loads the entries that an edit lacks; then it is tried again.
func (p *Partition) editWants(w *waitingEdit, names []string) error {
	for _, name := range names {
		if err := (StateKey{Address: w.entry.addr, Entry: name}).check(); err != nil {
			return err
		}
	}
	var news []*entry
	for _, name := range names {
		k := StateKey{Address: w.entry.addr, Entry: name}
		if has := func(e *entry) bool { return e.key == k }; slices.ContainsFunc(w.tables, has) || slices.ContainsFunc(news, has) {
			continue
		}
		e := p.states.use(k)
		news = append(news, e)
		if e.lost != nil {
			for _, e := range news {
				p.states.release(e)
			}
			return e.lost
		}
	}
	switch {
	case len(news) == 0:
		return protocolError("an edit of %s asks for entries and names none that it hasn't got", w.entry.addr)
	case len(w.tables)+len(news) > maxEntries:
		for _, e := range news {
			p.states.release(e)
		}
		return limitError("an edit of %s asks for %d entries, the limit is %d", w.entry.addr, len(w.tables)+len(news), maxEntries)
	}
	w.tables = append(w.tables, news...)
	slices.SortFunc(w.tables, func(a, b *entry) int { return strings.Compare(a.key.Entry, b.key.Entry) })
	left := 1
	arrived := func() {
		if left--; left == 0 {
			p.editNext(w.entry.addr)
		}
	}
	for _, e := range news {
		left++
		p.states.whenLoaded(e, arrived)
	}
	// Not from within: the caller is at the edit still.
	p.after(0, arrived)
	return nil
}

// viewWith is the state as it is durable, with entries of tables, less what
// has expired.
func (s *states) viewWith(e *entry, tables []*entry) StateView {
	v := s.view(e)
	v.State = v.State.Alive(s.p.now)
	if len(tables) == 0 {
		return v
	}
	v.State = slices.Clone(v.State)
	for _, t := range tables {
		v.State = append(v.State, t.durable.Alive(s.p.now)...)
		v.Entries = append(v.Entries, EntryView{Name: t.key.Entry, Commit: t.commit})
	}
	slices.SortFunc(v.State, func(a, b StateValue) int { return strings.Compare(a.Name, b.Name) })
	return v
}

// QueryEntries is Query with entries of tables of a. The partition must be
// Running.
func (p *Partition) QueryEntries(a Address, names []string, reply func(StateView, error)) {
	main := p.states.use(StateKey{Address: a})
	all := []*entry{main}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	err := main.lost
	for _, name := range names {
		k := StateKey{Address: a, Entry: name}
		if bad := k.check(); bad != nil {
			err = bad
			break
		}
		e := p.states.use(k)
		all = append(all, e)
		if e.lost != nil {
			err = e.lost
		}
	}
	release := func() {
		for _, e := range all {
			p.states.release(e)
		}
	}
	if err != nil {
		release()
		reply(StateView{}, err)
		return
	}
	left := len(all)
	for _, e := range all {
		p.states.whenSettled(e, func() {
			if left--; left == 0 {
				v := p.states.viewWith(main, all[1:])
				release()
				reply(v, nil)
			}
		})
	}
}

// answer tells those who wait for what a durable invocation changed.
func (s *states) answer(v *invocation) {
	s.answerWaiting(StateKey{Address: v.target})
	for i := range v.mutations {
		if name := v.mutations[i].name; IsEntry(name) {
			s.answerWaiting(StateKey{Address: v.target, Entry: name})
		}
	}
}
