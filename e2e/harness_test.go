//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// buildDir holds the binaries that the tests build, for all of them.
var buildDir string

func TestMain(m *testing.M) {
	if port := os.Getenv(functionPortVariable); port != "" {
		runFunctionProcess(port)
	}
	dir, err := os.MkdirTemp("", "jetfn-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	buildDir = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// binaries are built at most once each.
var (
	plainBinary  = sync.OnceValues(func() (string, error) { return build("jetfn", "./cmd/jetfn") })
	faultBinary  = sync.OnceValues(func() (string, error) { return build("jetfn-faults", "-tags", "faultpoints", "./cmd/jetfn") })
	ownSDKBinary = sync.OnceValues(func() (string, error) { return build("jetfn-sdk", "./e2e/sdk/jetfn") })
	natsBinary   = sync.OnceValues(func() (string, error) { return build("nats-server", "github.com/nats-io/nats-server/v2") })
)

func build(name string, args ...string) (string, error) {
	out := filepath.Join(buildDir, name)
	cmd := exec.Command("go", append([]string{"build", "-o", out}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", name, err, text)
	}
	return out, nil
}

func built(t *testing.T, binary func() (string, error)) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// httpClient reuses no connection, since the servers of these tests die.
var httpClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// portsGiven counts the ports that were given to tests, from a random start on.
var portsGiven = func() *atomic.Uint32 {
	n := &atomic.Uint32{}
	n.Store(rand.Uint32N(1 << 20))
	return n
}()

// freePorts finds ports that nobody uses at the moment, and that nobody else
// gets, also while those who have them are restarted: other tests get the next
// ones, and those that the system gives to whoever asks for any are higher.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, 0, n)
	for range 1000 {
		port := 28_000 + int(portsGiven.Add(1)%4000)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no free ports")
	return nil
}

// patience is how long a test waits at least for what comes soon on a machine
// that has nothing else to do. What comes late is no fault of jetfn's then.
const patience = time.Minute

// eventually calls f until it returns nil, and fails the test after limit, or
// after patience if that is longer.
func eventually(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	limit = max(limit, patience)
	if err := poll(t.Context(), limit, f); err != nil {
		t.Fatalf("waited %v for %s: %v", limit, what, err)
	}
}

func poll(ctx context.Context, limit time.Duration, f func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
