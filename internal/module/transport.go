package module

import (
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

const (
	transportAsync  = "io.statefun.transports.v1/async"
	transportOkHTTP = "io.statefun.transports.v1/okhttp"
)

func asyncDefaults() Transport {
	return Transport{
		Kind: TransportAsync, Call: 2 * time.Minute, Connect: 20 * time.Second,
		PoolSize: 1024, PoolTTL: 15 * time.Second, MaxBytes: 32 << 20,
	}
}

// okHTTPDefaults are also those of endpoints.v1 and of StateFun 2.2.
func okHTTPDefaults() Transport {
	return Transport{
		Kind: TransportOkHTTP, Call: time.Minute, Connect: 10 * time.Second, Read: 10 * time.Second, Write: 10 * time.Second,
		PoolSize: 1024, PoolTTL: time.Minute, MaxBytes: 32 << 20,
	}
}

// transport is the key transport of endpoints.v2.
func transport(t *Transport) value {
	return variants{tag: "type", fallback: transportAsync, cases: []variant{asyncTransport(t), okHTTPTransport(t)}}
}

func asyncTransport(t *Transport) variant {
	d := asyncDefaults()
	var call, connect time.Duration // of timeouts
	return variant{
		word: transportAsync, doc: "StateFun's default since 3.2.",
		chosen: func() { *t = d },
		keys: []key{
			optional("call", positive(&t.Call, d.Call), "Time for a whole call: waiting for a connection, all rounds, and the answer."),
			optional("connect", positive(&t.Connect, d.Connect), "Time to make a connection, and for its TLS handshake."),
			optional("pool_ttl", duration(&t.PoolTTL, d.PoolTTL), "How long an idle connection is kept; 0: not at all."),
			optional("pool_size", integer(&t.PoolSize, d.PoolSize, 1), "How many idle connections are kept."),
			optional("payload_max_bytes", integer(&t.MaxBytes, d.MaxBytes, 1), "The largest request or answer."),
			optional("trust_cacerts", resource(&t.TLS.TrustCACerts), "File of the certificates (PEM) that the endpoint's is checked by; absent: the system's."),
			optional("client_cert", resource(&t.TLS.ClientCert), "File of the certificate (PEM) that is shown to the endpoint; needs `client_key`."),
			optional("client_key", resource(&t.TLS.ClientKey), "File of its private key (PEM, PKCS #8)."),
			optional("client_key_password", resource(&t.TLS.ClientKeyPassword), "File that holds the password of the private key."),
			optional("timeouts", mapping{keys: []key{
				optional("call", positive(&call, time.Minute), "Takes the place of `call` above."),
				optional("connect", positive(&connect, 10*time.Second), "Takes the place of `connect` above."),
			}}, "The keys of an older format. Where it is present it overrides the two above, with defaults of its own."),
		},
		finish: func(o *object) {
			if o.value("timeouts") != nil {
				t.Call, t.Connect = call, connect
			}
			cert, key := o.value("client_cert"), o.value("client_key")
			if (cert == nil) != (key == nil) {
				o.load.errorf(o.node, o.path, "", "client_cert and client_key go together, one of them is missing")
			}
			if o.value("client_key_password") != nil && key == nil {
				o.load.errorf(o.place("client_key_password"), o.at("client_key_password"), "", "there is no client_key that it could open")
			}
		},
	}
}

func okHTTPTransport(t *Transport) variant {
	return variant{
		word: transportOkHTTP, doc: "StateFun's default before 3.2: follows redirects, limits silence while reading and writing.",
		chosen: func() { *t = okHTTPDefaults() },
		keys:   []key{optional("timeouts", timeouts(t), "Time limits.")},
	}
}

// timeouts are the time limits of okhttp and of endpoints.v1.
func timeouts(t *Transport) value {
	d := okHTTPDefaults()
	return mapping{
		keys: []key{
			optional("call", positive(&t.Call, d.Call), "Time for a whole call."),
			optional("connect", positive(&t.Connect, d.Connect), "Time to make a connection; not longer than `call`."),
			optional("read", positive(&t.Read, d.Read), "How long the endpoint may be silent; not longer than `call`."),
			optional("write", positive(&t.Write, d.Write), "Time for one write; not longer than `call`."),
		},
		finish: func(o *object) { checkLimits(o, t, "call", "connect", "read", "write") },
	}
}

// checkLimits holds the three limits within a call to that of the whole call.
// Where one of them is a default, it gives way.
func checkLimits(o *object, t *Transport, call, connect, read, write string) {
	for _, limit := range []struct {
		name string
		into *time.Duration
	}{{connect, &t.Connect}, {read, &t.Read}, {write, &t.Write}} {
		if *limit.into <= t.Call {
			continue
		}
		if o.value(limit.name) != nil {
			o.load.errorf(o.value(limit.name), o.at(limit.name), "", "must not be longer than %s, which is %s", call, FormatDuration(t.Call))
		}
		*limit.into = t.Call
	}
}

// resource is a file: a path, a file: URL, or classpath:, which is where the
// module is. Relative paths begin there too.
func resource(into *string) value {
	return scalar[string]{
		into: into, form: Schema{Type: typeText, MinLength: 1},
		parse: func(l *loader, n *yaml.Node, path string) (string, bool) {
			name := l.text(n, path)
			if name == "" {
				return "", false
			}
			return l.resolve(name), true
		},
	}
}

func (l *loader) resolve(name string) string {
	if rest, ok := strings.CutPrefix(name, "file:"); ok {
		name = rest
		if strings.HasPrefix(name, "///") {
			name = name[2:]
		}
	} else if rest, ok := strings.CutPrefix(name, "classpath:"); ok {
		name = strings.TrimLeft(rest, "/")
	}
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(l.file), name)
}
