package actor

import (
	"errors"

	"github.com/jetfn/jetfn/internal/mutant"
)

// Edit decides a change of an address that no message asks for, such as an
// operator's. It is called once, between two calls of the address, with its
// state after all of them, which is durable, and with the partition's time in
// Unix milliseconds. It must depend on nothing else that changes, and must not
// block. After an error nothing has changed; after MissingEntries it is called
// again with these entries of the address.
type Edit func(v StateView, now int64) (Edited, error)

// Edited is what an Edit changes, all or nothing.
type Edited struct {
	Mutations []Mutation
	// Sends are messages that go out with the mutations, of which there must
	// be one then. Their caller need not be the address.
	Sends []Envelope
}

// waitingEdit is an Edit whose turn has not come.
type waitingEdit struct {
	entry  *entry
	tables []*entry // entries of tables that decide has asked for
	decide Edit
	reply  func(StateView, error)
}

// Edit has decide change the state of a, once no call of a is under way and
// all that its calls did is durable; meanwhile a gets no call. It calls reply
// with the state as changed, once that is durable. The partition must be
// Running.
func (p *Partition) Edit(a Address, decide Edit, reply func(StateView, error)) {
	e := p.states.use(StateKey{Address: a})
	if e.lost != nil {
		p.states.release(e)
		reply(StateView{}, e.lost)
		return
	}
	p.edits[a] = append(p.edits[a], &waitingEdit{entry: e, decide: decide, reply: reply})
	p.states.whenLoaded(e, func() { p.editNext(a) })
}

// editNext carries out the oldest edit of a, if its time has come.
func (p *Partition) editNext(a Address) {
	list := p.edits[a]
	if len(list) == 0 {
		return
	}
	e, act := list[0].entry, p.activations[a]
	switch {
	case !list[0].loaded(), act != nil && act.phase == actRunning && !mutant.On("edit-during-call"):
		return // it is called again
	}
	for _, e := range append(list[0].tables, e) {
		if e.asked != e.settled {
			e.waiting = append(e.waiting, stateWaiter{need: e.asked, reply: func() { p.editNext(a) }})
			return
		}
	}
	if !p.edit(list[0]) {
		return
	}
	if p.edits[a] = list[1:]; len(list) == 1 {
		delete(p.edits, a)
	}
	if len(p.edits[a]) > 0 {
		p.editNext(a)
		return
	}
	if act != nil {
		p.schedule(act)
	}
}

// edit makes a completion of what the Edit wants. It is false if that needs
// more entries first.
func (p *Partition) edit(w *waitingEdit) bool {
	e := w.entry
	expired, state := e.durable.expired(p.now), e.durable.Alive(p.now)
	for _, t := range w.tables {
		expired = append(expired, t.durable.expired(p.now)...)
	}
	before := p.states.viewWith(e, w.tables)
	change, err := w.decide(before, p.now)
	if missing := (*MissingEntries)(nil); errors.As(err, &missing) {
		if err = p.editWants(w, missing.Names); err == nil {
			return false
		}
	}
	next, muts := p.mutate(state, change.Mutations)
	if err == nil {
		err = p.checkEdited(e.addr, &change, next, muts)
	}
	if err != nil || len(muts) == 0 {
		w.release(p)
		w.reply(before, err)
		return true
	}
	c := &completion{target: e.addr, mutations: append(expired, muts...), sends: change.Sends, size: 64}
	for _, m := range c.mutations {
		c.size += len(m.name) + len(m.value.Value.Type) + len(m.value.Value.Data) + 32
	}
	for i := range c.sends {
		c.size += c.sends[i].Size()
	}
	p.states.propose(e.addr, c.mutations)
	c.told = func() {
		after := p.states.viewWith(e, w.tables)
		w.release(p)
		w.reply(after, nil)
	}
	p.complete(c)
	return true
}

// checkEdited refuses what can't be committed.
func (p *Partition) checkEdited(self Address, change *Edited, next State, muts []stateMutation) error {
	if len(change.Sends) > 0 && len(change.Mutations) == 0 {
		return errors.New("an edit sends without changing a state")
	}
	if err := p.checkStates(self, next, muts); err != nil {
		return err
	}
	effects := &Effects{}
	for i := range change.Sends {
		effects.Sends = append(effects.Sends, Send{Target: change.Sends[i].Target, Value: change.Sends[i].Value})
	}
	_, err := p.checkEffects(self, effects)
	return err
}

// refuseEdits answers the edits of an address whose state can't be loaded.
func (p *Partition) refuseEdits(a Address, err error) {
	list := p.edits[a]
	delete(p.edits, a)
	for _, w := range list {
		w.release(p)
		w.reply(StateView{}, err)
	}
}
