package broker_test

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/certtest"
)

func embedded(tb testing.TB, cfg broker.ServerConfig) *broker.Server {
	tb.Helper()
	cfg.Port, cfg.App, cfg.StoreDir = -1, "app", tb.TempDir()
	srv, err := broker.StartServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(srv.Shutdown)
	return srv
}

func TestAServerWithUsersLetsInNobodyElse(t *testing.T) {
	t.Parallel()
	users, err := broker.ParseUsers("# users\nreporting: reporting-secret-1\nordering: ordering-secret-2\n")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	var mu sync.Mutex // connections go on logging after the server's end
	srv := embedded(t, broker.ServerConfig{Users: users, Log: zerolog.New(logged(func(line string) {
		mu.Lock()
		defer mu.Unlock()
		log.WriteString(line)
	}))})
	brokertest.Open(t, brokertest.Connect(t, srv), broker.Config{App: "app"})
	url := "nats://" + srv.Addr()
	began := time.Now()
	for range 5 {
		for _, opt := range []nats.Option{nats.Name("none"), nats.UserInfo("reporting", "ordering-secret-2"), nats.UserInfo("jetfn", "x"), nats.UserInfo("client", ""), nats.Token("reporting-secret-1")} {
			if nc, err := nats.Connect(url, opt); err == nil {
				nc.Close()
				t.Error("a client without the right password was let in")
			}
		}
	}
	took := time.Since(began)
	nc := outsider(t, srv, nats.UserInfo("reporting", "reporting-secret-1"))
	if _, err := nc.Request("app.ingress.ns.in.key", []byte("x"), patience); err != nil {
		t.Errorf("request of a user = %v, want an acknowledgement", err)
	}
	if _, err := nc.Request("app.journal.1", []byte("x"), 200*time.Millisecond); err == nil {
		t.Error("a user's request on an internal subject was answered, want it denied")
	}
	nc.Close()
	srv.Shutdown()
	mu.Lock()
	defer mu.Unlock()
	if n, most := strings.Count(log.String(), "authentication error"), 1+int(took/(10*time.Second)); n < 1 || n > most {
		t.Errorf("25 bad credentials in %v made %d lines, want %d at most:\n%s", took, n, most, log.String())
	}
	if strings.Contains(log.String(), "secret-") {
		t.Errorf("the log tells a password:\n%s", log.String())
	}
}

func TestUsersThatMakeNoSenseAreRefusedWithoutBeingQuoted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "there are no users",
		"secretsecretsecret":                 "line 1: must be of the form name: password",
		"\n: secretsecretsecret":             "line 2: must be",
		"a b: secretsecretsecret":            "must be of the form",
		"a: secret":                          "6 characters, 16 are the least",
		"jetfn: secretsecretsecret":          "the name is taken",
		"a: secretsecretsecr\na: secretsecr": "line 2: the name is taken",
		"a: $2a$04$secretsecretsecret":       "bcrypt hash and is none",
	} {
		_, err := broker.ParseUsers(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseUsers(%q) = %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseUsers(%q) = %v, which quotes it", text, err)
		}
	}
}

func TestAServerSpeaksTLSToOutsiders(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	pair, err := tls.LoadX509KeyPair(authority.Issue("server"))
	if err != nil {
		t.Fatal(err)
	}
	srv := embedded(t, broker.ServerConfig{TLS: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool(),
	}})
	brokertest.Open(t, brokertest.Connect(t, srv), broker.Config{App: "app"})
	if nc, err := nats.Connect("nats://"+srv.Addr(), nats.Secure(authority.Client(""))); err == nil {
		nc.Close()
		t.Error("a client without a certificate was let in")
	}
	nc := outsider(t, srv, nats.Secure(authority.Client("client")))
	if _, err := nc.Request("app.ingress.ns.in.key", []byte("x"), patience); err != nil {
		t.Errorf("request over TLS = %v, want an acknowledgement", err)
	}
}

// foreign is a server that isn't jetfn's.
func foreign(tb testing.TB, opts *server.Options) *server.Server {
	tb.Helper()
	opts.Host, opts.Port, opts.NoSigs, opts.NoLog = "127.0.0.1", -1, true, true
	if opts.JetStream {
		opts.StoreDir = tb.TempDir()
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		tb.Fatal(err)
	}
	srv.Start()
	tb.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(patience) {
		tb.Fatal("server not ready")
	}
	return srv
}

