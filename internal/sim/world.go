package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// The limits of a world: beyond them it counts as one that doesn't come to
// rest.
const (
	startTime = 1_767_225_600_000 // 2026 begins, when epochs do
	restTime  = 1_200_000         // milliseconds after everything healed
	maxSteps  = 400_000
	manyFails = 5
)

// World is everything around the partitions under test, and the judge of what
// they do.
type World struct {
	queue

	ctx       context.Context //nolint:containedctx // the caller's; a world lives within one call of Run
	plan      *Plan
	mask      *Mask
	rnd       *rand.Rand
	memory    *actortest.Memory
	functions *functions
	ghosts    []*ghost
	owners    []*owner
	hosts     []*host
	born      int
	healed    bool
	healedAt  int64
	era       int              // how often the power has failed
	outage    int64            // until then nothing works
	readsFrom int64            // until then no source is read
	full      map[string]int64 // ports that refuse until a time
	busy      []bool           // an append is on its way, by partition
	kvCommit  map[actor.StateKey]uint64
	logger    zerolog.Logger
	pauseLast map[actor.PauseKey]actor.PauseNews
	mended    map[actor.PauseKey]int // how often a failure's pause has ended
	edits     int
	modules   modules
	schedules map[string]*schedule
	woken     map[actor.Address]bool // cron ingresses there have been

	failures []string
	hits     map[Fault]int
	timeline *[]Line // nil: not wanted
}

// Result is how a world went.
type Result struct {
	Seed     uint64
	Failures []string // empty: all promises were kept
	Hits     map[Fault]int
	Steps    int
	Calls    int
	Commits  int
	Owners   int
	Timeline []Line
}

// Run simulates a plan, less what mask takes out of it. The timeline is kept
// only if wanted.
func Run(ctx context.Context, plan *Plan, mask *Mask, timeline bool) *Result {
	w := &World{
		ctx: ctx, plan: plan, mask: mask, rnd: rand.New(rand.NewPCG(plan.Seed, 0x73696d)), memory: actortest.NewMemory(),
		full: map[string]int64{}, kvCommit: map[actor.StateKey]uint64{}, pauseLast: map[actor.PauseKey]actor.PauseNews{}, mended: map[actor.PauseKey]int{}, logger: zerolog.Nop(), hits: map[Fault]int{},
	}
	if timeline {
		w.timeline = &[]Line{}
	}
	w.now = startTime
	w.memory.SetClock(func() int64 { return w.now })
	w.schedules, w.woken = map[string]*schedule{}, map[actor.Address]bool{}
	w.modules = modules{removed: map[string]int64{}, places: map[string]string{}}
	w.functions = &functions{w: w, calls: map[string]*call{}, quiet: map[string]*call{}}
	n := plan.Knobs.Partitions
	w.busy = make([]bool, n)
	for p := range n {
		w.ghosts = append(w.ghosts, newGhost(w, p))
	}
	w.live()
	return w.result()
}

func (w *World) live() {
	for p := range w.plan.Knobs.Partitions {
		w.spawn(p)
	}
	for i := range w.plan.Items {
		if it := &w.plan.Items[i]; !w.mask.dropped(i) {
			w.after(it.At, func() { w.happen(it, i) })
		}
	}
	w.after(w.plan.Knobs.Active, w.heal)
	if !w.rest("after everything healed") {
		return
	}
	w.checkRest()
	// A sweep may be what tells an owner that it is none any more, one each.
	for range max(2, w.mostOwners()+1) {
		w.after(2000, w.sweepAll)
		if !w.rest("after a sweep") {
			return
		}
	}
	w.checkRest()
	w.checkSwept()
	// New owners find everything in its place.
	for p := range w.plan.Knobs.Partitions {
		w.spawn(p)
	}
	if w.rest("after a restart") {
		w.checkRest()
	}
}

