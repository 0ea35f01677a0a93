package gateway_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// countedServer serves h over listener, or loopback TCP if that is nil, and
// counts the connections that it gets.
func countedServer(tb testing.TB, listener net.Listener, h http.HandlerFunc) (s *httptest.Server, opened *atomic.Int64) {
	tb.Helper()
	opened = &atomic.Int64{}
	s = httptest.NewUnstartedServer(h)
	if listener != nil {
		_ = s.Listener.Close() // that of loopback
		s.Listener = listener
	}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	tb.Cleanup(s.Close)
	return s, opened
}

// socket is a Unix socket to listen at, of a short path.
func socket(tb testing.TB) net.Listener {
	tb.Helper()
	dir, err := os.MkdirTemp("", "fn") //nolint:usetesting // a socket's path has 107 bytes at most
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "f n.sock"))
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func TestConnectionsAreReusedAtAThousandCallsInFlight(t *testing.T) {
	t.Parallel()
	const calls = 1000
	for name, begin := range map[string]func(t *testing.T, h http.HandlerFunc) (url string, transport gateway.Transport, opened *atomic.Int64){
		"http": func(t *testing.T, h http.HandlerFunc) (string, gateway.Transport, *atomic.Int64) {
			t.Helper()
			s, opened := countedServer(t, nil, h)
			s.Start()
			return s.URL, gateway.Transport{}, opened
		},
		"https": func(t *testing.T, h http.HandlerFunc) (string, gateway.Transport, *atomic.Int64) {
			t.Helper()
			s, opened := countedServer(t, nil, h)
			s.StartTLS()
			return s.URL, gateway.Transport{TLS: gateway.TLS{TrustCACerts: trust(t, s)}}, opened
		},
		"http+unix": func(t *testing.T, h http.HandlerFunc) (string, gateway.Transport, *atomic.Int64) {
			t.Helper()
			l := socket(t)
			s, opened := countedServer(t, l, h)
			s.Start()
			return "http+unix://" + l.Addr().String(), gateway.Transport{}, opened
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var arrived atomic.Int32
			var full atomic.Pointer[chan struct{}] // closed when a round has its last call; nil: the first call is made alone
			url, transport, opened := begin(t, func(w http.ResponseWriter, r *http.Request) {
				if all := full.Load(); all != nil { // a whole round waits for its last call
					if arrived.Add(1)%calls == 0 {
						close(*all)
					}
					select {
					case <-*all:
					case <-r.Context().Done(): // one call of the round has failed, and so will this one
						return
					}
				}
				noEffects(w, r)
			})
			transport.Connect = 2 * time.Minute // a thousand handshakes at once, on a machine that has more to do
			transport.Call = 2 * time.Minute
			transport.PoolTTL = 5 * time.Minute
			e := endpointAt(t, url, transport)
			if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil { // the first is made alone
				t.Fatal(err)
			}
			for range 3 {
				all := make(chan struct{})
				full.Store(&all)
				var round sync.WaitGroup
				for range calls {
					round.Go(func() {
						if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
							t.Error(err)
						}
					})
				}
				round.Wait()
			}
			if n := opened.Load(); n != calls {
				t.Errorf("the server saw %d connections for three rounds of %d calls at once, want %d", n, calls, calls)
			}
			if s := e.Stats(); s.ConnectionsOpened != calls || s.ConnectionsReused != 2*calls+1 {
				t.Errorf("Stats = %+v, want %d opened and %d reused", s, calls, 2*calls+1)
			}
		})
	}
}

func TestFunctionsAtUnixSocketsAreCalledAtTheirPath(t *testing.T) {
	t.Parallel()
	type call struct{ host, uri string }
	calls := make(chan call, 1)
	h := func(w http.ResponseWriter, r *http.Request) {
		calls <- call{r.Host, r.RequestURI}
		noEffects(w, r)
	}
	plain, secured := socket(t), socket(t)
	s, _ := countedServer(t, plain, h)
	s.Start()
	key := newKey(t)
	cert, certPEM := certificate(t, key)
	safe, _ := countedServer(t, secured, h)
	safe.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	safe.StartTLS()
	for template, want := range map[string]call{
		"http+unix://" + escapedPath(plain):                             {"localhost", "/"},
		"http+unix://" + escapedPath(plain) + "/fn/{function.name}?x=1": {"localhost", "/fn/greeter?x=1"},
		"https+unix://" + escapedPath(secured) + "/a.sock/b%2Fc":        {"localhost", "/a.sock/b%2Fc"},
	} {
		e := endpointAt(t, template, gateway.Transport{TLS: gateway.TLS{TrustCACerts: file(t, certPEM)}})
		if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
			t.Errorf("Invoke at %s = %v", template, err)
			continue
		}
		if got := <-calls; got != want {
			t.Errorf("the call at %s is %+v, want %+v", template, got, want)
		}
		if !strings.Contains(e.Name(), ".sock") || !strings.Contains(e.Name(), "+unix://") {
			t.Errorf("Name() = %q, want the template", e.Name())
		}
	}
}

