package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/actor"
)

// owner is one processor incarnation: the Host of a partition.
type owner struct {
	w      *World
	name   string // <partition>.<count>
	part   int
	p      *actor.Partition
	ports  actor.Ports
	ctx    context.Context //nolint:containedctx // of its work
	cancel context.CancelFunc
	config actor.Config

	era                    int
	dead, frozen, draining bool
	events                 []actor.Event
	stepping               bool // an event will step it
	working                bool // inside Perform
	wakeAt                 int64
	offset                 int64 // of its clock
	trap                   *trap
	held                   *[]actor.Event // what a blocking read has to say
	slowAnswer             int64          // of that read
	feeds                  map[actor.Source]*feed
	lanes                  map[string]*lane
	host                   *host // nil: nothing is gathered
	calls                  int
	places                 map[string]int // granted, by endpoint
	told                   map[actor.PauseKey]actor.PauseNews
	decided                map[actor.PauseKey]uint64 // pauses of its own, by the revision they follow
	pausing                bool                      // since this step
	waiting                []func()
	published              int // by the Perform that runs
}

// feed is a consumer of one source.
type feed struct {
	next uint64
	busy bool
}

// trap strikes an owner at a step of its own.
type trap struct {
	item *Item
	left int
}

func (w *World) spawn(part int) *owner {
	k := &w.plan.Knobs
	w.born++
	cfg := k.Config
	cfg.Partition, cfg.Incarnation = part, w.rnd.Uint64()|1
	o := &owner{
		w: w, era: w.era, part: part, name: fmt.Sprintf("p%d.%d", part, w.born), config: cfg.WithDefaults(),
		lanes: map[string]*lane{}, feeds: map[actor.Source]*feed{}, places: map[string]int{}, told: map[actor.PauseKey]actor.PauseNews{}, decided: map[actor.PauseKey]uint64{},
	}
	if k.Offset > 0 && w.allows(ClockOffset) {
		o.offset = w.rnd.Int64N(2*k.Offset) - k.Offset
		w.hit(ClockOffset)
	}
	o.ctx, o.cancel = context.WithCancel(w.ctx)
	if k.Gather.Most > 0 {
		o.host = w.host()
	}
	o.p = actor.NewPartition(&o.config, w.functions)
	o.ports = portsOf(o)
	w.owners = append(w.owners, o)
	if len(w.owners) > 12 {
		w.owners = w.bury()
	}
	w.log(o, "owner", "opens partition %d; its clock is %d ms off", part, o.offset)
	o.p.SetTime(o.clock())
	for _, n := range w.memory.Paused() {
		o.p.Pause(n.PauseNews)
		o.hear(n.PauseNews)
	}
	o.p.Open()
	o.step()
	return o
}

// bury forgets the dead.
func (w *World) bury() []*owner {
	var out []*owner
	for _, o := range w.owners {
		if !o.dead {
			out = append(out, o)
		}
	}
	return out
}

func (o *owner) clock() int64 { return o.w.now + o.offset }

// Post is part of actor.Host.
func (o *owner) Post(ev actor.Event) bool {
	if o.dead {
		return false
	}
	if o.held != nil {
		*o.held = append(*o.held, ev)
		return true
	}
	o.events = append(o.events, ev)
	if !o.stepping && !o.frozen {
		o.stepping = true
		o.w.after(0, o.step)
	}
	return true
}

// step lets the partition do what has become possible.
func (o *owner) step() {
	o.stepping = false
	if o.dead || o.frozen || o.working {
		return
	}
	o.working = true
	for rounds := 0; rounds == 0 || len(o.events) > 0; rounds++ {
		n := len(o.events)
		if n > 1 && o.w.rnd.IntN(3) == 0 {
			n = 1
		}
		now := o.events[:n]
		o.events = o.events[n:]
		o.p.SetTime(o.clock())
		for _, ev := range now {
			ev(o.p)
		}
		o.p.Settle()
		o.published = 0
		o.p.Perform(&o.ports, o, &o.w.logger)
		o.pausing = false
		if o.dead || o.frozen {
			break
		}
	}
	o.working = false
	o.settle()
}

func (o *owner) settle() {
	if o.dead {
		return
	}
	if err := o.p.Err(); err != nil {
		o.ended(err)
		return
	}
	if o.frozen {
		return
	}
	if o.draining && o.p.Drained() {
		o.w.log(o, "owner", "is drained")
		o.die()
		return
	}
	if o.p.Running() {
		o.feed()
	}
	if at, ok := o.p.Wake(); ok {
		at = max(at-o.offset, o.w.now+1)
		if o.wakeAt <= o.w.now || at < o.wakeAt {
			o.wakeAt = at
			o.w.after(at-o.w.now, func() {
				if o.wakeAt == at {
					o.wakeAt = 0
				}
				o.step()
			})
		}
	}
}

