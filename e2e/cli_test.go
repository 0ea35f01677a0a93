//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cli runs a command that talks to the app.
func (a *app) cli(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, command{path: a.binary, args: append(args, "--server", "http://"+a.http), dir: t.TempDir()})
}

func TestTheCommandLineSendsAndReadsState(t *testing.T) {
	t.Parallel()
	a, _, js := startPipeline(t)
	if r := a.cli(t, "send", "e2e/count/Ada", "hello"); r.code != 0 {
		t.Fatalf("send = %+v", r)
	}
	if r := a.cli(t, "send", "e2e/count/Ada", "--type", "example/Visit", "raw"); r.code != 0 {
		t.Fatalf("send --type = %+v", r)
	}
	fromStdin := exec.Command(a.binary, "send", "e2e/count/Ada", "-", "--server", "http://"+a.http)
	fromStdin.Stdin = strings.NewReader("piped")
	if out, err := fromStdin.CombinedOutput(); err != nil {
		t.Fatalf("send -: %v\n%s", err, out)
	}
	a.waitCount(t, "Ada", 3)
	if got := strings.Join(counts(t, js, 3)["Ada"], ","); got != "1 hello,2 raw,3 piped" {
		t.Errorf("the function got %s", got)
	}

	if r := a.cli(t, "state", "get", "e2e/count/Ada"); r.code != 0 || !strings.Contains(r.stdout, "seen") || !strings.Contains(r.stdout, "3") {
		t.Errorf("state get = %+v, want seen 3", r)
	}
	r := a.cli(t, "state", "get", "e2e/count/Ada", "-o", "json")
	var view stateView
	if err := json.Unmarshal([]byte(r.stdout), &view); err != nil || r.code != 0 || view.Values["seen"].Text != "3" {
		t.Errorf("state get -o json = %+v, %v", r, err)
	}
	r = a.cli(t, "state", "ls", "e2e/count", "-o", "json")
	var items []json.RawMessage
	if err := json.Unmarshal([]byte(r.stdout), &items); err != nil || r.code != 0 || len(items) != 1 || !strings.Contains(r.stdout, "e2e/count/Ada") {
		t.Errorf("state ls -o json = %+v, %v; want an array of one", r, err)
	}
	if r := a.cli(t, "state", "get", "e2e/count/nobody"); r.code != 3 || r.stderr == "" {
		t.Errorf("state get of an absent address = %+v, want exit code 3", r)
	}
	if r := a.cli(t, "send", "nobody/home/x", "y"); r.code != 3 || !strings.Contains(r.stderr, "nobody/home") {
		t.Errorf("send to an unknown function = %+v, want exit code 3", r)
	}
	if r := run(t, command{path: a.binary, args: []string{"version"}}); r.code != 0 || strings.TrimSpace(r.stdout) == "" {
		t.Errorf("version = %+v", r)
	}
}

func TestTheStartBlockSaysWhereThingsAre(t *testing.T) {
	t.Parallel()
	a, _, _ := startPipeline(t)
	out := a.output.String()
	for _, want := range []string{a.data, a.http, strings.TrimPrefix(a.nats, "nats://"), "e2e/*", "e2e/counts", "t.egress.e2e.counts"} {
		if !strings.Contains(out, want) {
			t.Errorf("the start block lacks %q", want)
		}
	}
	if r := a.do(t, http.MethodGet, "/healthz", "", nil); r.status != http.StatusOK {
		t.Errorf("healthz = %d %s", r.status, r.body)
	}
	// Not on a terminal: every log line is JSON.
	for line := range strings.Lines(out) {
		if strings.Contains(line, `"level"`) && !json.Valid([]byte(line)) {
			t.Errorf("log line %q is not JSON", line)
		}
	}
}

func TestTheFirstSignalDrainsAndTheSecondEndsAtOnce(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	called := make(chan struct{}, 10)
	slow := functions{"e2e/count": func(b batch) (effects, error) {
		called <- struct{}{}
		<-release
		return count(b)
	}}
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, slow)))
	a.send(t, "e2e/count", "x", "y")
	<-called
	a.signal(syscall.SIGTERM)
	select {
	case <-a.done:
		t.Fatal("it ended while a call was in flight")
	case <-time.After(time.Second):
	}
	start := time.Now()
	a.signal(syscall.SIGTERM)
	a.waitWithin(t, 8*time.Second) // sooner than the drain would end
	t.Logf("the second signal took %v", time.Since(start))

	// A drain that a call holds up ends after ten seconds.
	a.restart(t)
	<-called
	a.signal(syscall.SIGTERM)
	start = time.Now()
	a.wait(t, 15*time.Second)
	if took := time.Since(start); took < 5*time.Second {
		t.Errorf("a drain with a call in flight ended after %v, want 10 s", took)
	}
	close(release)
	a.restart(t)
	a.waitCount(t, "x", 1)
}
