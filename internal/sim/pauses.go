package sim

import (
	"math/rand/v2"

	"github.com/jetfn/jetfn/actor"
)

// misfortune has failures pause what they happen to, in some worlds. It draws
// from numbers of its own, so that the others stay as they are.
func (p *Plan) misfortune() {
	r := rand.New(rand.NewPCG(p.Seed, 0x7061757365))
	if r.IntN(4) > 0 {
		return
	}
	k := &p.Knobs
	k.Then = pick(r, actor.ThenPauseAddress, actor.ThenPauseAddress, actor.ThenPauseFunction)
	k.Attempts = pick(r, 1, 2, 5)
	for i := range p.Items {
		for j := range p.Items[i].Ops {
			if o := &p.Items[i].Ops[j]; o.Type == typeMain && r.IntN(8) == 0 {
				o.Do = "poison"
			}
		}
	}
	for range r.IntN(4) {
		it := makeFault(r, k)
		it.Fault, it.Step, it.Count, it.Then = pick(r, CrashAtStep, Supersede, Freeze), pick(r, "pause", "paused"), 1+r.IntN(2), nil
		p.Items = append(p.Items, it)
	}
}

type pauses struct {
	o     *owner
	inner actor.PauseStore
}

// Pause is part of actor.PauseStore.
func (s *pauses) Pause(k actor.PauseKey, cause actor.PauseCause, revision uint64, done func(actor.WriteResult)) {
	o, w := s.o, s.o.w
	if !o.reached("pause") {
		return
	}
	w.hit(FailurePause)
	w.log(o, "pause", "%s after revision %d: %s", k, revision, cause.Error)
	if o.pausing = true; o.told[k].Revision <= revision {
		o.decided[k] = revision
	}
	o.write(packet{port: "pauses", twice: true, done: o.answered("paused", done), do: func() actor.WriteResult {
		last := w.pauseLast[k]
		res := stored(func(d func(actor.WriteResult)) { s.inner.Pause(k, cause, revision, d) })
		w.log(o, "  pauses", "%s after revision %d: outcome %d, revision %d", k, revision, res.Outcome, res.Seq)
		if res.Outcome != actor.Stored {
			return res
		}
		if last.Revision > revision {
			w.fail("%s is paused because of what happened before revision %d, over revision %d", k, revision, last.Revision)
		}
		w.spread(actor.PauseNews{Key: k, Revision: res.Seq, Paused: true}, w.delay)
		wait := int64(1)
		if !w.healed {
			wait += w.rnd.Int64N(3000)
		}
		w.after(wait, func() {
			if w.pauseLast[k].Revision == res.Seq {
				w.mended[k]++
				w.setPaused(k, false, w.delay)
			}
		})
		return res
	}})
}

// mends reports whether what could never succeed does now, since somebody has
// seen its address paused often enough.
func (w *World) mends(a actor.Address) bool {
	return w.mended[actor.PauseAddress(a)]+w.mended[actor.PauseType(a.Type)] > 1
}

// setPaused is what an operator does.
func (w *World) setPaused(k actor.PauseKey, paused bool, delay func() int64) actor.PauseNews {
	w.log(nil, "operator", "pauses %s: %v", k, paused)
	n := w.memory.SetPaused(k, paused)
	w.spread(n, delay)
	return n
}

// spread tells all owners, each in its time.
func (w *World) spread(n actor.PauseNews, delay func() int64) {
	w.pauseLast[n.Key] = n
	for _, o := range w.owners {
		switch {
		case o.dead:
		case delay == nil:
			o.tell(n)
		default:
			w.after(delay(), func() { o.tell(n) })
		}
	}
}

// tell gives an owner news. A call that it begins in the same step may have
// been granted before.
func (o *owner) tell(n actor.PauseNews) {
	o.Post(func(p *actor.Partition) {
		p.Pause(n)
		o.pausing = true
		o.hear(n)
	})
}

func (o *owner) hear(n actor.PauseNews) {
	if n.Revision <= o.told[n.Key].Revision {
		return
	}
	o.told[n.Key] = n
	if after, ok := o.decided[n.Key]; ok && n.Revision > after {
		delete(o.decided, n.Key)
	}
}

// bars are the keys that get no calls of this owner.
func (o *owner) bars() map[actor.PauseKey]bool {
	if o.pausing { // a call may have been granted before
		return nil
	}
	out := map[actor.PauseKey]bool{}
	for k, n := range o.told {
		if n.Paused {
			out[k] = true
		}
	}
	for k := range o.decided {
		out[k] = true
	}
	return out
}

// barredBy judges a call that began when these were paused.
func (f *functions) barredBy(bars map[actor.PauseKey]bool, b *actor.Batch) {
	t := b.Target.Type
	for _, k := range []actor.PauseKey{
		actor.PauseAddress(b.Target), actor.PauseType(t), actor.PauseType(actor.TypeName{Namespace: t.Namespace, Name: actor.AnyName}),
	} {
		if bars[k] {
			f.w.fail("%s is called while %s is paused", b.Target, k)
		}
	}
}
