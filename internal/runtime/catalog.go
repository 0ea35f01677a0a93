package runtime

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// maxCached bounds the memory for function types, which outsiders can make up
// below a namespace binding.
const maxCached = 10_000

// catalog finds the function of a type. It is safe for many goroutines.
//
// What there is comes in layers: functions of this process, then endpoints of
// the module, then services that were found. Each layer is replaced as a whole
// by set, at any time; who looks a function up sees all of the layers before or
// after it, and a call under way ends at the function that it began with. An
// exact type of the process goes first, then one of the module, then a
// namespace of the process, then one of the module; what was found only fills
// the gaps. jetfn's own functions, in the namespace jetfn, are no layer.
type catalog struct {
	own   map[actor.TypeName]actor.FunctionSpec // jetfn's, in its namespace
	tally *tally

	now atomic.Pointer[snapshot]

	mu      sync.Mutex // guards changes of now, and retired
	retired map[string]gateway.EndpointStats
}

// snapshot is the catalog between two changes.
type snapshot struct {
	layers   [layers][]*served
	exact    [layers]map[actor.TypeName]versions
	spaces   [layers]map[string]versions
	egresses *egresses
	removed  []removedFunction

	mu    sync.RWMutex
	cache map[actor.TypeName]actor.FunctionSpec
}

func newCatalog(t *tally) *catalog {
	c := &catalog{own: map[actor.TypeName]actor.FunctionSpec{}, tally: t, retired: map[string]gateway.EndpointStats{}}
	c.now.Store(newSnapshot(&snapshot{egresses: &egresses{}}))
	return c
}

// removedFunction is one that the module had, and whose messages wait.
type removedFunction struct {
	functions module.Pattern
	until     int64 // Unix milliseconds
}

// newSnapshot is s with all that follows from its layers.
func newSnapshot(s *snapshot) *snapshot {
	s.cache = map[actor.TypeName]actor.FunctionSpec{}
	for l, list := range s.layers {
		s.exact[l], s.spaces[l] = map[actor.TypeName]versions{}, map[string]versions{}
		for _, f := range list {
			if t, ok := f.functions.Exact(); ok {
				s.exact[l][t] = append(s.exact[l][t], f)
			} else {
				s.spaces[l][f.functions.Namespace] = append(s.spaces[l][f.functions.Namespace], f)
			}
		}
	}
	return s
}

// set replaces a layer. What it had before and has no more is closed once the
// calls that began there have ended.
//
// Whoever sets a layer calls Reload on the partitions afterwards.
func (c *catalog) set(l layer, functions []*served) {
	c.change(l, functions, func(*snapshot) {})
}

// setModule replaces the module's layer together with its egresses, to which
// the functions of all layers are held, and the functions that it has no more.
func (c *catalog) setModule(functions []*served, e *egresses, removed []removedFunction) {
	c.change(layerModule, functions, func(s *snapshot) { s.egresses, s.removed = e, removed })
}

func (c *catalog) change(l layer, functions []*served, more func(*snapshot)) {
	c.mu.Lock()
	before := c.now.Load()
	next := &snapshot{layers: before.layers, egresses: before.egresses, removed: before.removed}
	next.layers[l] = functions
	more(next)
	c.now.Store(newSnapshot(next))
	var gone []*served
	for _, f := range before.layers[l] {
		if !slices.Contains(functions, f) {
			gone = append(gone, f)
			if f.stats != nil {
				c.retired[f.endpoint] = sumStats(c.retired[f.endpoint], f.stats())
			}
		}
	}
	c.mu.Unlock()
	for _, f := range gone {
		f.retire()
	}
}

// close retires all layers.
func (c *catalog) close() {
	for l := range layers {
		c.set(l, nil)
	}
}

// bind adds a function of jetfn's own, before anything is looked up.
func (c *catalog) bind(t actor.TypeName, f actor.Function) {
	c.own[t] = actor.FunctionSpec{
		Function: &checked{function: f, egresses: &egresses{}, own: true, counters: c.tally.of(t)},
		Endpoint: t.String(), Inputs: true, Policy: actor.Policy{}.WithDefaults(),
	}
}

// Lookup implements actor.Catalog.
func (c *catalog) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	if t.Namespace == actor.OwnNamespace {
		spec, ok := c.own[t]
		return spec, ok
	}
	return c.now.Load().lookup(t, c.tally)
}

// Known implements gateway.Functions.
func (c *catalog) Known(t actor.TypeName) bool {
	if t.Namespace == actor.OwnNamespace {
		_, ok := c.own[t]
		return ok
	}
	return c.now.Load().find(t) != nil
}

// List implements gateway.Functions.
func (c *catalog) List() []gateway.FunctionInfo {
	var out []gateway.FunctionInfo
	for _, list := range c.now.Load().layers {
		for _, f := range list {
			out = append(out, gateway.FunctionInfo{
				Type: f.functions.String(), Kind: f.kind, Endpoint: f.endpoint, MaxBatch: f.maxBatch, MaxConcurrent: f.maxConcurrent, Weight: f.weight,
				Away: f.away.Load(),
			})
		}
	}
	return out
}