func TestConnectPresentsItsCertificate(t *testing.T) {
	t.Parallel()
	authority, other := certtest.New(t), certtest.New(t)
	pair, err := tls.LoadX509KeyPair(authority.Issue("server"))
	if err != nil {
		t.Fatal(err)
	}
	srv := foreign(t, &server.Options{JetStream: true, TLS: true, TLSVerify: true, TLSTimeout: 5, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authority.Pool(),
	}})
	cert, key := authority.Issue("client")
	missing := filepath.Join(t.TempDir(), "none")
	urls := []string{"nats://" + srv.Addr().String()}
	for name, c := range map[string]struct {
		cfg  broker.ConnectConfig
		want string // of the error
	}{
		"all of it":             {broker.ConnectConfig{TLSCA: authority.CA, TLSCert: cert, TLSKey: key}, ""},
		"no certificate":        {broker.ConnectConfig{TLSCA: authority.CA}, "tls"},
		"other authorities":     {broker.ConnectConfig{TLSCA: other.CA, TLSCert: cert, TLSKey: key}, "check --nats-tls-ca"},
		"the system's":          {broker.ConnectConfig{TLSCert: cert, TLSKey: key}, "check --nats-tls-ca"},
		"half of it":            {broker.ConnectConfig{TLSCA: authority.CA, TLSCert: cert}, "go together"},
		"a missing certificate": {broker.ConnectConfig{TLSCert: missing, TLSKey: key}, "none"},
		"missing authorities":   {broker.ConnectConfig{TLSCA: missing}, "none"},
		"missing credentials":   {broker.ConnectConfig{Creds: missing}, "none"},
		"a key that is no key":  {broker.ConnectConfig{TLSCert: cert, TLSKey: cert}, "private key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, log := untilLogged(t, cmp.Or(c.want, "never"))
			c.cfg.URLs, c.cfg.Name, c.cfg.Log = urls, "test", log
			nc, err := broker.Connect(ctx, c.cfg)
			if err == nil {
				nc.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Connect = %v, want %q", err, c.want)
			}
			if ctx.Err() != nil && name != "no certificate" {
				t.Errorf("Connect waited although waiting doesn't help: %v", err)
			}
		})
	}
}

func TestAnApplicationLivesInAJetStreamDomain(t *testing.T) {
	t.Parallel()
	hub := foreign(t, &server.Options{
		ServerName: "hub", JetStream: true, JetStreamDomain: "hub",
		LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: -1},
	})
	leaf := foreign(t, &server.Options{ServerName: "leaf", LeafNode: server.LeafNodeOpts{
		Remotes: []*server.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats-leaf", Host: hub.Addr().(*net.TCPAddr).IP.String() + ":" + leafPort(t, hub)}}}},
	}})
	for name, c := range map[string]struct{ at *server.Server }{"hub": {hub}, "leaf": {leaf}} {
		nc, err := broker.Connect(t.Context(), broker.ConnectConfig{URLs: []string{c.at.ClientURL()}, Name: "test", Domain: "hub"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		app := brokertest.Open(t, nc, broker.Config{App: name, Domain: "hub"})
		value, bad := actor.TextValue([]byte("hello"))
		if bad != nil {
			t.Fatal(bad)
		}
		target := actor.Address{Type: actor.TypeName{Namespace: "ns", Name: "type"}, ID: "id"}
		if _, err := app.Send(t.Context(), broker.SendRequest{Target: target, Value: value}); err != nil {
			t.Errorf("Send over the %s = %v", name, err)
		}
		if err := app.Lease().Acquire(t.Context(), "worker", false, func(string) {}); err != nil {
			t.Errorf("Acquire over the %s = %v", name, err)
		}
	}
	ctx, log := untilLogged(t, "domain elsewhere")
	if nc, err := broker.Connect(ctx, broker.ConnectConfig{URLs: []string{hub.ClientURL()}, Domain: "elsewhere", Log: log}); err == nil {
		nc.Close()
		t.Error("Connect to a domain that isn't there = nil error")
	} else if !strings.Contains(err.Error(), "domain elsewhere") {
		t.Errorf("Connect to a domain that isn't there = %v, want it to be named", err)
	}
}

// leafPort is where leaf nodes of a server connect.
func leafPort(tb testing.TB, srv *server.Server) string {
	tb.Helper()
	v, err := srv.Varz(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return strconv.Itoa(v.LeafNode.Port)
}