// rest lets time pass until nothing happens any more.
func (w *World) rest(when string) bool {
	limit := w.now + w.plan.Knobs.Active + restTime
	for w.steps < maxSteps && w.now < limit && len(w.failures) == 0 {
		if !w.next() {
			return true
		}
	}
	if len(w.failures) == 0 {
		w.fail("the world doesn't come to rest %s: %d steps, %d ms", when, w.steps, w.now-startTime)
		w.explainUnrest()
	}
	return false
}

func (w *World) explainUnrest() {
	for _, o := range w.owners {
		if !o.dead {
			w.fail("%s: running %v, %+v", o.name, o.p.Running(), o.p.Stats())
		}
	}
}

func (w *World) result() *Result {
	r := &Result{Seed: w.plan.Seed, Failures: w.failures, Hits: w.hits, Steps: w.steps, Calls: len(w.functions.calls), Owners: w.born}
	for _, g := range w.ghosts {
		r.Commits += int(g.commit)
	}
	if w.timeline != nil {
		r.Timeline = *w.timeline
	}
	return r
}

// happen is called when an item of the plan is due.
func (w *World) happen(it *Item, index int) {
	if it.Fault == "" {
		w.receive(it, index)
		return
	}
	if w.healed || !w.allows(it.Fault) {
		return
	}
	if it.Step != "" {
		if o := w.newest(it.Part); o != nil {
			o.trap = &trap{item: it, left: it.Count}
		}
		return
	}
	switch it.Fault {
	case Full:
		w.hit(Full)
		port := pick(w.rnd, "journal", "mailbox", "state", "timers", "egress")
		w.full[port] = w.now + it.For
		w.log(nil, "fault", "%s refuses for %d ms", port, it.For)
	case MarkEvicted:
		w.evict(it.Part)
	case Pause:
		w.pause(it)
	case EditState:
		w.edit(it)
	case CancelTimer:
		w.cancelTimer(it)
	case Sweep:
		w.sweep(it)
	case Removed:
		w.remove()
	case LostTail:
		w.loseTail(it)
	case Reload:
		w.reload(it)
	case Cron:
		w.reschedule(it)
	default:
		if o := w.anyOwner(it.Part); o != nil {
			o.strike(it)
		}
	}
}

func (w *World) evict(part int) {
	for _, s := range []string{"egress", "dead letters"} {
		if w.memory.EvictMark(part, s == "egress") {
			w.hit(MarkEvicted)
			w.log(nil, "fault", "the marker of partition %d in %s is evicted", part, s)
		}
	}
}

// foreign is the stream of somebody else, and the partition that reads it.
func (w *World) foreign() (actor.Source, int) {
	id := actor.TypeName{Namespace: "sim", Name: "orders"}
	return actor.ForeignSource(id), actor.PartitionOf(id.String(), w.plan.Knobs.Partitions)
}

// remove takes the older ones of the foreign stream's records away.
func (w *World) remove() {
	source, part := w.foreign()
	in := w.ghosts[part].source(source)
	if len(in.all) == 0 {
		return
	}
	w.hit(Removed)
	in.removed = max(in.removed, in.all[w.rnd.IntN(len(in.all))].Seq+1)
	w.log(nil, "fault", "%s loses its records below %d", source, in.removed)
	w.memory.Remove(source, part, in.removed)
}

