package actor

import (
	"errors"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// Edit decides a change of an address that no message asks for, such as an
// operator's. It is called once, between two calls of the address, with its
// state after all of them, which is durable, and with the partition's time in
// Unix milliseconds. It must depend on nothing else that changes, and must not
// block. After an error nothing has changed.
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
	case !e.loaded, act != nil && act.phase == actRunning && !mutant.On("edit-during-call"):
		return // it is called again
	case e.asked != e.settled:
		e.waiting = append(e.waiting, stateWaiter{need: e.asked, reply: func() { p.editNext(a) }})
		return
	}
	p.edits[a] = list[1:]
	if len(list) == 1 {
		delete(p.edits, a)
	}
	p.edit(list[0])
	if len(p.edits[a]) > 0 {
		p.editNext(a)
		return
	}
	if act != nil {
		p.schedule(act)
	}
}

// edit makes a completion of what the Edit wants.
func (p *Partition) edit(w *waitingEdit) {
	e := w.entry
	before := p.states.view(e)
	expired := before.State.expired(p.now)
	before.State = before.State.apply(expired)
	change, err := w.decide(before, p.now)
	next, muts := p.mutate(before.State, change.Mutations)
	if err == nil {
		err = p.checkEdited(e.addr, &change, next)
	}
	if err != nil || len(muts) == 0 {
		p.states.release(e)
		w.reply(before, err)
		return
	}
	c := &completion{target: e.addr, mutations: append(expired, muts...), sends: change.Sends, size: 64}
	for _, m := range c.mutations {
		c.size += len(m.name) + len(m.value.Value.Type) + len(m.value.Value.Data) + 32
	}
	for i := range c.sends {
		c.size += c.sends[i].Size()
	}
	p.states.propose(e.addr, c.mutations)
	p.complete(c)
	e.waiting = append(e.waiting, stateWaiter{need: e.asked, reply: func() {
		after := p.states.view(e)
		after.State = after.State.Alive(p.now)
		p.states.release(e)
		w.reply(after, nil)
	}})
}

// checkEdited refuses what can't be committed.
func (p *Partition) checkEdited(self Address, change *Edited, next State) error {
	if len(change.Sends) > 0 && len(change.Mutations) == 0 {
		return errors.New("an edit sends without changing a state")
	}
	for i := range change.Mutations {
		if strings.Contains(change.Mutations[i].Name, "/") {
			return protocolError("the entry %q of a table of %s can't be edited", change.Mutations[i].Name, self)
		}
	}
	if size := next.Size(); size > p.cfg.MaxState {
		return limitError("the state of %s would take %d bytes, the limit is %d", self, size, p.cfg.MaxState)
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
		p.states.release(w.entry)
		w.reply(StateView{}, err)
	}
}
