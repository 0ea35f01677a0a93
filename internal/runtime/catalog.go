package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

const (
	functionName = "{function.name}"
	// maxCached bounds the memory for function types, which outsiders can
	// make up below a namespace binding.
	maxCached = 10_000
	unlimited = 1 << 30
)

// catalog finds the function of a type: one of this process first, then an
// exact binding, then the namespace's. It is safe for many goroutines.
type catalog struct {
	embedded map[actor.TypeName]actor.FunctionSpec
	own      map[actor.TypeName]actor.FunctionSpec // jetfn's, in its namespace
	bindings []*binding                            // as the module has them
	exact    map[actor.TypeName]*binding
	spaces   map[string]*binding
	egresses *egresses
	tally    *tally

	mu    sync.RWMutex
	cache map[actor.TypeName]actor.FunctionSpec
}

// binding is an endpoint of the module and what calls it.
type binding struct {
	spec     module.Endpoint
	endpoint *gateway.Endpoint
}

func newCatalog(m *module.Module, embedded map[actor.TypeName]actor.FunctionSpec, t *tally, log zerolog.Logger) (*catalog, error) {
	c := &catalog{
		embedded: map[actor.TypeName]actor.FunctionSpec{},
		own:      map[actor.TypeName]actor.FunctionSpec{},
		exact:    map[actor.TypeName]*binding{},
		spaces:   map[string]*binding{},
		egresses: newEgresses(m),
		tally:    t,
		cache:    map[actor.TypeName]actor.FunctionSpec{},
	}
	for name, spec := range embedded {
		c.embedded[name] = c.embed(name, spec)
	}
	var problems []error
	for _, spec := range m.Endpoints {
		if err := unsupported(spec); err != nil {
			problems = append(problems, err)
			continue
		}
		endpoint, err := newEndpoint(&spec, log)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: endpoint of %s: %w", spec.Pos, spec.Functions, err))
			continue
		}
		b := &binding{spec: spec, endpoint: endpoint}
		c.bindings = append(c.bindings, b)
		if t, ok := spec.Functions.Exact(); ok {
			c.exact[t] = b
		} else {
			c.spaces[spec.Functions.Namespace] = b
		}
	}
	if len(problems) > 0 {
		c.close()
		return nil, errors.Join(problems...)
	}
	return c, nil
}

// unsupported refuses what a module may say and nothing here does yet.
func unsupported(e module.Endpoint) error {
	switch {
	case e.Failure.Then != module.ThenDeadLetter:
		return fmt.Errorf("%s: endpoint of %s: pausing after a failure is not supported yet, use then: deadLetter", e.Pos, e.Functions)
	}
	return nil
}

