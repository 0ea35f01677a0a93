//go:build e2e

package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// oldServer speaks just enough of the NATS protocol to be taken for a server
// of another version.
func oldServer(t *testing.T, version string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				_, _ = fmt.Fprintf(conn, "INFO {\"server_id\":\"X\",\"version\":%q,\"max_payload\":1048576,\"headers\":true,\"proto\":1}\r\n", version)
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					if strings.HasPrefix(lines.Text(), "PING") {
						_, _ = conn.Write([]byte("PONG\r\n"))
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return "nats://" + l.Addr().String()
}

// wantWaiting starts a worker that can't go on, and wants it to say why and
// to end when it is told to.
func wantWaiting(t *testing.T, url string, texts ...string) {
	t.Helper()
	a := newApp(t, goodEndpoint, withNATS(url))
	a.launch(t)
	eventually(t, 15*time.Second, fmt.Sprintf("it to say %q", texts), func() error {
		for _, text := range texts {
			if out := a.output.String(); !strings.Contains(out, text) {
				return fmt.Errorf("it printed %q", out)
			}
		}
		return nil
	})
	if a.ready() == nil {
		t.Error("it is ready")
	}
	a.terminate(t)
}

func TestANATSServerThatIsTooOldIsNamed(t *testing.T) {
	t.Parallel()
	wantWaiting(t, oldServer(t, "2.9.25"), "2.9.25", "too old")
}

func TestANATSServerWithoutJetStreamIsNamed(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	startNATSWith(t, port)
	wantWaiting(t, fmt.Sprintf("nats://127.0.0.1:%d", port), "JetStream", strconv.Itoa(port))
}

func TestAStreamOfSomebodyElsesThatOverlapsIsNamed(t *testing.T) {
	t.Parallel()
	_, url := startNATS(t, freePorts(t, 1)[0], t.TempDir())
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHERS", Subjects: []string{"t.egress.>"}}); err != nil {
		t.Fatal(err)
	}
	a := newApp(t, goodEndpoint, withNATS(url))
	r := run(t, command{path: a.binary, args: a.args()})
	if r.code == 0 {
		t.Error("it ended well")
	}
	wantRefusal(t, r, r.code, "OTHERS")
	if _, err := js.Stream(t.Context(), "OTHERS"); err != nil {
		t.Errorf("the other stream: %v", err)
	}
}

func TestTheNumberOfPartitionsIsFixedAtCreation(t *testing.T) {
	t.Parallel()
	a := startApp(t, goodEndpoint, withArgs("--partitions", "8"))
	if code := a.terminate(t); code != 0 {
		t.Fatalf("exit code after SIGTERM = %d", code)
	}
	a.extra = []string{"--partitions", "16"}
	r := run(t, command{path: a.binary, args: a.args()})
	if r.code == 0 {
		t.Error("it ended well")
	}
	wantRefusal(t, r, r.code, "8", "16", "partitions")
	a.extra = nil
	a.restart(t)
}
