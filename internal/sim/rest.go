package sim

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// checkRest checks that nothing is lost and everything is in its place, now
// that nothing happens any more.
func (w *World) checkRest() {
	w.checkSchedules()
	balance := 0
	for _, g := range w.ghosts {
		g.checkInputs()
		g.checkTimers()
		g.checkSinks()
		g.checkReplies()
		balance += g.checkStates()
		for key := range g.sends {
			if in := w.ghosts[key.to].source(actor.SourceMailbox); in.numbers[g.part] < key.number && in.lost[g.part] < key.number {
				g.fail("send %d to partition %d never arrived in order, the last one is %d (S3)", key.number, key.to, in.numbers[g.part])
				break
			}
		}
	}
	if balance != 0 && w.era == 0 {
		w.fail("the transfers' sum is %d, want 0", balance)
	}
	for p := range w.plan.Knobs.Partitions {
		o := w.newest(p)
		if o == nil {
			w.fail("partition %d has no owner", p)
			continue
		}
		if s := o.p.Stats(); !o.p.Running() || s.Unapplied+s.Timers+s.Resident+s.Spilled > 0 || !o.p.Drained() {
			w.fail("%s is not at rest: running %v, drained %v, %+v", o.name, o.p.Running(), o.p.Drained(), s)
		}
	}
}

func (g *ghost) checkInputs() {
	for _, source := range sortedKeys(g.sources, cmp.Compare[actor.Source]) {
		in := g.sources[source]
		for i := range in.all {
			for index := range in.all[i].Inputs {
				id := actor.InputID{Source: source, Seq: in.placeOf(i), Index: index}
				if in.ok[i] && !in.consumed[id] && (!source.Foreign() || id.Seq >= in.removed) {
					g.fail("input %v, %s, was accepted and never consumed", id, readOp(in.all[i].Inputs[index].Envelope.Value).ID)
				}
			}
		}
	}
}

func (g *ghost) checkTimers() {
	for _, id := range sortedKeys(g.timers, func(a, b actor.TimerID) int { return cmp.Or(cmp.Compare(a.Commit, b.Commit), a.Index-b.Index) }) {
		g.fail("timer %v, %s, never fired", id, readOp(g.timers[id].Envelope.Value).ID)
	}
	left, err := actortest.Timers(g.w.ctx, g.w.memory.Ports(g.part).Timers)
	if err != nil || len(left) > 0 {
		g.fail("the timer store holds %v, %v", left, err)
	}
}

func (g *ghost) checkSinks() {
	for index := range g.wanted {
		for i := range g.wanted[index] {
			if m := &g.wanted[index][i]; !g.found[index][m.ID] {
				g.fail("sink message %v of %s was never stored", m.ID, m.Source)
			}
		}
	}
}

// checkStates compares the store with the fold; it returns the transfers' sum.
func (g *ghost) checkStates() (balance int) {
	store := g.w.memory.Ports(g.part).State
	for _, a := range sortedKeys(g.states, func(a, b actor.StateKey) int { return strings.Compare(a.String(), b.String()) }) {
		want := g.state(a)
		l, err := store.Load(g.w.ctx, a)
		got := actor.StateRecord{}
		if l.Record != nil {
			got = *l.Record
		}
		if err != nil || !sameState(got.State, want.state) || len(want.state) > 0 && got.Commit != want.commit {
			g.fail("the store holds %s of commit %d for %s, want %s of commit %d (%v)",
				stateText(got.State), got.Commit, a, stateText(want.state), want.commit, err)
		}
		v, _ := want.state.Get("balance")
		n := 0
		_, _ = fmt.Sscan(string(v.Value.Data), &n) // an address without one has none
		balance += n
	}
	for i := range g.wanted[letters] {
		if o := readOp(g.wanted[letters][i].DeadLetter.Envelope.Value); o.Do == "credit" {
			balance += o.N
		}
	}
	return balance
}

// summary is a journal record in few words.
func summary(data []byte) string {
	r, err := actor.Inspect(data)
	if err != nil {
		return err.Error()
	}
	if r.Kind == "part" {
		return fmt.Sprintf("part %d/%d of %s %d, epoch %d", r.Part+1, r.Parts, r.PartOf, r.Commit, r.Epoch)
	}
	return fmt.Sprintf("%s %d, epoch %d", r.Kind, r.Commit, r.Epoch)
}