// receive stores a message from outside.
func (w *World) receive(it *Item, index int) {
	if w.now < w.outage {
		w.after(w.outage-w.now, func() { w.receive(it, index) })
		return
	}
	part := address(it.To).Partition(w.plan.Knobs.Partitions)
	source := actor.SourceMailbox
	if it.Ingress {
		source = actor.SourceIngress
	}
	if it.Foreign != nil {
		source, part = w.foreign()
	}
	d := actor.Delivery{Source: source, Time: w.now, Dedup: it.Dedup}
	for i, o := range it.Ops {
		o.ID = "m" + strconv.Itoa(index) + string(rune('a'+i))
		in := actor.Input{Envelope: actor.Envelope{Target: typed(o.Type, it.To), Caller: caller(index, &o), Value: o.value()}}
		if o.Type == typeProblem {
			in.Problem = &actor.Problem{Reason: actor.ReasonBadAddress, Detail: "a problem"}
		}
		switch {
		case it.Foreign != nil:
			in.Route = &actor.Route{Targets: it.Foreign}
		case it.Delay > 0 && in.Problem == nil:
			in.Route = &actor.Route{DueAt: w.now + it.Delay}
		}
		d.Inputs = append(d.Inputs, in)
		w.log(nil, "outside", "%s to %s of partition %d, %s", o.ID, in.Envelope.Target, part, source)
	}
	d.Seq = w.memory.Send(source, part, it.Dedup, d.Inputs...)
	w.ghosts[part].arrived(&d)
	w.kick(part)
}

// kick tells the owners of a partition that there is something to read.
func (w *World) kick(part int) {
	for _, o := range w.owners {
		if o.part == part && !o.dead {
			o.feed()
		}
	}
}

// heal ends all faults; what is under way lands as it was decided.
func (w *World) heal() {
	w.healed, w.healedAt = true, w.now
	w.log(nil, "world", "no more faults")
	clear(w.full)
	w.resume()
	if len(w.woken) > 0 {
		w.after(afterglow, w.endSchedules)
	}
	for _, o := range w.owners {
		o.thaw()
		o.trap = nil
	}
	for p := range w.plan.Knobs.Partitions {
		w.revive(p)
	}
}

func (w *World) allows(f Fault) bool { return !w.mask.off(f) }

// chance is true in so many of a thousand cases, while there are faults.
func (w *World) chance(perMille int, f Fault) bool {
	return perMille > 0 && !w.healed && w.allows(f) && w.rnd.IntN(1000) < perMille
}

func (w *World) hit(f Fault) { w.hits[f]++ }

func (w *World) fail(format string, args ...any) {
	if len(w.failures) < manyFails {
		text := fmt.Sprintf(format, args...)
		w.failures = append(w.failures, text)
		w.log(nil, "FAILURE", "%s", text)
	}
}

func (w *World) newest(part int) *owner {
	for i := len(w.owners) - 1; i >= 0; i-- {
		if o := w.owners[i]; o.part == part && !o.dead {
			return o
		}
	}
	return nil
}

// holder is the owner that the journal belongs to, as far as the owners know:
// one that was born earlier may have come to open it later.
func (w *World) holder(part int) *owner {
	found := w.newest(part)
	for _, o := range w.owners {
		if o.part == part && !o.dead && o.p.Running() && (!found.p.Running() || o.p.Stats().Epoch > found.p.Stats().Epoch) {
			found = o
		}
	}
	return found
}

// mostOwners is how many owners of one partition there are that don't know of
// each other.
func (w *World) mostOwners() int {
	counts := make([]int, w.plan.Knobs.Partitions)
	for _, o := range w.owners {
		if !o.dead && o.p.Running() {
			counts[o.part]++
		}
	}
	return slices.Max(counts)
}

// anyOwner is mostly the newest one that isn't dead.
func (w *World) anyOwner(part int) *owner {
	var list []*owner
	for _, o := range w.owners {
		if o.part == part && !o.dead {
			list = append(list, o)
		}
	}
	if len(list) == 0 {
		return nil
	}
	if w.rnd.IntN(3) == 0 {
		return list[w.rnd.IntN(len(list))]
	}
	return list[len(list)-1]
}

// revive makes sure that a partition gets an owner when it has none that is
// alive and awake. In the end a former owner doesn't do, which may never hear
// that it is one.
func (w *World) revive(part int) {
	w.after(w.rnd.Int64N(50), func() {
		for _, o := range w.owners {
			former := w.healed && o.p.Running() && o.p.Stats().Epoch < w.ghosts[part].epoch
			if o.part == part && !o.dead && !o.frozen && !former {
				return
			}
		}
		w.spawn(part)
	})
}
