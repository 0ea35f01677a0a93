package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The kinds of transport that a module can name. They differ in defaults, and
// in what upstream's client of that name does.
const (
	TransportAsync  = "async"
	TransportOkHTTP = "okhttp"
)

// Transport sets how an endpoint is reached. Zero durations and sizes mean
// the defaults of Kind, which DefaultTransport returns.
type Transport struct {
	// Kind is TransportAsync, which is the default, or TransportOkHTTP.
	Kind string
	// Call limits one Invoke with all its rounds.
	Call time.Duration
	// Connect limits the making of a connection, and its TLS handshake.
	Connect time.Duration
	// Read limits the silence while an answer is awaited or read. The default
	// of kind async is no limit but Call.
	Read time.Duration
	// Write limits every single write to the connection, likewise.
	Write time.Duration
	// PoolSize is how many idle connections are kept per host. Whoever calls
	// sees to how many there are at all.
	PoolSize int
	// PoolTTL is how long an idle connection is kept; negative means for
	// ever.
	PoolTTL time.Duration
	// FollowRedirects makes redirects be followed. Its zero value is no
	// default: DefaultTransport sets it for kind okhttp.
	FollowRedirects bool
	// TLS is for https.
	TLS TLS
}

// DefaultTransport returns the settings that upstream uses for a kind.
func DefaultTransport(kind string) Transport {
	if kind == TransportOkHTTP {
		return Transport{
			Kind: TransportOkHTTP, Call: time.Minute,
			Connect: 10 * time.Second, Read: 10 * time.Second, Write: 10 * time.Second,
			PoolSize: 1024, PoolTTL: time.Minute, FollowRedirects: true,
		}
	}
	return Transport{
		Kind: TransportAsync, Call: 2 * time.Minute,
		Connect: 20 * time.Second, PoolSize: 1024, PoolTTL: 15 * time.Second,
	}
}

// withDefaults fills the zero fields in.
func (t Transport) withDefaults() (Transport, error) {
	if t.Kind != "" && t.Kind != TransportAsync && t.Kind != TransportOkHTTP {
		return t, fmt.Errorf("unknown kind of transport %q, want %q or %q", t.Kind, TransportAsync, TransportOkHTTP)
	}
	d := DefaultTransport(t.Kind)
	t.Kind = d.Kind
	for _, f := range []struct{ field, value *time.Duration }{
		{&t.Call, &d.Call}, {&t.Connect, &d.Connect}, {&t.Read, &d.Read}, {&t.Write, &d.Write}, {&t.PoolTTL, &d.PoolTTL},
	} {
		if *f.field == 0 {
			*f.field = *f.value
		}
	}
	if t.PoolSize == 0 {
		t.PoolSize = d.PoolSize
	}
	if t.Call < 0 || t.Connect < 0 || t.Read < 0 || t.Write < 0 || t.PoolSize < 0 {
		return t, fmt.Errorf("transport %s: a limit is negative", t.Kind)
	}
	return t, nil
}

// client returns the HTTP client of one endpoint, and its part for plain HTTP:
// one whose functions are at Unix sockets if atSockets is true.
func (t Transport) client(atSockets bool) (*http.Client, *direct, error) {
	certificates, err := t.TLS.config()
	if err != nil {
		return nil, nil, err
	}
	if atSockets {
		certificates.ServerName = socketHost
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS, where the server offers it
	dial := t.dialer(atSockets)
	transport := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        certificates,
		DisableCompression:     true, // it knows only gzip
		TLSHandshakeTimeout:    t.Connect,
		ResponseHeaderTimeout:  t.Read,
		MaxIdleConnsPerHost:    t.PoolSize,
		IdleConnTimeout:        max(t.PoolTTL, 0),
		MaxResponseHeaderBytes: maxAnswerHeader,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
		Protocols:              protocols,
	}
	plain := &direct{dial: dial, read: t.Read, maxIdle: t.PoolSize, ttl: max(t.PoolTTL, 0)}
	client := &http.Client{Transport: &byScheme{plain: plain, other: transport}}
	if !t.FollowRedirects {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return client, plain, nil
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

func (t Transport) dialer(atSockets bool) dialFunc {
	dialer := &net.Dialer{Timeout: t.Connect, KeepAlive: 30 * time.Second}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if atSockets {
			socket, err := socketOf(addr)
			if err != nil {
				return nil, err
			}
			network, addr = "unix", socket
		}
		conn, err := dialer.DialContext(ctx, network, addr)
		if err == nil && t.Write > 0 {
			conn = &writeLimitedConn{Conn: conn, limit: t.Write}
		}
		return conn, err
	}
}

// writeLimitedConn gives every write a deadline of its own.
type writeLimitedConn struct {
	net.Conn

	limit time.Duration
}

func (c *writeLimitedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, fmt.Errorf("limit write: %w", err)
	}
	return c.Conn.Write(b) //nolint:wrapcheck // a net.Conn's errors are its callers' to read
}
