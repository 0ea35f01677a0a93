package runtime

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

const (
	functionName = "{function.name}"
	unlimited    = 1 << 30
)

// ofModule is the layer of a module's endpoints, or all that is wrong with
// them. Those that before has already stay.
func ofModule(m *module.Module, before []*served, services http.RoundTripper, log zerolog.Logger) ([]*served, error) {
	var out []*served
	var problems []error
	for i := range m.Endpoints {
		spec := &m.Endpoints[i]
		if j := slices.IndexFunc(before, func(f *served) bool { return sameEndpoint(f.source, spec) }); j >= 0 {
			out = append(out, before[j])
			continue
		}
		f, err := serveEndpoint(spec, services, log)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		out = append(out, f)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return out, nil
}

// sameEndpoint reports whether both say the same, wherever they stand.
func sameEndpoint(a, b *module.Endpoint) bool {
	if a == nil {
		return false
	}
	one, two := *a, *b
	one.Pos, two.Pos = module.Pos{}, module.Pos{}
	return reflect.DeepEqual(one, two)
}

func serveEndpoint(spec *module.Endpoint, services http.RoundTripper, log zerolog.Logger) (*served, error) {
	endpoint, err := newEndpoint(spec, services, log)
	if err != nil {
		return nil, at(spec.Pos, fmt.Errorf("endpoint of %s: %w", spec.Functions, err))
	}
	kind := "http"
	if spec.IsService() {
		kind = "nats"
	}
	return &served{
		source:    spec,
		weight:    spec.Weight,
		functions: spec.Functions, kind: kind, endpoint: endpoint.Name(),
		maxBatch: spec.MaxBatch, maxConcurrent: spec.MaxConcurrent, atOnce: callsAtOnce(spec), final: spec.Failure.Final,
		spec:     func(t actor.TypeName) actor.FunctionSpec { return endpointSpec(t, spec, endpoint) },
		declared: endpoint.DeclaredType, stats: endpoint.Stats, close: endpoint.Close,
	}, nil
}

// then is what the module says follows after a failure.
func then(t module.Then) actor.Then {
	switch t {
	case module.ThenPauseAddress:
		return actor.ThenPauseAddress
	case module.ThenPauseFunction:
		return actor.ThenPauseFunction
	case module.ThenDeadLetter:
	}
	return actor.ThenDeadLetter
}

func endpointSpec(t actor.TypeName, spec *module.Endpoint, endpoint *gateway.Endpoint) actor.FunctionSpec {
	maxBatch := spec.MaxBatch
	if maxBatch <= 0 {
		maxBatch = unlimited
	}
	failure := spec.Failure
	return actor.FunctionSpec{
		Function: endpoint.Function(t),
		Endpoint: strings.ReplaceAll(endpoint.Name(), functionName, t.Name),
		MaxBatch: maxBatch,
		Policy: actor.Policy{
			Attempts: failure.Attempts, Budget: failure.Budget, BackoffMin: failure.BackoffMin, BackoffMax: failure.BackoffMax,
			Then: then(failure.Then),
		},
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

// newEndpoint makes what calls an endpoint of the module.
func newEndpoint(spec *module.Endpoint, services http.RoundTripper, log zerolog.Logger) (*gateway.Endpoint, error) {
	cfg := gateway.EndpointConfig{
		URLTemplate:     spec.URLTemplate,
		Transport:       transport(spec.Transport),
		Services:        services,
		MaxPayloadBytes: int64(spec.Transport.MaxBytes),
		Log:             log,
	}
	if len(spec.Header) > 0 {
		cfg.Header = http.Header{}
		for _, h := range spec.Header {
			cfg.Header.Set(h.Name, h.Value)
		}
	}
	if spec.Protocol == module.ProtocolV2 {
		cfg.Protocol = gateway.Protocol2
	}
	for _, s := range spec.States {
		cfg.States = append(cfg.States, gateway.StateSpec{
			Name: s.Name, ExpireAfter: s.ExpireAfter, AfterWrite: s.ExpireMode == module.ExpireAfterWrite,
		})
	}
	return gateway.NewEndpoint(cfg)
}

func transport(t module.Transport) gateway.Transport {
	kind := gateway.TransportAsync
	if t.Kind == module.TransportOkHTTP {
		kind = gateway.TransportOkHTTP
	}
	out := gateway.DefaultTransport(kind)
	out.Call, out.Connect, out.Read, out.Write = t.Call, t.Connect, t.Read, t.Write
	out.PoolSize, out.PoolTTL = t.PoolSize, t.PoolTTL
	out.TLS = gateway.TLS{
		TrustCACerts: t.TLS.TrustCACerts, ClientCert: t.TLS.ClientCert,
		ClientKey: t.TLS.ClientKey, ClientKeyPassword: t.TLS.ClientKeyPassword,
	}
	if out.PoolTTL == 0 { // the module says: keep none
		out.PoolTTL = 1
	}
	return out
}
