package sim

import (
	"cmp"
	"maps"
	"slices"
	"sort"

	"github.com/jetfn/jetfn/actor"
)

// inputs is one source of a partition as it must be understood: acceptance is
// a function of the stored messages alone (M2), and each accepted input is
// consumed once (M3).
type inputs struct {
	g        *ghost
	source   actor.Source
	all      []actor.Delivery // in stream order
	ok       []bool           // accepted
	numbers  map[int]uint64   // accepted numbers of all that is stored
	high     uint64           // decided by commits
	decided  int              // deliveries up to high
	places   []uint64         // theirs
	accepted map[int]uint64   // numbers as of high
	holes    map[actor.InputID]bool
	consumed map[actor.InputID]bool
	last     map[actor.Address]actor.InputID // newest one consumed, by target
	removed  uint64                          // a foreign stream has lost what is below
	breaks   []actor.BreakView               // where it went on after losing its end
	gone     map[actor.InputID]bool          // open ones that were lost so
	epochs   map[int]uint64                  // that gave numbers; zero: not known
	lost     map[int]uint64                  // numbers that were lost so, and all below
}

func (g *ghost) source(s actor.Source) *inputs {
	in := g.sources[s]
	if in == nil {
		in = &inputs{
			g: g, source: s, numbers: map[int]uint64{}, accepted: map[int]uint64{},
			holes: map[actor.InputID]bool{}, consumed: map[actor.InputID]bool{}, last: map[actor.Address]actor.InputID{},
			gone: map[actor.InputID]bool{}, lost: map[int]uint64{}, epochs: map[int]uint64{},
		}
		g.sources[s] = in
	}
	return in
}

// arrived takes a stored message.
func (g *ghost) arrived(d *actor.Delivery) {
	in := g.source(d.Source)
	in.all = append(in.all, *d)
	ok := true
	if d.Internal {
		if last := in.epochs[d.From]; d.First > 0 && d.Epoch > last && last > 0 && d.First <= in.numbers[d.From] || d.Epoch < last && d.Number == in.numbers[d.From]+1 {
			g.fail("number %d of partition %d is of epoch %d, which began at %d, but %d was given in epoch %d (S6)", d.Number, d.From, d.Epoch, d.First, in.numbers[d.From], last)
		}
		if d.Delivered > in.numbers[d.From] {
			if g.w.era == 0 {
				g.fail("number %d of partition %d says that %d were stored before, it was only %d (S5)", d.Number, d.From, d.Delivered, in.numbers[d.From])
			}
			in.numbers[d.From], in.epochs[d.From] = d.Delivered, 0
		}
		if ok = d.Number == in.numbers[d.From]+1; ok {
			in.numbers[d.From], in.epochs[d.From] = d.Number, d.Epoch
			sent := g.w.ghosts[d.From].sends[sendKey{g.part, d.Number}]
			if !sameEnvelope(&sent.envelope, &d.Inputs[0].Envelope) {
				g.fail("message %d of partition %d is accepted, but another one had that number (S1, J4)", d.Number, d.From)
			}
		}
	}
	in.ok = append(in.ok, ok)
}

func (in *inputs) find(place uint64) int {
	i, found := sort.Find(len(in.all), func(i int) int { return cmp.Compare(place, in.placeOf(i)) })
	if !found {
		return -1
	}
	return i
}

// consume takes an input that a commit consumes and returns it.
func (in *inputs) consume(id actor.InputID, target actor.Address) *actor.Input {
	i := in.find(id.Seq)
	if i < 0 || id.Index >= len(in.all[i].Inputs) || !in.ok[i] {
		in.g.fail("input %v is consumed, but was never accepted (M2)", id)
		return nil
	}
	if in.consumed[id] {
		in.g.fail("input %v is consumed twice (M4)", id)
	}
	in.consumed[id] = true
	input := &in.all[i].Inputs[id.Index]
	if input.Envelope.Target != target {
		in.g.fail("input %v for %s is consumed by %s", id, input.Envelope.Target, target)
	}
	if input.Problem == nil && input.Route == nil {
		if last, ok := in.last[target]; ok && (last.Seq > id.Seq || last.Seq == id.Seq && last.Index > id.Index) {
			in.g.fail("input %v of %s is consumed after %v (order)", id, target, last)
		}
		in.last[target] = id
	}
	return input
}

