package broker_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/groupsync"
)

// outsider connects as any client on the machine can.
func outsider(t *testing.T, srv *broker.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://"+srv.Addr(), append(opts, nats.Timeout(patience))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestOutsidersMayNotPublishOnInternalSubjects(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	inside := brokertest.Connect(t, srv)
	brokertest.Open(t, inside, broker.Config{App: "app"})
	denied := make(chan error, 10)
	nc := outsider(t, srv, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	for _, subject := range []string{"app.mbox.1.int.2", "app.mbox.1.ext.a.b.c", "app.journal.1", "app.mark.egress.1"} {
		if _, err := nc.Request(subject, []byte("x"), 200*time.Millisecond); err == nil {
			t.Errorf("request of an outsider on %s was answered, want it denied", subject)
		}
		select {
		case err := <-denied:
			if !strings.Contains(err.Error(), "Permissions Violation for Publish to \""+subject) {
				t.Errorf("error of publishing to %s = %v", subject, err)
			}
		case <-time.After(patience):
			t.Errorf("no permission error for %s", subject)
		}
		if _, err := inside.Request(subject, []byte("x"), patience); err != nil {
			t.Errorf("request from inside on %s = %v, want an acknowledgement", subject, err)
		}
	}
	for _, subject := range []string{"app.fn.ns.type.id", "app.ingress.ns.in.key", "app.egress.ns.out"} {
		if _, err := nc.Request(subject, []byte("x"), patience); err != nil {
			t.Errorf("request of an outsider on %s = %v, want an acknowledgement", subject, err)
		}
	}
}

func TestOutsidersMayNotPublishWhereARelayStoresRecords(t *testing.T) {
	t.Parallel()
	srv, err := broker.StartServer(broker.ServerConfig{App: "app", StoreDir: t.TempDir(), Port: -1, SyncGroups: true})
	if errors.Is(err, groupsync.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Shutdown)
	app := brokertest.Open(t, brokertest.Connect(t, srv), broker.Config{App: "app", Gate: true, Syncer: srv.Syncer()})
	brokertest.Gather(t, app)
	nc := outsider(t, srv)
	if _, err := nc.Request("app.inbox.0.ns.in.key", []byte("x"), 200*time.Millisecond); err == nil {
		t.Error("a request of an outsider was answered, want it denied")
	}
	if _, err := nc.Request("app.ingress.ns.in.key", []byte("x"), patience); err != nil {
		t.Errorf("request on the ingress = %v, want an acknowledgement", err)
	}
}

func TestServerSaysWhyItCanNotListen(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	taken, _ := strconv.Atoi(port)
	for name, c := range map[string]struct {
		cfg  broker.ServerConfig
		want string
	}{
		"port in use":      {broker.ServerConfig{Port: taken, App: "app", StoreDir: t.TempDir()}, l.Addr().String()},
		"port too high":    {broker.ServerConfig{Port: 65536, App: "app", StoreDir: t.TempDir()}, "65536"},
		"bad port":         {broker.ServerConfig{Port: -2, App: "app", StoreDir: t.TempDir()}, "-2"},
		"no such host":     {broker.ServerConfig{Host: "256.1.1.1", Port: -1, App: "app", StoreDir: t.TempDir()}, "256.1.1.1"},
		"bad name":         {broker.ServerConfig{Port: -1, App: "a.b", StoreDir: t.TempDir()}, `"a.b"`},
		"no name":          {broker.ServerConfig{Port: -1, StoreDir: t.TempDir()}, "name is empty"},
		"no directory":     {broker.ServerConfig{Port: -1, App: "app"}, "no directory"},
		"a file for a dir": {broker.ServerConfig{Port: -1, App: "app", StoreDir: "server_test.go"}, "server_test.go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, err := broker.StartServer(c.cfg)
			if err == nil {
				srv.Shutdown()
				t.Fatal("StartServer = nil error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("StartServer = %v, want it to name %s", err, c.want)
			}
		})
	}
}

func TestServerKeepsItsDataOverARestart(t *testing.T) {
	t.Parallel()
	cfg := broker.ServerConfig{StoreDir: t.TempDir(), Port: -1, App: "app", SyncAlways: true}
	var incarnations []string
	for range 2 {
		srv, err := broker.StartServer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := srv.Connect("test")
		if err != nil {
			t.Fatal(err)
		}
		app, err := broker.Open(t.Context(), nc, broker.Config{App: "app", SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		incarnations = append(incarnations, app.Incarnation())
		app.Close()
		nc.Close()
		srv.Shutdown()
	}
	if incarnations[0] == "" || incarnations[0] != incarnations[1] {
		t.Errorf("incarnations = %q, want the same twice", incarnations)
	}
}

func TestServerTakesMessagesOf8MiBLessHeaders(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	nc := brokertest.Connect(t, srv)
	if got := nc.MaxPayload(); got != 8<<20 {
		t.Errorf("max payload = %d, want %d", got, 8<<20)
	}
}

func TestAClientOfABusyMachineHasTimeToSayWhoItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := broker.StartServer(broker.ServerConfig{StoreDir: t.TempDir(), DontListen: true, App: "app"})
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Shutdown()
		conn, err := broker.Pipe(srv)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewReader(conn)
		if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "INFO ") {
			t.Fatalf("the server begins with %q, %v", line, err)
		}
		time.Sleep(8 * time.Second)
		if _, err := io.WriteString(conn, "CONNECT {\"verbose\":false}\r\nPING\r\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); err != nil || line != "PONG\r\n" {
			t.Errorf("after eight seconds the server answers %q, %v, want PONG", line, err)
		}
	})
}

func TestASecondProcessCanNotOwnAnEmbeddedServersApplication(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	nc := outsider(t, srv)
	if app, err := broker.Open(t.Context(), nc, broker.Config{App: "app"}); err == nil {
		app.Close()
		t.Error("Open over an outsider's connection = nil error")
	} else if !strings.Contains(err.Error(), "may not publish") || !strings.Contains(err.Error(), "app.journal.>") {
		t.Errorf("Open = %v, want it to name the subjects", err)
	}
	brokertest.Open(t, nc, broker.Config{App: "another"})
}
