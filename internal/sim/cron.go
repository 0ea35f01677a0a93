package sim

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/cron"
)

// What a Cron item makes of a schedule, by its Count: nothing, one of so many
// seconds, or one of these.
const (
	eachMinute = 6
	rarely     = 7
)

const (
	// afterglow is how long schedules go on after everything healed.
	afterglow = 20_000
	// punctual is how late a tick may be that is not missed, in milliseconds.
	punctual = 60_000
	minute   = 60_000
	// tooLate is how late a tick is that ought to have been sent.
	tooLate = 10_000
)

// cronSchedule adds schedules that are added, changed and removed to a plan.
// It draws from numbers of its own, so that worlds without them stay as they
// are.
func (p *Plan) cronSchedule() {
	r := rand.New(rand.NewPCG(p.Seed, 0x63726f6e))
	if r.IntN(3) > 0 {
		return
	}
	k, rare := &p.Knobs, r.IntN(3) == 0
	for i := range 1 + r.IntN(3) {
		usual := 1 + r.IntN(6)
		if rare {
			usual = rarely
		}
		for change := range 1 + r.IntN(6) {
			it := Item{Fault: Cron, At: r.Int64N(k.Active), Part: i, Count: pick(r, 0, 0, usual, usual, 1+r.IntN(6)), To: r.IntN(k.Addresses)}
			if change == 0 {
				it.At, it.Count = it.At/2, usual
			}
			it.Ops = []op{{ID: "tick" + strconv.Itoa(i), Do: pick(r, "count", "emit", "put"), N: r.IntN(10), Type: pick(r, typeMain, typeMain, typeTwin, typeUnknown)}}
			p.Items = append(p.Items, it)
		}
	}
	for range r.IntN(3) {
		if rare { // ahead, far enough for ticks to be more than punctual late
			p.Items = append(p.Items, Item{Fault: ClockJump, At: r.Int64N(k.Active), Part: r.IntN(k.Partitions), For: 3 * punctual, Count: 1})
		}
	}
}

// schedule is a cron ingress and when its ticks are, in the judge's words.
type schedule struct {
	cron.Ingress

	period  int64 // in milliseconds
	aligned bool  // ticks are multiples of the period; else they begin with it
}

// first is the first tick after now of a schedule that begins then.
func (s *schedule) first(now int64) int64 {
	if s.aligned {
		return now - now%s.period + s.period
	}
	return now - now%1000 + s.period
}

// reschedule changes a cron ingress, as a new module does: it is woken.
func (w *World) reschedule(it *Item) {
	w.hit(Cron)
	id := actor.TypeName{Namespace: "sim", Name: "tick" + strconv.Itoa(it.Part)}
	s := &schedule{Ingress: cron.Ingress{ID: id}}
	if it.Count == 0 {
		delete(w.schedules, id.String())
		w.log(nil, "operator", "removes the schedule %s", id)
		w.wake(&s.Ingress)
		return
	}
	seconds := it.Count
	if it.Count == rarely {
		seconds = 100
	}
	text := fmt.Sprintf("@every %ds", seconds)
	s.period = int64(seconds) * 1000
	if it.Count == eachMinute {
		text, s.period, s.aligned = "* * * * *", minute, true
	}
	var err error
	if s.Schedule, err = cron.Parse(text); err != nil {
		w.fail("%v", err)
	}
	s.Missed = []cron.Missed{cron.MissedLatest, cron.MissedSkip}[it.To%2]
	s.Targets = []actor.Address{typed(it.Ops[0].Type, it.To)}
	if it.Ops[0].N > 6 {
		s.Targets = append(s.Targets, address(it.To+1))
	}
	s.Value = it.Ops[0].value()
	w.schedules[id.String()] = s
	w.log(nil, "operator", "sets the schedule %s to %s", id, text)
	w.wake(&s.Ingress)
}

// wake sends what a worker does when its module is loaded.
func (w *World) wake(in *cron.Ingress) {
	a := in.Address()
	w.woken[a] = true
	part := a.Partition(w.plan.Knobs.Partitions)
	d := actor.Delivery{Source: actor.SourceMailbox, Time: w.now, Inputs: []actor.Input{{Envelope: actor.Envelope{Target: a, Value: cron.Wake()}}}}
	d.Seq = w.memory.Send(d.Source, part, false, d.Inputs...)
	w.ghosts[part].arrived(&d)
	w.kick(part)
}

// endSchedules removes all, so that the world can come to rest. Slow worlds get
// the time to show that all schedules go on.
func (w *World) endSchedules() {
	if late := w.late(); late != "" && w.now < w.healedAt+patience {
		w.after(tooLate/2, w.endSchedules)
		return
	} else if late != "" {
		w.fail("%s stands still", late)
	}
	clear(w.schedules)
	w.log(nil, "operator", "removes all schedules")
	for _, a := range sortedKeys(w.woken, compareAddresses) {
		id, _ := actor.ParseTypeName(a.ID)
		w.wake(&cron.Ingress{ID: id})
	}
}