// advance checks the progress that a commit records (M3). It is called after
// the commit's inputs were consumed.
func (in *inputs) advance(p *actor.ProgressView, consumed []actor.InputID) {
	want := in.high
	for _, id := range consumed {
		want = max(want, id.Seq)
		delete(in.holes, id)
	}
	if p.High != want {
		in.g.fail("%s is decided up to %d, want %d (M3)", in.source, p.High, want)
	}
	changed := map[int]uint64{}
	var holes []actor.InputID
	for ; in.decided < len(in.all) && in.placeOf(in.decided) <= want; in.decided++ {
		d := &in.all[in.decided]
		place := in.placeOf(in.decided)
		if place <= in.high {
			break // no owner has found the break before it
		}
		in.places = append(in.places, place)
		if !in.ok[in.decided] {
			continue
		}
		if d.Internal {
			changed[d.From], in.accepted[d.From] = d.Number, d.Number
		}
		for i := range d.Inputs {
			if id := (actor.InputID{Source: in.source, Seq: place, Index: i}); !in.consumed[id] && !in.missed(id) {
				holes = append(holes, id)
				in.holes[id] = true
			}
		}
	}
	in.high = want
	if !slices.Equal(holes, p.Holes) || !maps.Equal(changed, p.Accepted) {
		in.g.fail("%s: a commit records holes %v and numbers %v, want %v and %v (M3)", in.source, p.Holes, p.Accepted, holes, changed)
	}
}

// missed reports whether an open input needn't be consumed: a foreign stream
// has lost it. A foreign stream has no other ones behind a consumed one, or
// its owner could remove what is still needed.
func (in *inputs) missed(id actor.InputID) bool {
	if in.source.Foreign() && id.Seq >= in.removed {
		in.g.fail("%v is open behind a consumed input", id)
	}
	return in.source.Foreign()
}

// compare checks a checkpoint's progress (C1).
func (in *inputs) compare(p *actor.ProgressView) {
	in.broken(p)
	p.Holes = slices.DeleteFunc(p.Holes, func(id actor.InputID) bool { return in.gone[id] })
	holes := sortedKeys(in.holes, func(a, b actor.InputID) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), a.Index-b.Index) })
	if p.High != in.high || !slices.Equal(holes, p.Holes) || !maps.Equal(in.accepted, p.Accepted) {
		in.g.fail("%s: a checkpoint says %d, holes %v, numbers %v; want %d, %v, %v (C1)",
			in.source, p.High, p.Holes, p.Accepted, in.high, holes, in.accepted)
	}
}

// trim judges the removal of inputs: each must be consumed, or dropped (M6).
func (g *ghost) trim(source actor.Source, before uint64) {
	in := g.source(source)
	if source.Foreign() {
		g.fail("%s, which is not ours, is trimmed", source)
	}
	window := g.w.plan.Knobs.Config.DedupWindow.Milliseconds() - g.w.slack()
	for i := range in.all {
		d := &in.all[i]
		if d.Seq >= before {
			return
		}
		if d.Dedup {
			g.w.hit(PassedWindow)
			if d.Time+window > g.w.now {
				g.fail("%s %d is removed within its deduplication window", source, d.Seq)
			}
		}
		for index := range d.Inputs {
			if id := (actor.InputID{Source: source, Seq: in.placeOf(i), Index: index}); in.ok[i] && !in.consumed[id] {
				g.fail("input %v is removed, but no durable commit consumes it (M6)", id)
				return
			}
		}
		if in.placeOf(i) > in.high {
			g.fail("%s %d is removed, but commits decide up to %d only (M6)", source, d.Seq, in.high)
			return
		}
	}
}

// slack is how far the clocks of this world may be off.
func (w *World) slack() int64 {
	if w.hits[ClockJump] > 0 {
		return 1 << 40
	}
	return 2 * w.plan.Knobs.Offset
}
