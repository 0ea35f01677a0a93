package module

import (
	"math"
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
	for _, key := range []string{"trust_cacerts", "client_cert", "client_key", "client_key_password"} {
		if n := o.value(key); n != nil {
			l.errorf(n, join(o.path, key), "remove it; the system's trust store is used", "certificates of its own are not supported yet for an endpoint")
		}
	}
	return t
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