// bound returns what serves t, or a namespace, without the services that were
// found.
func (c *catalog) bound(t actor.TypeName) *served {
	s := c.now.Load()
	for _, l := range []layer{layerProcess, layerModule} {
		if f := s.exact[l][t]; len(f) > 0 {
			return f[0]
		}
		if f := s.spaces[l][t.Namespace]; len(f) > 0 {
			return f[0]
		}
	}
	return nil
}

// declaredType is the type that a function declared for a state; empty if that
// isn't known.
func (c *catalog) declaredType(t actor.TypeName, state string) string {
	for _, f := range c.now.Load().find(t) {
		if f.declared == nil {
			continue
		}
		if declared := f.declared(t, state); declared != "" {
			return declared
		}
	}
	return ""
}

// info is what serves t, the first of several versions; nil: nothing does.
func (c *catalog) info(t actor.TypeName) *gateway.FunctionInfo {
	found := c.now.Load().find(t)
	if len(found) == 0 {
		return nil
	}
	f := found[0]
	return &gateway.FunctionInfo{Type: f.functions.String(), Kind: f.kind, Endpoint: f.endpoint, MaxBatch: f.maxBatch, MaxConcurrent: f.maxConcurrent, Weight: f.weight}
}

// connections are the counters of the endpoints there have been, by name.
func (c *catalog) connections() map[string]gateway.EndpointStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := maps.Clone(c.retired)
	for _, list := range c.now.Load().layers {
		for _, f := range list {
			if f.stats != nil {
				out[f.endpoint] = sumStats(out[f.endpoint], f.stats())
			}
		}
	}
	return out
}

func sumStats(a, b gateway.EndpointStats) gateway.EndpointStats {
	a.ConnectionsOpened += b.ConnectionsOpened
	a.ConnectionsReused += b.ConnectionsReused
	return a
}

// versions are those of a layer that serve the same; the first is the only one
// unless all have weights.
type versions []*served

// find returns what serves t; nil if nothing does.
func (s *snapshot) find(t actor.TypeName) versions {
	for _, some := range [][]layer{{layerProcess, layerModule}, {layerFound}} {
		for _, l := range some {
			if f := s.exact[l][t]; f != nil {
				return f
			}
		}
		for _, l := range some {
			if f := s.spaces[l][t.Namespace]; f != nil {
				return f
			}
		}
	}
	return nil
}

func (s *snapshot) lookup(t actor.TypeName, counts *tally) (actor.FunctionSpec, bool) {
	s.mu.RLock()
	spec, ok := s.cache[t]
	s.mu.RUnlock()
	if ok {
		return spec, true
	}
	f := s.find(t)
	if f == nil {
		return s.awaited(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec, ok := s.cache[t]; ok {
		return spec, true
	}
	if len(s.cache) >= maxCached {
		clear(s.cache)
	}
	spec = s.spec(t, f[0], counts)
	if len(f) > 1 {
		spec = actor.FunctionSpec{}
		for _, v := range f {
			if v.weight != nil {
				spec.Versions = append(spec.Versions, actor.Version{Weight: *v.weight, FunctionSpec: s.spec(t, v, counts)})
			}
		}
	}
	s.cache[t] = spec
	return spec, true
}

// awaited is what the core gets to know of a function that was removed.
func (s *snapshot) awaited(t actor.TypeName) (actor.FunctionSpec, bool) {
	until := int64(0)
	for _, r := range s.removed {
		if r.functions.Matches(t) {
			until = max(until, r.until)
		}
	}
	return actor.FunctionSpec{AwaitedUntil: until}, until > 0
}

// spec holds a function to the module and counts its calls.
func (s *snapshot) spec(t actor.TypeName, f *served, counts *tally) actor.FunctionSpec {
	spec := f.spec(t)
	spec.Function = &checked{
		function: following{spec.Function, f}, egresses: s.egresses, final: f.final, endpoint: spec.Endpoint, counters: counts.of(t),
	}
	if spec.MaxConcurrent == 0 {
		spec.MaxConcurrent = s.maxConcurrent(spec.Endpoint)
	}
	spec.Policy = spec.Policy.WithDefaults()
	return spec
}

// maxConcurrent is the smallest limit of those that can call url; zero is
// none.
func (s *snapshot) maxConcurrent(url string) int {
	limit := 0
	for _, list := range s.layers {
		for _, f := range list {
			if n := f.atOnce; n > 0 && (limit == 0 || n < limit) && produces(f.endpoint, url) {
				limit = n
			}
		}
	}
	return limit
}

// produces reports whether the template can become url.
func produces(template, url string) bool {
	before, after, ok := strings.Cut(template, functionName)
	if !ok {
		return template == url
	}
	if len(url) < len(before)+len(after) || !strings.HasPrefix(url, before) {
		return false
	}
	after = strings.ReplaceAll(after, functionName, url[len(before):len(url)-len(after)])
	return strings.HasSuffix(url, after)
}
