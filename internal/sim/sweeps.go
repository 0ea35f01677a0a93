package sim

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// sweeps adds sweeps of expired states to a plan. It draws from numbers of its
// own, so that worlds without them stay as they are.
func (p *Plan) sweeps() {
	r := rand.New(rand.NewPCG(p.Seed, 0x7377656570))
	if r.IntN(3) > 0 {
		return
	}
	k := &p.Knobs
	for i := range p.Items {
		for j := range p.Items[i].Ops {
			if o := &p.Items[i].Ops[j]; r.IntN(2) == 0 {
				o.Do, o.N = pick(r, "lease", "lease", "renew", "renew", "entry"), 4+r.IntN(6)
			}
		}
	}
	k.CallTime = pick[int64](r, k.CallTime, 100, 200)
	for range 20 + r.IntN(200) {
		p.Items = append(p.Items, Item{Fault: Sweep, At: r.Int64N(min(k.Active, k.Window+2000)), To: r.IntN(k.Addresses), Count: max(r.IntN(10)-4, 0)})
	}
}

// sweep has an owner look at a record, whoever else owns the partition.
func (w *World) sweep(it *Item) {
	k := actor.StateKey{Address: address(it.To)}
	switch {
	case it.Count == 5:
		k.Address = typed(typeTwin, it.To)
	case it.Count > 0:
		k.Entry = "t/" + strconv.Itoa(it.Count-1)
	}
	o := w.anyOwner(k.Address.Partition(w.plan.Knobs.Partitions))
	if o != nil {
		o.sweep(k)
	}
}

func (o *owner) sweep(k actor.StateKey) {
	o.Post(func(p *actor.Partition) {
		if !p.Running() {
			return
		}
		p.Sweep(k, func(s actor.Swept, err error) {
			o.w.log(o, "sweep", "%s: %+v, %v", k, s, err)
			if s.Removed > 0 {
				o.w.hit(Sweep)
			}
			if s.Busy && o.w.healed {
				o.w.after(1000, func() { o.sweep(k) })
			}
		})
	})
}

// swept takes a commit's removal of values that nobody asked for: each must
// have expired, and still be there.
func (f *folding) swept(v *actor.InvocationView) {
	touched := map[actor.StateKey]actor.State{}
	for i := range v.Mutations {
		m := &v.Mutations[i]
		k := actor.StateKey{Address: v.Target}
		if actor.IsEntry(m.Name) {
			k.Entry = m.Name
		}
		state, ok := touched[k]
		if !ok {
			state = f.g.state(k).state
		}
		old, there := state.Get(m.Name)
		if !m.Delete || !there || old.ExpiresAt == 0 || old.ExpiresAt > v.Time {
			f.g.fail("commit %d of %d sweeps %s of %s, which is %+v (K9)", f.rec.Commit, v.Time, m.Name, v.Target, old)
		}
		touched[k] = state.Without(m.Name)
	}
	for k, state := range touched {
		f.g.change(k, f.rec.Commit, state)
	}
}

// sweepAll has the owners look at all records there are.
func (w *World) sweepAll() {
	for _, g := range w.ghosts {
		o := w.holder(g.part)
		for _, k := range sortedKeys(g.states, func(a, b actor.StateKey) int { return strings.Compare(a.String(), b.String()) }) {
			o.sweep(k)
		}
	}
}

// checkSwept finds what should be gone.
func (w *World) checkSwept() {
	for _, g := range w.ghosts {
		now := w.holder(g.part).p.Now()
		for _, k := range sortedKeys(g.states, func(a, b actor.StateKey) int { return strings.Compare(a.String(), b.String()) }) {
			if l, err := w.memory.Ports(g.part).State.Load(w.ctx, k); err == nil && l.Record != nil {
				if i := slices.IndexFunc(l.Record.State, func(v actor.StateValue) bool { return v.ExpiresAt != 0 && v.ExpiresAt <= now }); i >= 0 {
					g.fail("the store still holds %s of %s, which has expired (K9)", l.Record.State[i].Name, k)
				}
			}
		}
	}
}