// tick is what a call of the built-in cron function had to go by.
type tick struct {
	now int64
	in  *schedule // nil: there is none
}

// ticker is the built-in cron function, whose calls are noted. Its calls don't
// fail: it is in the owner's process.
type ticker struct{ f *functions }

// Invoke is part of actor.Function.
func (t ticker) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	w := t.f.w
	at := &tick{now: t.f.clock, in: w.schedules[b.Target.ID]}
	function := cron.Function{
		Now: func() time.Time { return time.UnixMilli(at.now) },
		Ingresses: func(string) (cron.Ingress, bool) {
			if at.in == nil {
				return cron.Ingress{}, false
			}
			return at.in.Ingress, true
		},
	}
	e, err := function.Invoke(ctx, b)
	if err != nil {
		w.fail("cron: %v", err)
		return nil, err
	}
	id := strconv.Itoa(len(t.f.calls) + 1)
	e.Mutations = append(e.Mutations, actor.Mutation{Name: "#" + id, Delete: true})
	t.f.calls[id] = &call{id: id, target: b.Target, inputs: b.Envelopes, state: b.State, entries: b.Entries, from: t.f.from, effects: e, tick: at}
	w.log(nil, "call", "%s: call %s at %d: %d sends, %d delayed", b.Target, id, at.now-startTime, len(e.Sends), len(e.Delayed))
	return e, nil
}

// clockwork is what an ingress' ticks are, by the durable commits.
type clockwork struct {
	text string // of the schedule
	next int64  // the first tick that isn't decided yet
	wait int64  // until that, as of the last call
	at   int64  // that call's end
}

// ticked judges a call of the built-in cron function: each tick is sent once,
// of those that are over the newest one only.
func (f *folding) ticked(v *actor.InvocationView, c *call) {
	g, at := f.g, c.tick
	if at == nil {
		return
	}
	f.clocks = append(f.clocks, v.Target)
	if at.in == nil {
		delete(g.clocks, v.Target)
		if len(c.effects.Sends) > 0 {
			g.fail("%s sends a tick without a schedule", v.Target)
		}
		return
	}
	k := g.clocks[v.Target]
	if k == nil || k.text != at.in.Schedule.String() {
		k = &clockwork{text: at.in.Schedule.String(), next: at.in.first(at.now)}
		g.clocks[v.Target] = k
	}
	var due []actor.Send
	if late := at.now - k.next; late >= 0 {
		late %= at.in.period
		if at.in.Missed == cron.MissedLatest || late <= punctual {
			for _, a := range at.in.Targets {
				due = append(due, actor.Send{Target: a, Value: at.in.Value})
			}
			g.w.log(nil, "tick", "%s of %d, at %d", v.Target, at.now-late-startTime, at.now-startTime)
		}
		k.next = at.now - late + at.in.period
	}
	same := func(a, b actor.Send) bool {
		return a.Target == b.Target && a.Value.Type == b.Value.Type && string(a.Value.Data) == string(b.Value.Data)
	}
	if !slices.EqualFunc(due, c.effects.Sends, same) {
		g.fail("%s sends %d ticks at %d, want %d; the next one is that of %d", v.Target, len(c.effects.Sends), at.now, len(due), k.next)
	}
	k.wait, k.at = k.next-at.now, v.Time
}

// checkClocks finds whether the ingresses that a commit has called wait for
// their next tick, once.
func (f *folding) checkClocks() {
	g := f.g
	for _, a := range f.clocks {
		var due []int64
		for _, t := range g.timers {
			if t.Envelope.Target == a {
				due = append(due, t.DueAt)
			}
		}
		var want []int64
		if k := g.clocks[a]; k != nil {
			want = []int64{k.at + k.wait}
		}
		if !slices.Equal(due, want) {
			g.fail("%s waits until %v, want %v", a, due, want)
		}
	}
}

func compareAddresses(a, b actor.Address) int { return cmp.Compare(a.String(), b.String()) }

// late is a schedule whose next tick has been due for long, though nothing
// kept it from being sent.
func (w *World) late() string {
	for _, id := range sortedKeys(w.schedules, cmp.Compare[string]) {
		a := w.schedules[id].Address()
		k := w.ghosts[a.Partition(w.plan.Knobs.Partitions)].clocks[a]
		if k == nil || k.at+k.wait < w.now-tooLate-w.slack() {
			return fmt.Sprintf("%s, %+v,", a, k)
		}
	}
	return ""
}

// checkSchedules finds schedules that outlive their removal.
func (w *World) checkSchedules() {
	for _, g := range w.ghosts {
		for _, a := range sortedKeys(g.clocks, compareAddresses) {
			g.fail("%s goes on without a schedule", a)
		}
	}
}
