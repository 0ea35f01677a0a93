package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/module"
)

// reading is what the ingresses feed by a revision of the module, which holds
// for the records from a sequence on. The inputs that are still open of a
// record keep their targets, whatever a later revision says.
type reading struct {
	broker.IngressReading

	ingresses map[actor.TypeName]ingressTargets
}

type ingressTargets struct {
	types     []actor.TypeName
	valueType string
	routings  []broker.Routing
	routes    []string // as the module has them, to compare
}

func newReading(from, revision uint64, m *module.Module) reading {
	r := reading{broker.IngressReading{From: from, Revision: revision}, map[actor.TypeName]ingressTargets{}}
	for i := range m.Ingresses {
		in := &m.Ingresses[i]
		if in.Stream != "" {
			continue
		}
		t := ingressTargets{types: in.Targets, valueType: in.ValueType}
		for _, router := range in.Routers {
			t.routings = append(t.routings, broker.Routing{ValueType: router.ValueType, Address: router.Address})
			t.routes = append(t.routes, router.ValueType+" "+router.Route.String())
		}
		r.ingresses[in.ID] = t
	}
	return r
}

// same reports whether records mean the same by both.
func (r *reading) same(other *reading) bool {
	if len(r.ingresses) != len(other.ingresses) {
		return false
	}
	for id, a := range r.ingresses {
		b, ok := other.ingresses[id]
		if !ok || a.valueType != b.valueType || !slices.Equal(a.types, b.types) || !slices.Equal(a.routes, b.routes) {
			return false
		}
	}
	return true
}

// reading is the one for a record.
func (m *modules) reading(seq uint64) *reading {
	list := *m.readings.Load()
	for i := len(list) - 1; i > 0; i-- {
		if list[i].From <= seq {
			return &list[i]
		}
	}
	return &list[0]
}

// targets is broker.Targets.
func (m *modules) targets(ingress actor.TypeName, seq uint64) (types []actor.TypeName, valueType string, ok bool) {
	t, ok := m.reading(seq).ingresses[ingress]
	return t.types, t.valueType, ok
}

// routings is broker.Routings.
func (m *modules) routings(ingress actor.TypeName, seq uint64) []broker.Routing {
	return m.reading(seq).ingresses[ingress].routings
}

// read has the records of the ingress stream that come from now on read by p,
// and those before as they were. The feed must not run, and the partitions
// must be the generation's.
func (m *modules) read(ctx context.Context, g *generation, p *placed) error {
	if m.fixed() {
		return nil
	}
	newest := newReading(0, p.revision.Number, p.module)
	known := map[uint64]*module.Module{p.revision.Number: p.module}
	var failed error
	change := func(now []broker.IngressReading, first, next uint64) []broker.IngressReading {
		failed, now = nil, within(now, next)
		for len(now) > 1 && now[1].From <= first { // the stream has none of them
			now = now[1:]
		}
		if len(now) == 0 {
			return []broker.IngressReading{{From: 1, Revision: p.revision.Number}}
		}
		last := now[len(now)-1]
		if before, err := m.moduleOf(ctx, g.app, last.Revision, known); err != nil {
			failed = err
		} else if old := newReading(0, 0, before); old.same(&newest) || last.From >= next {
			now[len(now)-1].Revision = p.revision.Number
			return now
		}
		return append(now, broker.IngressReading{From: next, Revision: p.revision.Number})
	}
	list, claimed, err := m.claim(ctx, g, change)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	g.claimed, g.readings = claimed, list
	out := make([]reading, len(list))
	for i, r := range list {
		by, err := m.moduleOf(ctx, g.app, r.Revision, known)
		if err != nil {
			return err
		}
		out[i] = newReading(r.From, r.Revision, by)
	}
	m.readings.Store(&out)
	return nil
}

// within is list for a stream whose next record is at next: where it has lost
// its end, the newest module that there was reads what comes.
func within(list []broker.IngressReading, next uint64) []broker.IngressReading {
	list = slices.Clone(list)
	for len(list) > 1 && list[len(list)-2].From >= next {
		list = slices.Delete(list, len(list)-2, len(list)-1)
	}
	if n := len(list); n > 0 {
		list[n-1].From = min(list[n-1].From, next)
	}
	return list
}

func (m *modules) claim(ctx context.Context, g *generation, change broker.ChangeReadings) ([]broker.IngressReading, uint64, error) {
	if g.claimed == 0 {
		return g.app.ClaimReadings(ctx, m.worker.name, change)
	}
	return g.app.ReplaceReadings(ctx, m.worker.name, g.claimed, g.readings, change)
}

// moduleOf is the module of an earlier revision, as this worker would run it.
func (m *modules) moduleOf(ctx context.Context, app *broker.App, revision uint64, known map[uint64]*module.Module) (*module.Module, error) {
	if found := known[revision]; found != nil {
		return found, nil
	}
	r, err := app.Module(ctx, revision)
	if err != nil {
		return nil, fmt.Errorf("module revision %d, by which ingress records are read that wait: %w", revision, err)
	}
	parsed, found := m.parse(r.Files)
	if bad := found.Errors(); len(bad) > 0 {
		return nil, fmt.Errorf("module revision %d, by which ingress records are read that wait: %w", revision, bad)
	}
	if parsed, err = m.asRun(parsed); err != nil {
		return nil, err
	}
	known[revision] = parsed
	return parsed, nil
}

// trim forgets old revisions, but not those by which records are read.
func (m *modules) trim(ctx context.Context, app *broker.App) {
	if m.fixed() {
		return
	}
	var needed []uint64
	for _, r := range *m.readings.Load() {
		needed = append(needed, r.Revision)
	}
	if err := app.TrimModules(ctx, keptRevisions, needed); err != nil && ctx.Err() == nil {
		m.log.Debug().Err(err).Msg("old module revisions not removed")
	}
}
