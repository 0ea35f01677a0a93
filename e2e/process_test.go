//go:build e2e

package e2e_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

type command struct {
	path string
	args []string
	env  []string // added to the test's own
	dir  string
}

// process is a running program. It is killed when its test ends, and what it
// printed is shown if the test failed.
type process struct {
	name   string
	cmd    *exec.Cmd
	output *lockedBuffer
	done   chan struct{} // closed by the waiting goroutine
}

func startProcess(t *testing.T, name string, c command) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(c.path, c.args...), output: &lockedBuffer{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), c.env...)
	p.cmd.Dir = c.dir
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	// A group of its own, so that an interrupt of the test run isn't an
	// interrupt of the program, and so that all of it can be killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s (pid %d) printed:\n%s", p.name, p.cmd.Process.Pid, p.output.tail(8_000))
		}
	})
	return p
}

// kill ends the process as a power cut would end its machine, and waits.
func (p *process) kill() {
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait returns the exit code, -1 after a signal. It waits for patience at
// least.
func (p *process) wait(t *testing.T, limit time.Duration) int {
	t.Helper()
	limit = max(limit, patience)
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("%s did not end within %v", p.name, limit)
		return 0
	}
}

// waitWithin is wait for what has to come before limit even on a busy machine.
func (p *process) waitWithin(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("%s did not end within %v", p.name, limit)
	}
}

// result is what a command that ends by itself left behind.
type result struct {
	code           int
	stdout, stderr string
}

// run runs a command to its end, which must come within five minutes.
func run(t *testing.T, c command) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Dir = c.dir
	cmd.WaitDelay = 5 * time.Second
	timer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v", c.path, strings.Join(c.args, " "), err)
	}
	return result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// lockedBuffer is what a process has printed so far.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *lockedBuffer) tail(n int) string {
	s := b.String()
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}
