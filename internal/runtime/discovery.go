package runtime

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/module"
)

const (
	// lookInterval is how often services are looked for without an
	// announcement, lookPause the least time between two looks.
	lookInterval = 10 * time.Second
	lookPause    = 200 * time.Millisecond
	// forgetAfter is how long messages wait for a function that no service has
	// any more.
	forgetAfter = 7 * 24 * time.Hour
	// rememberEvery is how exactly it is known when a function was seen last.
	rememberEvery = time.Hour
)

// discovery keeps the catalog's layer of functions that services of NATS
// announce. A function that was there once stays in it when its services go:
// then nobody answers its calls, and its messages wait.
type discovery struct {
	app     *broker.App
	catalog *catalog
	serve   func(broker.FoundFunction) (*served, error)
	log     zerolog.Logger

	functions map[actor.TypeName]*found
	told      map[actor.TypeName]string // what was warned of
}

// found is a function of the layer.
type found struct {
	broker.FoundFunction

	served     *served
	remembered time.Time // what SeenAt is durably
}

// discover fills the layer with what was there before and what is there now,
// and returns what keeps it up to date until its context ends.
func (w *worker) discover(ctx context.Context, b *backbone) (keep func(context.Context), err error) {
	if w.cfg.NoDiscovery {
		return func(context.Context) {}, nil
	}
	d := &discovery{
		app: b.app, catalog: w.catalog, log: w.log,
		functions: map[actor.TypeName]*found{}, told: map[actor.TypeName]string{},
		serve: func(f broker.FoundFunction) (*served, error) {
			functions := module.Pattern{Namespace: f.Type.Namespace, Name: f.Type.Name}
			if f.Type.Name == actor.AnyName {
				functions.Name = ""
			}
			m := w.cfg.Limits.held(&module.Module{Endpoints: []module.Endpoint{module.ServiceEndpoint(functions, f.Prefix)}})
			return serveEndpoint(&m.Endpoints[0], &w.services, w.cfg.Log)
		},
	}
	before, err := b.app.Remembered(ctx)
	if err != nil {
		return nil, err
	}
	for i := range before {
		if err := d.add(before[i], before[i].SeenAt); err != nil {
			return nil, err
		}
		d.functions[before[i].Type].served.away.Store(true)
	}
	d.apply()
	d.look(ctx)
	return d.keep, nil
}

// keep looks again and again, and whenever a service announces itself.
func (d *discovery) keep(ctx context.Context) {
	changed := make(chan struct{}, 1)
	stop, err := d.app.HearAnnouncements(changed)
	if err != nil {
		return // the connection is closed
	}
	defer stop()
	ticks := time.NewTicker(lookInterval)
	defer ticks.Stop()
	for d.look(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		case <-changed:
		}
		if !sleep(ctx, ctx, lookPause) {
			return
		}
	}
}

// look asks which services there are. It reports whether that makes sense.
func (d *discovery) look(ctx context.Context) bool {
	list, err := d.app.FindFunctions(ctx)
	switch {
	case errors.Is(err, broker.ErrNotAllowed):
		d.log.Warn().Err(err).Msg("services with functions are not looked for")
		return false
	case err != nil: // without a connection nothing goes on anyway
		d.log.Debug().Err(err).Msg("services with functions not found out")
		return ctx.Err() == nil
	}
	if d.take(ctx, list) {
		d.apply()
	}
	return true
}

// take compares what is there with what was. It reports whether the layer has
// to change.
func (d *discovery) take(ctx context.Context, list []broker.FoundFunction) (changed bool) {
	there := map[actor.TypeName]broker.FoundFunction{}
	for _, f := range list {
		d.conflict(f)
		if other, twice := there[f.Type]; twice && !d.prefers(f, other) {
			continue
		}
		there[f.Type] = f
	}
	for t, f := range there {
		old := d.functions[t]
		if old != nil && old.Prefix == f.Prefix {
			if old.served.away.Swap(false) {
				d.log.Info().Stringer("function", t).Msg("function of a service is back")
			}
			old.SeenAt = f.SeenAt
			continue
		}
		if err := d.add(f, time.Time{}); err != nil {
			d.log.Debug().Err(err).Stringer("function", t).Msg("announced function can't be, passed over")
			continue
		}
		d.log.Info().Stringer("function", t).Str("prefix", f.Prefix).Msg("function of a service found")
		changed = true
	}
	for t, f := range d.functions {
		if _, ok := there[t]; !ok {
			changed = d.missed(ctx, f) || changed
		}
		d.remember(ctx, f)
	}
	return changed
}

// prefers reports whether calls go to f and not to other, which has the same
// type: to the one that they went to before, or to the first by name.
func (d *discovery) prefers(f, other broker.FoundFunction) bool {
	if now := d.functions[f.Type]; now != nil && now.Prefix == other.Prefix {
		return false
	} else if now != nil && now.Prefix == f.Prefix {
		return true
	}
	return f.Prefix < other.Prefix
}

// missed is about a function that no service has now. It reports whether the
// function is forgotten.
func (d *discovery) missed(ctx context.Context, f *found) bool {
	if !f.served.away.Swap(true) {
		d.log.Info().Stringer("function", f.Type).Msg("function's services are gone, its messages wait")
	}
	if time.Since(f.SeenAt) < forgetAfter {
		return false
	}
	if err := d.app.Forget(ctx, f.Type); err != nil {
		d.log.Debug().Err(err).Msg("function not forgotten yet")
		return false
	}
	delete(d.functions, f.Type)
	d.log.Info().Stringer("function", f.Type).Msg("function forgotten, since no service has had it for a week")
	return true
}

// remember notes when a function was seen, now and then.
func (d *discovery) remember(ctx context.Context, f *found) {
	if d.functions[f.Type] == nil || f.SeenAt.Sub(f.remembered) < rememberEvery {
		return
	}
	if err := d.app.Remember(ctx, f.FoundFunction); err != nil {
		d.log.Debug().Err(err).Msg("function not remembered yet")
		return
	}
	f.remembered = f.SeenAt
}

func (d *discovery) add(f broker.FoundFunction, remembered time.Time) error {
	one, err := d.serve(f)
	if err != nil {
		return err
	}
	d.functions[f.Type] = &found{FoundFunction: f, served: one, remembered: remembered}
	return nil
}

// conflict warns, once, of a function that something else serves already.
func (d *discovery) conflict(f broker.FoundFunction) {
	by := ""
	now := d.functions[f.Type]
	if bound := d.catalog.bound(f.Type); bound != nil {
		by = bound.endpoint
		if by == "" {
			by = bound.kind
		}
	} else if now != nil && now.Prefix != f.Prefix && !now.served.away.Load() {
		by = now.served.endpoint
	}
	if by == "" || d.told[f.Type] == by {
		return
	}
	d.told[f.Type] = by
	d.log.Warn().Stringer("function", f.Type).Str("prefix", f.Prefix).Str("served_by", by).
		Msg("a service announces a function that is served already, not called")
}

// apply makes what was found the catalog's layer.
func (d *discovery) apply() {
	list := make([]*served, 0, len(d.functions))
	for _, f := range d.functions {
		list = append(list, f.served)
	}
	slices.SortFunc(list, func(a, b *served) int { return strings.Compare(a.functions.String(), b.functions.String()) })
	d.catalog.set(layerFound, list)
}