// escapedPath is the path of a listener's socket as it is in a URL.
func escapedPath(l net.Listener) string { return strings.ReplaceAll(l.Addr().String(), " ", "%20") }

func TestAMissingSocketIsUnreachable(t *testing.T) {
	t.Parallel()
	e := endpointAt(t, "http+unix:///nowhere/f.sock/x", gateway.Transport{})
	_, err := e.Function(greeter).Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Unreachable, actor.ReasonProtocol, "/nowhere/f.sock")
}

func TestCompressedAnswersAreReadAndKeepTheirConnection(t *testing.T) {
	t.Parallel()
	body := golden(t, "from_cancel_only.bin")
	pack := func(open func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		w := open(&b)
		_, _ = w.Write(body)
		_ = w.Close()
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		coding string
		data   []byte
	}{
		"none":         {"", body},
		"identity":     {"identity", body},
		"gzip":         {"gzip", pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })},
		"x-gzip":       {"X-GZIP", pack(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })},
		"deflate":      {"deflate", pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })},
		"bare deflate": {"deflate", pack(func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, opened := countedServer(t, nil, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", c.coding)
				answering(c.data)(w, r)
			})
			s.Start()
			e := endpointAt(t, s.URL, gateway.Transport{})
			for range 3 {
				got, err := e.Function(greeter).Invoke(t.Context(), oneHello())
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Delayed) != 1 {
					t.Errorf("the answer has %d cancellations, want 1", len(got.Delayed))
				}
			}
			if n := opened.Load(); n != 1 {
				t.Errorf("three calls took %d connections, want 1", n)
			}
		})
	}
}

func TestBrokenCompressionIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ coding, data, says string }{
		"another coding": {"br", "x", `content encoding is "br"`},
		"no gzip":        {"gzip", "hello, world", "broke off after 0 bytes"},
		"half of gzip":   {"gzip", "\x1f\x8b", "broke off after 0 bytes"},
		"no deflate":     {"deflate", "\xff\xff\xff", "broke off after 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", c.coding)
				answering([]byte(c.data))(w, r)
			}).Invoke(t.Context(), oneHello())
			wantFailure(t, err, actor.Answered, actor.ReasonProtocol, c.says)
		})
	}
	got, err := greeterAt(t, func(w http.ResponseWriter, r *http.Request) { // of a server that says so whatever comes
		w.Header().Set("Content-Encoding", "gzip")
		answering(nil)(w, r)
	}).Invoke(t.Context(), oneHello())
	if err != nil || len(got.Sends) > 0 {
		t.Errorf("Invoke answered with gzip of nothing = %+v, %v, want no effects", got, err)
	}
}

func TestACompressedBombIsRefused(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, 10<<20))
	_ = z.Close()
	server := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		answering(b.Bytes())(w, r)
	})
	e, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: server.URL, MaxPayloadBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	_, err = e.Function(greeter).Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Final, actor.ReasonLimit, "larger than 1048576 bytes")
}

func TestACallBeyondThePayloadLimitIsNotMade(t *testing.T) {
	t.Parallel()
	server := functionServer(t, func(http.ResponseWriter, *http.Request) { t.Error("it was made") })
	e, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: server.URL, MaxPayloadBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	b := oneHello()
	b.Envelopes[0].Value = actor.Value{Type: "t/t", Data: make([]byte, 1000)}
	_, err = e.Function(greeter).Invoke(t.Context(), b)
	wantFailure(t, err, actor.Final, actor.ReasonLimit, "the limit is 1000")
}

func TestARedirectKeepsTheCallAndMayLeadToTLS(t *testing.T) {
	t.Parallel()
	function, _ := countedServer(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if got := readCall(t, r).GetTarget().GetId(); r.Method != http.MethodPost || got != "Bob" {
			t.Errorf("the redirected call is a %s for %q", r.Method, got)
		}
		answering(nil)(w, r)
	})
	function.StartTLS()
	redirect := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, function.URL, http.StatusPermanentRedirect)
	})
	transport := gateway.DefaultTransport(gateway.TransportOkHTTP)
	transport.TLS.TrustCACerts = trust(t, function)
	if _, err := endpointAt(t, redirect.URL, transport).Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
		t.Error(err)
	}
}
