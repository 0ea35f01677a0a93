package sim

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/jetfn/jetfn/actor"
)

// outage is how long it takes until anything works again after the power has
// failed, in milliseconds.
const outage = 5

// loseTails has the power fail in some worlds: everything stops, and the
// mailbox or the ingress stream has lost what was stored last, while all else
// is there. What follows must count all the same, also where it is read late. It has a random source of
// its own, as route has.
func (p *Plan) loseTails(r *rand.Rand) {
	cron := func(it Item) bool { return it.Fault == Cron }
	if r.IntN(5) > 0 || slices.ContainsFunc(p.Items, cron) { // a lost tick is not made up for
		return
	}
	for range 1 + r.IntN(3) {
		p.Items = append(p.Items, Item{At: r.Int64N(p.Knobs.Active), Fault: LostTail, Count: 1 + r.IntN(12), Ingress: r.IntN(4) == 0, For: pick[int64](r, 0, 0, 0, 7000, 10_000)})
	}
}

// loseTail is such a failure.
func (w *World) loseTail(it *Item) {
	source := actor.SourceMailbox
	if it.Ingress {
		source = actor.SourceIngress
	}
	last := w.memory.Last(source)
	last -= min(last, uint64(it.Count))
	w.hit(LostTail)
	w.log(nil, "fault", "the power fails, %s has lost what is behind %d", source, last)
	w.era++
	w.outage = w.now + outage
	w.hosts = nil
	w.readsFrom = w.now + it.For
	w.after(it.For, func() {
		for part := range w.ghosts {
			w.kick(part)
		}
	})
	for _, o := range w.owners {
		if !o.dead {
			o.dead = true
			o.cancel()
		}
	}
	w.memory.LoseEnd(source, last)
	for part, g := range w.ghosts {
		g.source(source).loseEnd(last)
		w.after(outage, func() { w.revive(part) })
	}
}

// loseEnd forgets what was behind last.
func (in *inputs) loseEnd(last uint64) {
	keep := len(in.all)
	for keep > 0 && in.all[keep-1].Seq > last {
		keep--
		if d := &in.all[keep]; d.Internal {
			in.lost[d.From] = max(in.lost[d.From], d.Number)
		}
		for i := range in.all[keep].Inputs {
			if id := (actor.InputID{Source: in.source, Seq: in.placeOf(keep), Index: i}); in.holes[id] {
				in.gone[id] = true
				delete(in.holes, id)
			}
		}
	}
	in.places = in.places[:min(in.decided, keep)]
	in.all, in.ok, in.decided = in.all[:keep], in.ok[:keep], min(in.decided, keep)
	in.numbers = maps.Clone(in.accepted)
	clear(in.epochs)
	for i := in.decided; i < keep; i++ {
		if d := &in.all[i]; d.Internal && in.ok[i] {
			in.numbers[d.From] = d.Number
		}
	}
}

// placeOf is where a delivery is in the journal.
func (in *inputs) placeOf(i int) uint64 {
	if i < len(in.places) {
		return in.places[i]
	}
	return placeBehind(in.breaks, in.all[i].Seq)
}

func placeBehind(breaks []actor.BreakView, seq uint64) uint64 {
	for i := len(breaks) - 1; i >= 0; i-- {
		if b := breaks[i]; seq >= b.At {
			return seq - b.At + b.Place
		}
	}
	return seq
}

// broken takes the breaks that a record holds: what is open keeps its place
// (M9). What is new has none yet while it is where everything is decided.
func (in *inputs) broken(p *actor.ProgressView) {
	if len(p.Breaks) == 0 {
		return
	}
	for i, was := range in.places {
		seq := in.all[i].Seq
		for index := range in.all[i].Inputs {
			id := actor.InputID{Source: in.source, Seq: was, Index: index}
			if is := placeBehind(p.Breaks, seq); is != was && in.holes[id] {
				in.g.fail("%s %d was at %d, and is now at %d (M9)", in.source, seq, was, is)
			}
		}
	}
	in.breaks = p.Breaks
}
