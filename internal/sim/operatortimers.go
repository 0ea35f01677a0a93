package sim

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/cron"
)

// cancelTimers adds an operator who cancels delayed messages to a plan. It
// draws from numbers of its own, so that worlds without it stay as they are.
func (p *Plan) cancelTimers() {
	r := rand.New(rand.NewPCG(p.Seed, 0x74696d72))
	if r.IntN(3) > 0 {
		return
	}
	for range 1 + r.IntN(12) {
		p.Items = append(p.Items, Item{Fault: CancelTimer, At: r.Int64N(p.Knobs.Active), Part: r.IntN(p.Knobs.Partitions), Count: r.IntN(1000)})
	}
}

// cancelTimer cancels one of a partition's timers, or one that is gone.
func (w *World) cancelTimer(it *Item) {
	g, o := w.ghosts[it.Part], w.newest(it.Part)
	if o == nil {
		return
	}
	ids := sortedKeys(g.timers, compareTimers)
	if it.Count%4 == 0 {
		ids = sortedKeys(g.gone, compareTimers)
	}
	ids = slices.DeleteFunc(ids, func(id actor.TimerID) bool { return g.timers[id].Envelope.Target.Type == cron.Type() })
	if len(ids) == 0 {
		return
	}
	id := ids[it.Count%len(ids)]
	g.asked[id] = true
	w.log(o, "operator", "cancels timer %v", id)
	o.Post(func(p *actor.Partition) {
		if p.Running() {
			p.CancelTimer(id, func(tm actor.Timer, err error) { g.cancelAnswered(id, &tm, err) })
		}
	})
}

func compareTimers(a, b actor.TimerID) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Commit, b.Commit), cmp.Compare(a.Index, b.Index))
}

// cancelAnswered judges an answer: it comes when the timer is durably gone, and
// says whether it fired.
func (g *ghost) cancelAnswered(id actor.TimerID, tm *actor.Timer, err error) {
	_, pending := g.timers[id]
	switch {
	case err != nil && !errors.Is(err, actor.ErrNotFound):
		g.fail("timer %v is not cancelled: %v", id, err)
	case err != nil && pending:
		g.fail("timer %v is said to be gone, but is pending", id)
	case err == nil && !g.cancelled[id]:
		g.fail("timer %v is said to be cancelled, but is not, durably (J5)", id)
	case err == nil && tm.ID != id:
		g.fail("timer %v was to be cancelled, and %v is said to be", id, tm.ID)
	case err == nil:
		g.w.hit(CancelTimer)
	}
}

// cancel takes the timers that an operator has cancelled: each was pending.
// It returns the others.
func (f *folding) cancel() (others []actor.TimerID) {
	for _, id := range f.c.Cancelled {
		if !f.g.asked[id] {
			others = append(others, id)
			continue
		}
		if _, ok := f.g.timers[id]; !ok {
			f.g.fail("commit %d cancels timer %v, which is not set (T2)", f.rec.Commit, id)
			continue
		}
		f.g.cancelled[id] = true
		f.g.forget(id)
	}
	return others
}
