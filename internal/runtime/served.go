package runtime

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// layer is where functions of the catalog come from.
type layer int

const (
	layerProcess layer = iota // functions of this process
	layerModule               // endpoints of the module
	layerFound                // services that were found
	layers
)

// served is a function type, or all types of a namespace, and what serves it.
// A layer of the catalog is a list of them; whoever sets a layer again keeps
// those that haven't changed, so that their connections and what is known of
// their states stay.
type served struct {
	functions module.Pattern
	kind      string // such as "embedded", "http", "nats"
	endpoint  string // as FunctionSpec.Endpoint, before {function.name} is replaced
	// maxBatch and maxConcurrent are what the user said; atOnce is how many
	// calls at once there may be to the endpoint, zero for no limit.
	maxBatch, maxConcurrent, atOnce int
	final                           []int            // HTTP statuses that aren't retried
	source                          *module.Endpoint // nil unless the module has it
	weight                          *int             // its share of addresses; nil: all

	// spec is the function of a type. If it says no MaxConcurrent, the catalog
	// puts the smallest atOnce of the same endpoint there.
	spec func(t actor.TypeName) actor.FunctionSpec
	// declared is the type that the function t declared for a state; nil: that
	// is never known.
	declared func(t actor.TypeName, state string) string
	stats    func() gateway.EndpointStats // nil: no connections are counted
	// close gives back what calls leave behind, such as idle connections; nil:
	// nothing. It may be called several times.
	close func()

	away atomic.Bool // no service has it at the moment

	mu     sync.Mutex
	calls  int  // in flight
	closed bool // no layer has it any more
}

// retire closes what served once its last call has ended.
func (f *served) retire() {
	f.mu.Lock()
	f.closed = true
	idle := f.calls == 0
	f.mu.Unlock()
	if idle && f.close != nil {
		f.close()
	}
}

func (f *served) begin() {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
}

func (f *served) end() {
	f.mu.Lock()
	f.calls--
	last := f.closed && f.calls == 0
	f.mu.Unlock()
	if last && f.close != nil {
		f.close()
	}
}

// following is a function that tells when its calls have ended.
type following struct {
	function actor.Function
	served   *served
}

// Invoke implements actor.Function.
func (f following) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	f.served.begin()
	defer f.served.end()
	return f.function.Invoke(ctx, b) //nolint:wrapcheck // it is the function's own
}

// ofProcess is the layer of functions that run in this process.
func ofProcess(functions map[actor.TypeName]actor.FunctionSpec) []*served {
	out := make([]*served, 0, len(functions))
	for name, spec := range functions {
		f := &served{
			functions: module.Pattern{Namespace: name.Namespace, Name: name.Name}, kind: "embedded",
			maxBatch: spec.MaxBatch, maxConcurrent: spec.MaxConcurrent,
			spec: func(actor.TypeName) actor.FunctionSpec { return spec },
		}
		if name.Name == actor.AnyName {
			f.functions.Name = ""
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *served) int { return strings.Compare(a.functions.String(), b.functions.String()) })
	return out
}
