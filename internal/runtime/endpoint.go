package runtime

import (
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
)

// newEndpoint makes what calls an endpoint of the module.
func newEndpoint(spec *module.Endpoint, log zerolog.Logger) (*gateway.Endpoint, error) {
	cfg := gateway.EndpointConfig{
		URLTemplate:     spec.URLTemplate,
		Transport:       transport(spec.Transport),
		MaxPayloadBytes: int64(spec.Transport.MaxBytes),
		Log:             log,
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
