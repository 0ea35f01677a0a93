package actor

import (
	"slices"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// AnyName stands for all types of a namespace in the set that Pause takes.
const AnyName = "*"

// Pause replaces the set of function types that get no calls. What is sent to
// them waits, in order, as it does for a slow function; calls under way come
// to their end.
func (p *Partition) Pause(types []TypeName) {
	before := p.paused
	p.paused = make(map[TypeName]bool, len(types))
	for _, t := range types {
		p.paused[t] = true
	}
	var free []*activation
	for a, act := range p.activations {
		if act.phase == actIdle && covered(before, a.Type) && !p.pausedType(a.Type) && !mutant.On("resume-forgets") {
			free = append(free, act)
		}
	}
	slices.SortFunc(free, func(a, b *activation) int { return strings.Compare(a.addr.Key(), b.addr.Key()) })
	for _, act := range free {
		p.schedule(act)
	}
}

func covered(set map[TypeName]bool, t TypeName) bool {
	return len(set) > 0 && (set[t] || set[TypeName{t.Namespace, AnyName}])
}

func (p *Partition) pausedType(t TypeName) bool { return covered(p.paused, t) }

// barred reports whether an address gets no call now: its type is paused, or
// an edit is due.
func (p *Partition) barred(a Address) bool {
	return p.pausedType(a.Type) && !mutant.On("pause-ignored") || len(p.edits[a]) > 0
}

// park lets an activation wait until it isn't barred any more. That time isn't
// counted against its batch.
func (p *Partition) park(act *activation) {
	act.phase = actIdle
	if len(act.batch) > 0 && act.parkedAt == 0 {
		act.parkedAt = p.now
	}
}

// unpark ends the wait.
func (p *Partition) unpark(act *activation) {
	if act.parkedAt != 0 {
		act.excused += p.now - act.parkedAt
		act.parkedAt = 0
	}
}

// Backlog counts the messages that wait or are being handled, by function
// type.
func (p *Partition) Backlog() map[TypeName]int {
	out := map[TypeName]int{}
	for a, act := range p.activations {
		if n := len(act.queue) + len(act.spilled) + len(act.batch); n > 0 {
			out[a.Type] += n
		}
	}
	return out
}