// ended is called when the partition has stopped by itself.
func (o *owner) ended(err error) {
	o.w.log(o, "owner", "ends: %v", err)
	if !errors.Is(err, actor.ErrFenced) {
		o.w.fail("%s: %v", o.name, err)
	}
	o.die()
}

func (o *owner) die() {
	o.dead = true
	o.cancel()
	o.w.revive(o.part)
}

// strike lets a planned fault happen to the owner.
func (o *owner) strike(it *Item) {
	w := o.w
	if o.dead || w.healed {
		return
	}
	w.hit(it.Fault)
	switch it.Fault { //nolint:exhaustive // the planned ones
	case Crash, CrashAtStep:
		w.log(o, "fault", "crashes %s", it.Step)
		if o.published > 0 {
			w.hit(TornPipeline)
		}
		o.die()
	case Freeze:
		w.log(o, "fault", "freezes for %d ms %s", it.For, it.Step)
		o.frozen = true
		w.after(it.For, o.thaw)
		w.revive(o.part)
	case Supersede:
		next := w.spawn(o.part)
		if it.Then != nil {
			next.trap = &trap{item: it.Then, left: it.Then.Count}
		}
	case ClockJump:
		if it.Count > 0 { // ahead
			o.offset += it.For/2 + w.rnd.Int64N(it.For/2)
		} else {
			o.offset += w.rnd.Int64N(2*it.For) - it.For
		}
		w.log(o, "fault", "its clock jumps to %d ms off", o.offset)
		o.wakeAt = 0
		o.step()
	case Drain:
		w.log(o, "fault", "is asked to drain")
		o.Post(func(p *actor.Partition) { p.Drain() })
		o.draining = true
		w.after(10_000, func() {
			if !o.dead {
				o.die()
			}
		})
	case MarkEvicted:
		w.evict(o.part)
	case Redeliver:
		o.rewind()
	case Ask:
		o.ask(address(w.rnd.IntN(w.plan.Knobs.Addresses)))
	}
}

// ask is a query: its answer must be a state that the journal had (O3).
func (o *owner) ask(a actor.Address) {
	g := o.w.ghosts[a.Partition(o.w.plan.Knobs.Partitions)]
	if g.part != o.part {
		return
	}
	o.Post(func(p *actor.Partition) {
		if !p.Running() {
			return
		}
		answer := func(v actor.StateView, err error) {
			o.w.log(o, "query", "%s: %s of commit %d, %v", a, stateText(v.State), v.Commit, err)
			if err != nil {
				g.fail("a query for %s failed: %v", a, err)
			} else if len(v.State) > 0 || v.Commit > 0 {
				g.answeredWith(a, &v, p.Now())
			}
		}
		p.Query(a, answer)
		p.QueryEntries(a, []string{"t/1", "t/3"}, answer)
	})
}

// at is called at the steps that traps know.
func (o *owner) at(step string) {
	t := o.trap
	if t == nil || t.item.Step != step || o.dead {
		return
	}
	if t.left--; t.left <= 0 {
		o.trap = nil
		o.strike(t.item)
	}
}

func (o *owner) thaw() {
	if o.frozen && !o.dead {
		o.w.log(o, "fault", "thaws")
		o.frozen = false
		o.step()
	}
}

// Go is part of actor.Host: f runs a little later, and what it posts arrives
// later still.
func (o *owner) Go(kind actor.Work, f func(ctx context.Context)) {
	w := o.w
	if o.dead {
		return
	}
	if kind == actor.WorkCall {
		o.call(f)
		return
	}
	slow := int64(0)
	if w.chance(w.plan.Knobs.SlowReads, SlowRead) {
		w.hit(SlowRead)
		slow = w.rnd.Int64N(w.plan.Knobs.LongDelay)
	}
	w.after(w.delay()+slow, func() {
		var posts []actor.Event
		o.held = &posts
		f(o.ctx)
		o.held = nil
		slow := o.slowAnswer
		o.slowAnswer = 0
		w.after(w.delay()+slow, func() {
			for _, ev := range posts {
				o.Post(ev)
			}
		})
	})
}

