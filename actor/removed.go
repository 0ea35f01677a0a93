package actor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// function is what serves a. A function that was removed and may come back is
// one without a Function; when its time is over, or nothing was ever there, ok
// is false.
func (p *Partition) function(a Address) (spec FunctionSpec, ok bool) {
	spec, ok = p.catalog.Lookup(a.Type)
	switch {
	case !ok:
		return spec, false
	case spec.AwaitedUntil != 0:
		return spec, spec.AwaitedUntil > p.now && !mutant.On("removed-at-once")
	case len(spec.Versions) > 0:
		return spec.version(a), true
	}
	return spec, true
}

// Reload says that the catalog has changed. What waits for functions that are
// back goes on; calls under way come to their end where they began.
func (p *Partition) Reload() {
	if mutant.On("reload-forgets") {
		return
	}
	types := make([]TypeName, 0, len(p.missing))
	for t := range p.missing {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b TypeName) int { return strings.Compare(a.String(), b.String()) })
	for _, t := range types {
		p.recall(t)
	}
}

// await lets an activation wait for its function, which was removed, until it
// is back or a time is over. That time isn't counted against its batch.
func (p *Partition) await(act *activation, until int64) {
	p.park(act)
	t := act.addr.Type
	if p.missing[t] == until {
		return
	}
	p.missing[t] = until
	if mutant.On("removed-kept") {
		return
	}
	p.after(until-p.now, func() {
		if p.missing[t] == until {
			p.recall(t)
		}
	})
}

// recall moves on what waits for a function.
func (p *Partition) recall(t TypeName) {
	delete(p.missing, t)
	var waiting []*activation
	for a, act := range p.activations {
		if a.Type == t && act.phase == actIdle {
			waiting = append(waiting, act)
		}
	}
	slices.SortFunc(waiting, func(a, b *activation) int { return strings.Compare(a.addr.ID, b.addr.ID) })
	for _, act := range waiting {
		p.schedule(act)
	}
}

// forgo makes dead letters of what waits for a function that nobody serves any
// more.
func (p *Partition) forgo(act *activation) {
	list := append(act.batch, act.queue...)
	p.resident -= len(act.queue)
	p.residentBytes -= act.bytes
	act.phase, act.batch, act.queue, act.bytes, act.excusedAt = actIdle, nil, nil, 0, 0
	act.suspect = max(act.suspect-len(list), 0)
	for _, q := range list {
		p.giveUp(q.id, q.envelope, p.unserved(act.addr.Type))
	}
	p.schedule(act)
}

// unserved is why a message for t is given up.
func (p *Partition) unserved(t TypeName) *DeadLetter {
	d := &DeadLetter{
		Reason: ReasonUnknownFunction,
		Error:  fmt.Sprintf("no module binds the function type %s; add an endpoint for it and replay", t),
	}
	if spec, ok := p.catalog.Lookup(t); ok && spec.AwaitedUntil != 0 {
		d.Error = fmt.Sprintf("the function type %s was removed and has not come back in time; add an endpoint for it and replay", t)
	}
	return d
}
