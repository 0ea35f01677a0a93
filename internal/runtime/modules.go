package runtime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/module"
)

// modules keeps a worker's module: which revision of it is in place, and how
// the next one gets there. It is safe for many goroutines.
//
// Endpoints, policies and egresses are swapped in the catalog, while calls go
// on; feeds and ports that have changed are stopped and started within the
// generation that runs them.
type modules struct {
	worker *worker
	log    zerolog.Logger

	now      atomic.Pointer[placed]
	readings atomic.Pointer[[]reading] // how ingress records are read, by sequence

	mu         sync.Mutex // guards changes of now and readings, and what follows
	generation *generation
	problem    moduleProblem
}

// placed is a revision that is in place, or ready for it.
type placed struct {
	revision  broker.ModuleRevision // of number zero: the module never changes
	module    *module.Module
	endpoints []*served
	egresses  *egresses
}

// moduleProblem is why a revision is not in place.
type moduleProblem struct {
	revision uint64
	err      error
}

// newModules has the module of the configuration in place.
func newModules(w *worker) (*modules, error) {
	m := &modules{worker: w, log: w.log}
	first := &placed{module: w.cfg.Module}
	if err := m.equip(first); err != nil {
		return nil, err
	}
	m.swap(first)
	m.readings.Store(&[]reading{newReading(0, 0, first.module)})
	return m, nil
}

// module is the one in place.
func (m *modules) module() *module.Module { return m.now.Load().module }

// fixed reports whether the module never changes.
func (m *modules) fixed() bool { return len(m.worker.cfg.Sources) == 0 }

// parse reads the files of a revision.
func (m *modules) parse(files []broker.ModuleFile) (*module.Module, module.Diagnostics) {
	sources := make([]module.Source, len(files))
	for i, f := range files {
		sources[i] = module.Source{Name: f.Name, Data: []byte(f.Text)}
	}
	return module.Parse(sources, module.Options{Strict: m.worker.cfg.Strict})
}

// prepare makes a revision ready to be put in place. Its errors are for the
// module's author.
func (m *modules) prepare(r *broker.ModuleRevision) (*placed, error) {
	parsed, found := m.parse(r.Files)
	if bad := found.Errors(); len(bad) > 0 {
		return nil, bad
	}
	p := &placed{revision: *r, module: parsed}
	return p, m.equip(p)
}

// equip transforms a module into what this worker runs, and makes its
// endpoints, less those that are in place and stay.
func (m *modules) equip(p *placed) (err error) {
	cfg := &m.worker.cfg
	if err := errors.Join(unconnected(p.module, cfg.NATSForKafka), cfg.checkPlayground(p.module)); err != nil {
		return err
	}
	if p.module, err = m.asRun(p.module); err != nil {
		return err
	}
	var before []*served
	if now := m.now.Load(); now != nil {
		before = now.endpoints
	}
	p.egresses = newEgresses(p.module)
	p.endpoints, err = ofModule(cfg.Limits.held(p.module), before, &m.worker.services, cfg.Log)
	return err
}

// asRun is a module with what the flags make of it.
func (m *modules) asRun(parsed *module.Module) (*module.Module, error) {
	if !m.worker.cfg.NATSForKafka {
		return parsed, nil
	}
	return onNATS(parsed, m.worker.cfg.App)
}

// removedFunctions are those of a revision whose messages wait.
func (m *modules) removedFunctions(r *broker.ModuleRevision) []removedFunction {
	wait := max(m.worker.cfg.RemovedWait, 0)
	out := make([]removedFunction, 0, len(r.Removed))
	for _, f := range r.Removed {
		t, err := actor.ParseTypeName(f.Functions)
		if err != nil {
			continue
		}
		if t.Name == actor.AnyName {
			t.Name = ""
		}
		out = append(out, removedFunction{
			functions: module.Pattern{Namespace: t.Namespace, Name: t.Name}, until: time.UnixMilli(f.At).Add(wait).UnixMilli(),
		})
	}
	return out
}

// swap has the catalog and all that looks at the module see p.
func (m *modules) swap(p *placed) {
	m.worker.catalog.setModule(p.endpoints, p.egresses, m.removedFunctions(&p.revision))
	m.now.Store(p)
}

// follow puts a revision in place, unless it or a newer one is. What is wrong
// with it leaves the one before in place.
func (m *modules) follow(ctx context.Context, app *broker.App, r *broker.ModuleRevision) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Number <= m.now.Load().revision.Number {
		return nil
	}
	err := m.put(ctx, app, r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if m.problem.revision != r.Number || m.problem.err.Error() != err.Error() {
			m.log.Error().Err(err).Uint64("revision", r.Number).Msg("module revision not usable here, the one before goes on")
		}
		m.problem = moduleProblem{r.Number, err}
		return err
	}
	m.problem = moduleProblem{}
	m.log.Info().Uint64("revision", r.Number).Str("origin", r.Origin).Str("by", r.By).Msg("module revision in place")
	return nil
}

func (m *modules) put(ctx context.Context, app *broker.App, r *broker.ModuleRevision) error {
	p, err := m.prepare(r)
	if err != nil {
		return err
	}
	next := &opened{}
	if g := m.generation; g != nil {
		if next, err = g.open(ctx, p.module); err != nil {
			return err
		}
	}
	if err := app.AddEgress(ctx, prefixes(p.module)); err != nil {
		next.close()
		return err
	}
	m.swap(p)
	if g := m.generation; g != nil {
		g.change(ctx, p, next)
	}
	return nil
}
