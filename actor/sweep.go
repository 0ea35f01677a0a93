package actor

import "github.com/jetfn/jetfn/internal/mutant"

// Swept is what a sweep has found of a record.
type Swept struct {
	// Busy means that nothing was done: the address is at work, which removes
	// what has expired by itself, or the partition is.
	Busy    bool
	Removed int   // values that had expired
	Next    int64 // when the first of the rest expires, in Unix milliseconds; zero: none does
	// Revision is that of the record as it was stored then: what an earlier one
	// says of deadlines is past.
	Revision uint64
}

// Sweep removes what has expired of the record of k, as an invocation of its
// address would: in a commit, from the state after all that is completed, and
// by this partition's clock (PROTOCOL K9). Meanwhile the address has no call,
// or a call that renews a value would come too late for it. It calls reply once
// that is decided. The partition must be Running.
func (p *Partition) Sweep(k StateKey, reply func(Swept, error)) {
	if p.occupied(k.Address) {
		reply(Swept{Busy: true}, nil)
		return
	}
	known := p.states.known(k)
	e := p.states.use(k)
	e.passing = !known
	if e.lost != nil {
		p.states.release(e)
		reply(Swept{}, e.lost)
		return
	}
	p.states.whenLoaded(e, func() {
		reply(p.sweep(e), nil)
		p.states.release(e)
	})
}

// occupied reports whether a sweep of a has to wait.
func (p *Partition) occupied(a Address) bool {
	if p.draining || len(p.completed) >= p.cfg.MaxUnapplied || p.applier.crowded(2) {
		return true
	}
	return (p.activations[a] != nil || len(p.edits[a]) > 0) && !mutant.On("sweep-during-call")
}

func (p *Partition) sweep(e *entry) Swept {
	if p.occupied(e.addr) {
		return Swept{Busy: true}
	}
	out := Swept{Revision: e.revision}
	now := p.now
	if mutant.On("sweep-early") {
		now += 100
	}
	dead := e.current.expired(now)
	for i := range e.current {
		switch at := e.current[i].ExpiresAt; {
		case at == 0 || at <= p.now:
		case out.Next == 0 || at < out.Next:
			out.Next = at
		}
	}
	if out.Removed = len(dead); out.Removed == 0 {
		return out
	}
	c := &completion{target: e.addr, mutations: dead, size: 64}
	for i := range dead {
		c.size += len(dead[i].name) + 32
	}
	p.states.propose(e.addr, dead)
	p.complete(c)
	return out
}
