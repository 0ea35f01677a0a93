package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	patience = 60 * time.Second
	retry    = 100 * time.Millisecond
)

// stack is a Restate server and the function that it calls.
type stack struct {
	ingress string // URL
	server  *exec.Cmd
	said    bytes.Buffer // by the server; read once it has ended
	dir     string
	stop    context.CancelFunc
	all     []*exec.Cmd
}

// start runs both with free ports and an empty directory, and registers the
// function.
func start(ctx context.Context, o options) (s *stack, err error) {
	ports, err := freePorts(ctx, 4)
	if err != nil {
		return nil, err
	}
	s = &stack{ingress: "http://" + ports[0]}
	if s.dir, err = os.MkdirTemp("", "jetfn-bench-restate-"); err != nil {
		return nil, err
	}
	ctx, s.stop = context.WithCancel(ctx)
	self, err := os.Executable()
	if err != nil {
		return nil, s.fail(err)
	}
	function := exec.CommandContext(ctx, self, "-serve", ports[2])
	s.server = exec.CommandContext(ctx, o.server, "--base-dir", s.dir, "--no-logo", "--node-name", "bench", "--listen-mode", "tcp")
	s.server.Env = append(os.Environ(),
		"RESTATE_INGRESS__BIND_ADDRESS="+ports[0], "RESTATE_ADMIN__BIND_ADDRESS="+ports[1], "RESTATE_BIND_ADDRESS="+ports[3],
		"RESTATE_DEFAULT_NUM_PARTITIONS="+strconv.Itoa(o.partitions), "RESTATE_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=1",
		"RESTATE_LOG_FILTER=error", "RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT="+strconv.Itoa(o.limit))
	function.Stderr, s.server.Stdout, s.server.Stderr = os.Stderr, &s.said, &s.said
	for _, c := range []*exec.Cmd{function, s.server} {
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
		c.WaitDelay = patience
		if err := c.Start(); err != nil {
			return nil, s.fail(err)
		}
		s.all = append(s.all, c)
	}
	if err := register(ctx, "http://"+ports[1], "http://"+ports[2]); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

func (s *stack) fail(err error) error {
	s.close()
	return fmt.Errorf("%w; the server said: %s", err, &s.said)
}

func (s *stack) close() {
	s.stop()
	for _, c := range s.all {
		_ = c.Wait() // told to end
	}
	_ = os.RemoveAll(s.dir) // a temporary directory
}

// register makes the function known, once the server is up.
func register(ctx context.Context, admin, function string) error {
	body := fmt.Appendf(nil, `{"uri":%q}`, function)
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, admin+"/deployments", bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			text, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode < 300 {
				return nil
			}
			err = fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(text)))
		}
		last = err
		wait(ctx, retry)
	}
	return fmt.Errorf("register the function: %w", last)
}

// freePorts are addresses that nobody listens at.
func freePorts(ctx context.Context, n int) ([]string, error) {
	out := make([]string, n)
	for i := range out {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() //nolint:errcheck // it is only held until all are found
		out[i] = ln.Addr().String()
	}
	return out, nil
}
