package module

import (
	"math"
	"path/filepath"
	"strings"
	"time"
)

const (
	transportAsync  = "io.statefun.transports.v1/async"
	transportOkHTTP = "io.statefun.transports.v1/okhttp"
)

func (l *loader) transport(spec *object) Transport {
	o, ok := spec.child("transport")
	if !ok {
		return asyncDefaults()
	}
	defer o.done()
	switch kind := o.text("type"); kind {
	case "", transportAsync:
		return l.async(o)
	case transportOkHTTP:
		return l.okhttp(o)
	default:
		hint := "use " + transportAsync + " or " + transportOkHTTP
		l.errorf(o.value("type"), "spec.transport.type", hint, "unknown transport %q", kind)
		o.known = append(o.known, o.order...)
		return asyncDefaults()
	}
}

func asyncDefaults() Transport {
	return Transport{
		Kind: TransportAsync, Call: 2 * time.Minute, Connect: 20 * time.Second,
		PoolSize: 1024, PoolTTL: 15 * time.Second, MaxBytes: 32 << 20,
	}
}

func (l *loader) async(o *object) Transport {
	t := asyncDefaults()
	t.Call = l.positive(o, "call", t.Call)
	t.Connect = l.positive(o, "connect", t.Connect)
	t.PoolTTL = o.duration("pool_ttl", t.PoolTTL)
	t.PoolSize = o.integer("pool_size", t.PoolSize, 1, math.MaxInt32)
	t.MaxBytes = o.integer("payload_max_bytes", t.MaxBytes, 1, math.MaxInt32)
	if limits, ok := o.child("timeouts"); ok { // of the time before the flat keys, which it overrides
		t.Call = l.positive(limits, "call", time.Minute)
		t.Connect = l.positive(limits, "connect", 10*time.Second)
		limits.done()
	}
	t.TLS = l.tls(o)
	return t
}

// tls reads the keys of certificates.
func (l *loader) tls(o *object) TLS {
	var t TLS
	for key, path := range map[string]*string{
		"trust_cacerts": &t.TrustCACerts, "client_cert": &t.ClientCert,
		"client_key": &t.ClientKey, "client_key_password": &t.ClientKeyPassword,
	} {
		*path = l.resource(o.text(key))
	}
	if cert, key := o.value("client_cert"), o.value("client_key"); (cert == nil) != (key == nil) {
		l.errorf(o.node, o.path, "", "client_cert and client_key go together, one of them is missing")
	}
	return t
}

// resource is the path of the file that a module names: as a path, a file:
// URL, or with classpath:, which is where the module is.
func (l *loader) resource(name string) string {
	if name == "" {
		return ""
	}
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

func (l *loader) okhttp(o *object) Transport {
	t := Transport{
		Kind: TransportOkHTTP, Call: time.Minute, Connect: 10 * time.Second, Read: 10 * time.Second, Write: 10 * time.Second,
		PoolSize: 1024, PoolTTL: time.Minute, MaxBytes: 32 << 20,
	}
	limits, ok := o.child("timeouts")
	if !ok {
		return t
	}
	t.Call = l.positive(limits, "call", t.Call)
	for key, d := range map[string]*time.Duration{"connect": &t.Connect, "read": &t.Read, "write": &t.Write} {
		*d = l.positive(limits, key, min(*d, t.Call))
		if *d > t.Call {
			l.errorf(limits.value(key), join(limits.path, key), "", "must not be longer than call, which is %s", t.Call)
		}
	}
	limits.done()
	return t
}

// positive reads a duration that must not be zero.
func (l *loader) positive(o *object, key string, fallback time.Duration) time.Duration {
	d := o.duration(key, fallback)
	if v := o.value(key); d == 0 && v != nil && !l.broken[v] {
		l.errorf(v, join(o.path, key), "", "must be longer than zero")
		return fallback
	}
	return d
}
