package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/jetfn/jetfn/actor"
)

// What a Reload item does to the functions, by its Count.
const (
	reloadMain     = iota // sim/main is gone for a while
	reloadTwin            // sim/twin likewise
	reloadMove            // all have another endpoint, and batches of one
	reloadVersions        // addresses are shared by two versions
	reloadKinds
)

// forEver is how long a function stays away that doesn't come back, even when
// everything heals.
const forEver = 1 << 40

// patience is when, after everything healed, all that waited has been called.
const patience = 300_000

// modules is what the functions are now, and have been.
type modules struct {
	moves   int              // changes of the endpoint
	shares  []int            // weights of the versions; nil: there is one
	count   int              // of changes of the weights
	removed map[string]int64 // by name, and until when messages wait
	waits   []removal        // all that have been
	places  map[string]string
}

type removal struct {
	name  string
	until int64
}

// reload adds changes of the module to a plan. It draws from numbers of its
// own, so that worlds without it stay as they are.
func (p *Plan) reload() {
	r := rand.New(rand.NewPCG(p.Seed, 0x72656c6f6164))
	if r.IntN(3) > 0 {
		return
	}
	for range 1 + r.IntN(5) {
		it := Item{Fault: Reload, At: r.Int64N(p.Knobs.Active), For: 1 + r.Int64N(3000), Count: r.IntN(reloadKinds)}
		it.Delay = pick(r, 1, it.For/2+1, it.For+5000, 2*patience) // how long messages wait
		if r.IntN(4) == 0 {
			it.For, it.Delay = forEver, it.Delay%patience
		}
		p.Items = append(p.Items, it)
	}
}

// reload changes the module.
func (w *World) reload(it *Item) {
	w.hit(Reload)
	m := &w.modules
	switch it.Count {
	case reloadMove:
		m.moves++
		w.log(nil, "operator", "moves the functions to endpoint %d", m.moves)
	case reloadVersions:
		m.count++
		m.shares = []int{w.rnd.IntN(4), 1 + w.rnd.IntN(3)}
		w.log(nil, "operator", "shares the functions between versions, %v", m.shares)
	default:
		name := []string{"main", "twin"}[it.Count]
		until := w.now + it.Delay
		m.removed[name] = until
		m.waits = append(m.waits, removal{name, until})
		w.log(nil, "operator", "removes sim/%s, messages wait until %d", name, until)
		if it.For != forEver {
			w.after(it.For, func() { w.bringBack(name, until) })
		}
	}
	w.spreadReload()
}

// bringBack undoes a removal, unless there was another one since.
func (w *World) bringBack(name string, until int64) {
	if w.modules.removed[name] != until {
		return
	}
	delete(w.modules.removed, name)
	w.log(nil, "operator", "brings sim/%s back", name)
	w.spreadReload()
}

func (w *World) spreadReload() {
	for _, o := range w.owners {
		if !o.dead {
			o.Post((*actor.Partition).Reload)
		}
	}
}

// spec is the function of a type as the module has it now.
func (f *functions) spec(name string) actor.FunctionSpec {
	k, m := &f.w.plan.Knobs, &f.w.modules
	if until, gone := m.removed[name]; gone {
		return actor.FunctionSpec{AwaitedUntil: until}
	}
	spec := actor.FunctionSpec{
		Function: f, Endpoint: "sim" + strconv.Itoa(m.moves), MaxBatch: k.MaxBatch,
		Policy: actor.Policy{Attempts: k.Attempts, Budget: k.Budget, BackoffMin: backoffMin, BackoffMax: backoffMax, Then: k.Then},
	}
	if m.moves%2 == 1 {
		spec.MaxBatch = 1
	}
	if m.shares == nil {
		return spec
	}
	versions := make([]actor.Version, len(m.shares))
	for i, weight := range m.shares {
		versions[i] = actor.Version{Weight: weight, FunctionSpec: spec}
		versions[i].Function = sharer{f, m.count, i}
		versions[i].Endpoint += fmt.Sprintf("v%d", i)
	}
	return actor.FunctionSpec{Versions: versions}
}

// sharer is a function that has only some addresses.
type sharer struct {
	*functions

	count, index int
}

// Invoke is part of actor.Function. As long as the weights stay, an address
// has one version.
func (v sharer) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	m := &v.w.modules
	place := fmt.Sprintf("%d %s", v.count, b.Target)
	if at, known := m.places[place]; known && at != strconv.Itoa(v.index) {
		v.w.fail("%s has version %d, and had version %s with the same weights", b.Target, v.index, at)
	}
	m.places[place] = strconv.Itoa(v.index)
	return v.functions.Invoke(ctx, b)
}

// checkPrompt judges a call by when it comes.
func (f *functions) checkPrompt(b *actor.Batch) {
	if w := f.w; w.healed && w.now > w.healedAt+patience {
		w.fail("%s is called %d ms after everything healed", b.Target, w.now-w.healedAt)
	}
}

// checkWait judges the dead letter of a message for which there was no
// function: it has to have waited.
func (g *ghost) checkWait(d *actor.DeadLetter, at int64) {
	t := d.Envelope.Target.Type
	if d.Reason != actor.ReasonUnknownFunction || t.Name != "main" && t.Name != "twin" {
		return
	}
	for _, r := range g.w.modules.waits {
		if r.name == t.Name && r.until <= at {
			return
		}
	}
	g.fail("a message for %s is given up at %d, before its time", d.Envelope.Target, at)
}