func (o *owner) call(f func(ctx context.Context)) {
	w, k := o.w, &o.w.plan.Knobs
	o.at("call")
	fate, took, paused := callRuns, 1+w.rnd.Int64N(k.CallTime), o.bars()
	from := o.p.Now()
	gone := map[string]bool{}
	for name := range w.modules.removed {
		gone[name] = true
	}
	switch {
	case w.chance(k.Fail, CallFails):
		fate = callFails
		w.hit(CallFails)
	case w.chance(k.Unreach, CallUnreached):
		fate = callUnreached
		w.hit(CallUnreached)
	case w.chance(k.Hang, CallHangs):
		fate, took = callHangs, k.Budget.Milliseconds()
		w.hit(CallHangs)
	}
	w.after(took, func() {
		if o.dead {
			w.hit(CallOutlives)
		}
		w.functions.fate, w.functions.paused, w.functions.from, w.functions.gone = fate, paused, from, gone
		w.functions.clock = o.clock()
		f(o.ctx)
	})
}

// Acquire is part of actor.Host.
func (o *owner) Acquire(at actor.Place, grant func()) {
	o.waiting = append(o.waiting, func() {
		o.places[at.Endpoint]++
		grant()
	})
	o.grant()
}

// Release is part of actor.Host.
func (o *owner) Release(at actor.Place, _ actor.CallResult) {
	if o.places[at.Endpoint]--; o.places[at.Endpoint] < 0 {
		o.w.fail("%s: a place of %s is given back that was never granted", o.name, at.Endpoint)
	}
	o.calls--
	o.grant()
}

func (o *owner) grant() {
	for o.calls < o.w.plan.Knobs.Calls && len(o.waiting) > 0 && !o.dead {
		grant := o.waiting[0]
		o.waiting = o.waiting[1:]
		o.calls++
		o.w.after(o.w.rnd.Int64N(2), grant)
	}
}

// feed goes on reading the sources.
func (o *owner) feed() {
	if o.dead || o.frozen || !o.p.Running() || o.w.now < o.w.readsFrom {
		return
	}
	for _, source := range o.w.sources() {
		f := o.feeds[source]
		if f == nil {
			f = &feed{next: o.begin(source)}
			o.feeds[source] = f
		}
		if !f.busy {
			o.read(source, f)
		}
	}
}

// begin is where a feed may begin.
func (o *owner) begin(source actor.Source) uint64 {
	at := o.p.Anchors()[source]
	if at.Seq > 0 && (o.w.memory.Last(source) < at.Seq || o.hasNew(source, at)) {
		o.p.WentBack(source)
		return 1
	}
	return max(o.p.Positions()[source], 1)
}

// hasNew reports whether something was stored after at that is not behind it.
func (o *owner) hasNew(source actor.Source, at actor.Anchor) bool {
	for seq := at.Seq; seq > 0; seq-- {
		if d, ok := o.w.memory.At(source, seq); ok {
			return d.Time > at.Stored
		}
	}
	return false
}

func (o *owner) read(source actor.Source, f *feed) {
	if _, ok := o.w.memory.Delivery(source, o.part, f.next); !ok {
		if last := o.w.memory.Last(source); !source.Foreign() && last >= f.next {
			f.next = last + 1
			o.Post(func(p *actor.Partition) { p.Passed(source, last+1) })
		}
		return
	}
	f.busy = true
	o.w.after(o.w.rnd.Int64N(4), func() {
		f.busy = false
		switch d, ok := o.w.memory.Delivery(source, o.part, f.next); {
		case o.dead || o.frozen || !ok:
		case !o.p.Room(source):
			f.busy = true
			o.w.after(10, func() {
				f.busy = false
				o.feed()
			})
		default:
			f.next = d.Seq + 1
			o.w.log(o, "deliver", "%s %d %s", source, d.Seq, describe(&d))
			o.Post(func(p *actor.Partition) { p.Deliver(&d) })
			o.read(source, f)
		}
	})
}

func describe(d *actor.Delivery) string {
	var list []actor.Envelope
	for i := range d.Inputs {
		list = append(list, d.Inputs[i].Envelope)
	}
	if d.Internal {
		return fmt.Sprintf("%s, number %d of partition %d", inputNames(list), d.Number, d.From)
	}
	return inputNames(list)
}

// sources are those that owners read.
func (w *World) sources() []actor.Source {
	foreign, _ := w.foreign()
	return []actor.Source{actor.SourceMailbox, actor.SourceIngress, foreign}
}

// rewind makes the consumers start again further back.
func (o *owner) rewind() {
	for _, source := range o.w.sources() {
		f := o.feeds[source]
		if f == nil {
			continue
		}
		f.next -= min(f.next-1, 1+o.w.rnd.Uint64N(20))
		o.w.log(o, "fault", "%s is delivered again from %d", source, f.next)
	}
	o.feed()
}
