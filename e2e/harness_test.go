//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
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
var httpClient = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// freePorts finds ports that nobody listens on at the moment.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // after all are found, so that they differ
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// eventually calls f until it returns nil, and fails the test after limit.
func eventually(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
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