// Lookup implements actor.Catalog.
func (c *catalog) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	if t.Namespace == actor.OwnNamespace {
		spec, ok := c.own[t]
		return spec, ok
	}
	if spec, ok := c.inProcess(t); ok {
		return spec, true
	}
	c.mu.RLock()
	spec, ok := c.cache[t]
	c.mu.RUnlock()
	if ok {
		return spec, true
	}
	b := c.binding(t)
	if b == nil {
		return actor.FunctionSpec{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if spec, ok := c.cache[t]; ok {
		return spec, true
	}
	if len(c.cache) >= maxCached {
		clear(c.cache)
	}
	spec = c.spec(t, b)
	c.cache[t] = spec
	return spec, true
}

// Known implements gateway.Functions.
func (c *catalog) Known(t actor.TypeName) bool {
	if t.Namespace == actor.OwnNamespace {
		_, ok := c.own[t]
		return ok
	}
	_, ok := c.inProcess(t)
	return ok || c.binding(t) != nil
}

// inProcess returns the function of this process that serves t. One of the
// whole namespace gives way to an exact binding of the module.
func (c *catalog) inProcess(t actor.TypeName) (actor.FunctionSpec, bool) {
	if spec, ok := c.embedded[t]; ok || c.exact[t] != nil {
		return spec, ok
	}
	spec, ok := c.embedded[actor.TypeName{Namespace: t.Namespace, Name: "*"}]
	return spec, ok
}

// List implements gateway.Functions.
func (c *catalog) List() []gateway.FunctionInfo {
	out := make([]gateway.FunctionInfo, 0, len(c.embedded)+len(c.bindings))
	for name, spec := range c.embedded {
		out = append(out, gateway.FunctionInfo{
			Type: name.String(), Kind: "embedded", MaxBatch: spec.MaxBatch, MaxConcurrent: spec.MaxConcurrent,
		})
	}
	slices.SortFunc(out, func(a, b gateway.FunctionInfo) int { return strings.Compare(a.Type, b.Type) })
	for _, b := range c.bindings {
		out = append(out, gateway.FunctionInfo{
			Type: b.spec.Functions.String(), Kind: "http", Endpoint: b.endpoint.Name(),
			MaxBatch: b.spec.MaxBatch, MaxConcurrent: b.spec.MaxConcurrent,
		})
	}
	return out
}

func (c *catalog) close() {
	for _, b := range c.bindings {
		b.endpoint.Close()
	}
}

// declaredType is the type that a function declared for a state; empty if that
// isn't known.
func (c *catalog) declaredType(t actor.TypeName, state string) string {
	if _, ok := c.embedded[t]; ok {
		return ""
	}
	if b := c.binding(t); b != nil {
		return b.endpoint.DeclaredType(t, state)
	}
	return ""
}

func (c *catalog) binding(t actor.TypeName) *binding {
	if b := c.exact[t]; b != nil {
		return b
	}
	return c.spaces[t.Namespace]
}

// bind adds a function of jetfn's own, before anything is looked up.
func (c *catalog) bind(t actor.TypeName, f actor.Function) {
	c.own[t] = actor.FunctionSpec{
		Function: &checked{function: f, egresses: c.egresses, own: true, counters: c.tally.of(t)},
		Endpoint: t.String(), Inputs: true, Policy: actor.Policy{}.WithDefaults(),
	}
}

// embed holds a function of this process to the module and counts its calls,
// as those of endpoints.
func (c *catalog) embed(t actor.TypeName, spec actor.FunctionSpec) actor.FunctionSpec {
	spec.Function = &checked{function: spec.Function, egresses: c.egresses, endpoint: spec.Endpoint, counters: c.tally.of(t)}
	spec.Policy = spec.Policy.WithDefaults()
	return spec
}

func (c *catalog) spec(t actor.TypeName, b *binding) actor.FunctionSpec {
	url := strings.ReplaceAll(b.endpoint.Name(), functionName, t.Name)
	maxBatch := b.spec.MaxBatch
	if maxBatch <= 0 {
		maxBatch = unlimited
	}
	failure := b.spec.Failure
	policy := actor.Policy{
		Attempts: failure.Attempts, Budget: failure.Budget, BackoffMin: failure.BackoffMin, BackoffMax: failure.BackoffMax,
	}
	return actor.FunctionSpec{
		Function: &checked{
			function: b.endpoint.Function(t), egresses: c.egresses, final: failure.Final,
			endpoint: url, counters: c.tally.of(t),
		},
		Endpoint:      url,
		MaxConcurrent: c.maxConcurrent(url),
		MaxBatch:      maxBatch,
		Policy:        policy.WithDefaults(),
	}
}

// callsAtOnce is how many calls at once an endpoint may have: where upstream
// pools all connections, there are no more than the pool takes.
func callsAtOnce(e *module.Endpoint) int {
	n := e.MaxConcurrent
	if size := e.Transport.PoolSize; e.Transport.Kind == module.TransportAsync && size > 0 && (n == 0 || size < n) {
		n = size
	}
	return n
}

// maxConcurrent is the smallest limit of the bindings that can call url; zero
// is none.
func (c *catalog) maxConcurrent(url string) int {
	limit := 0
	for _, b := range c.bindings {
		n := callsAtOnce(&b.spec)
		if n > 0 && (limit == 0 || n < limit) && produces(b.endpoint.Name(), url) {
			limit = n
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

// connections are the counters of the endpoints, by name.
func (c *catalog) connections() map[string]gateway.EndpointStats {
	out := make(map[string]gateway.EndpointStats, len(c.bindings))
	for _, b := range c.bindings {
		s := b.endpoint.Stats()
		sum := out[b.endpoint.Name()]
		sum.ConnectionsOpened += s.ConnectionsOpened
		sum.ConnectionsReused += s.ConnectionsReused
		out[b.endpoint.Name()] = sum
	}
	return out
}
