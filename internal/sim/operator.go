package sim

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/jetfn/jetfn/actor"
)

// operate adds what an operator does to a plan: pauses of function types, and
// edits of states. It draws from numbers of its own, so that worlds without
// it stay as they are.
func (p *Plan) operate() {
	r := rand.New(rand.NewPCG(p.Seed, 0x6f7065))
	if r.IntN(3) > 0 {
		return
	}
	k := &p.Knobs
	for range r.IntN(3) {
		p.Items = append(p.Items, Item{Fault: Pause, At: r.Int64N(k.Active), For: 1 + r.Int64N(2000), Count: r.IntN(3)})
	}
	for range r.IntN(12) {
		p.Items = append(p.Items, Item{Fault: EditState, At: r.Int64N(k.Active), To: r.IntN(k.Addresses), Count: r.IntN(6)})
	}
}

// pause stops the calls of function types for a while.
func (w *World) pause(it *Item) {
	name := []string{"main", "twin", actor.AnyName}[it.Count]
	w.hit(Pause)
	k := actor.PauseType(actor.TypeName{Namespace: "sim", Name: name})
	n := w.setPaused(k, true, nil)
	w.after(it.For, func() {
		if w.pauseLast[k] == n {
			w.setPaused(k, false, nil)
		}
	})
}

// resume ends all pauses.
func (w *World) resume() {
	for _, p := range w.memory.Paused() {
		if p.Paused {
			w.mended[p.Key] += 2
			w.setPaused(p.Key, false, nil)
		}
	}
}

var errStale = errors.New("the state is another one")

// edit changes a state as an operator does. What it decides is judged like a
// call's answer, when a commit holds it.
func (w *World) edit(it *Item) {
	a := address(it.To)
	g := w.ghosts[a.Partition(w.plan.Knobs.Partitions)]
	o := w.newest(g.part)
	if o == nil {
		return
	}
	w.edits++
	id := "e" + strconv.Itoa(w.edits)
	revision := g.state(actor.StateKey{Address: a}).commit
	decide := func(v actor.StateView, now int64) (actor.Edited, error) {
		names := make([]string, len(v.Entries))
		for i := range v.Entries {
			names[i] = v.Entries[i].Name
		}
		if it.Count >= 4 && len(names) == 0 {
			w.hit(Entries)
			return actor.Edited{}, &actor.MissingEntries{Names: []string{"t/" + strconv.Itoa(it.To%4)}}
		}
		if it.Count == 1 && v.Commit != revision {
			w.log(o, "edit", "%s of %s: commit %d is not %d", id, a, v.Commit, revision)
			return actor.Edited{}, errStale
		}
		c := &call{id: id, target: a, state: v.State, entries: names, from: now, effects: &actor.Effects{}, caller: typed(typeTwin, it.To)}
		change := w.change(it, id)
		c.effects.Mutations = change.Mutations
		for _, e := range change.Sends {
			c.effects.Sends = append(c.effects.Sends, actor.Send{Target: e.Target, Value: e.Value})
		}
		w.functions.calls[id] = c
		w.log(o, "edit", "%s of %s: %s becomes %v", id, a, stateText(v.State), change.Mutations)
		return change, nil
	}
	o.Post(func(p *actor.Partition) {
		if p.Running() {
			p.Edit(a, decide, func(v actor.StateView, err error) { w.edited(g, a, id, &v, p.Now(), err) })
		}
	})
}

// change is what the edit called id wants.
func (w *World) change(it *Item, id string) (change actor.Edited) {
	value := actor.Value{Type: "sim/int", Data: []byte(strconv.Itoa(w.edits))}
	change.Mutations = []actor.Mutation{{Name: "n", Value: value}, {Name: "#" + id, Delete: true}}
	switch it.Count {
	case 2:
		change.Mutations[0] = actor.Mutation{Name: "x", Delete: true}
	case 4:
		change.Mutations[0].Name = "t/" + strconv.Itoa(it.To%4)
	case 5:
		change.Mutations[0] = actor.Mutation{Name: "t/" + strconv.Itoa(it.To%4), Delete: true}
	case 3:
		o := op{ID: id, Do: "leaf"}
		change.Sends = []actor.Envelope{{Target: address(it.To + 1), Caller: typed(typeTwin, it.To), Value: o.value()}}
	}
	return change
}

// edited judges an answer: it comes when the edit is durable, and never
// otherwise.
func (w *World) edited(g *ghost, a actor.Address, id string, v *actor.StateView, now int64, err error) {
	c := w.functions.calls[id]
	switch {
	case errors.Is(err, errStale):
		if c != nil {
			g.fail("edit %s of %s is refused, but was decided", id, a)
		}
	case err != nil:
		g.fail("edit %s of %s: %v", id, a, err)
	case c == nil || !c.done:
		g.fail("edit %s of %s is answered, but not durable (J5)", id, a)
	default:
		w.hit(EditState)
		g.answeredWith(a, v, now)
	}
}

// answeredWith judges an answer with entries of tables: each is as it was
// after some commit.
func (g *ghost) answeredWith(a actor.Address, v *actor.StateView, now int64) {
	main := *v
	main.State = slices.DeleteFunc(slices.Clone(v.State), func(s actor.StateValue) bool { return actor.IsEntry(s.Name) })
	if main.Commit > 0 || len(main.State) > 0 { // otherwise it only has entries, as far as is known
		g.answered(a, &main, now)
	}
	for _, e := range v.Entries {
		shown := slices.DeleteFunc(slices.Clone(v.State), func(s actor.StateValue) bool { return s.Name != e.Name })
		fits := func(s actor.State) bool { return sameState(unexpired(s, now), shown) }
		known := slices.ContainsFunc(g.states[actor.StateKey{Address: a, Entry: e.Name}], func(old version) bool {
			return old.commit == e.Commit && (fits(old.state) || slices.ContainsFunc(old.earlier, fits))
		})
		if !known && (e.Commit != 0 || len(shown) > 0) {
			g.fail("an answer for %s has %s as %s of commit %d, which it never was (O3)", a, e.Name, stateText(shown), e.Commit)
		}
	}
}
