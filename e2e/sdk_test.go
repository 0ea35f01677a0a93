//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sdkProcess starts an example's function with the SDK that `make e2e-setup`
// has installed.
type sdkProcess func(t *testing.T, port int) *process

func pythonGreeter(t *testing.T, port int) *process {
	t.Helper()
	return startGreeter(t, port, command{
		path: installed(t, ".e2e/venv/bin/python"),
		args: []string{"greeter.py"},
		dir:  example(t, "greeter-python"),
	})
}

func jsGreeter(t *testing.T, port int) *process {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("%v: e2e needs node; .ci/run installs it", err)
	}
	return startGreeter(t, port, command{
		path: node,
		args: []string{"greeter.js"},
		env:  []string{"NODE_PATH=" + installed(t, ".e2e/node_modules")},
		dir:  example(t, "greeter-js"),
	})
}

func startGreeter(t *testing.T, port int, c command) *process {
	t.Helper()
	c.env = append(c.env, fmt.Sprintf("PORT=%d", port))
	p := startProcess(t, filepath.Base(c.dir), c)
	eventually(t, 20*time.Second, "the greeter to listen", func() error {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p
}

func installed(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(abs); err != nil {
		t.Fatalf("%v: run make e2e-setup first", err)
	}
	return abs
}

func example(t *testing.T, name string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// playground is an example's module on ports of our own.
type playground struct {
	module                    string
	function, ingress, egress int
}

func examplePlayground(t *testing.T, name string) playground {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(example(t, name), "module.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ports := freePorts(t, 3)
	p := playground{module: string(text), function: ports[0], ingress: ports[1], egress: ports[2]}
	for from, to := range map[string]int{":8000/": p.function, "port: 8090": p.ingress, "port: 8091": p.egress} {
		replaced := strings.NewReplacer("8000", strconv.Itoa(to), "8090", strconv.Itoa(to), "8091", strconv.Itoa(to)).Replace(from)
		if !strings.Contains(p.module, from) {
			t.Fatalf("module of %s has no %q", name, from)
		}
		p.module = strings.ReplaceAll(p.module, from, replaced)
	}
	return p
}

func (p playground) visit(t *testing.T, name string) {
	t.Helper()
	r, err := request(t, http.MethodPut, fmt.Sprintf("http://127.0.0.1:%d/example/person/%s", p.ingress, name),
		"application/vnd.example/Visit", fmt.Appendf(nil, `{"name": %q}`, name))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.header.Get("Status"); r.status != http.StatusOK || got != "200" {
		t.Fatalf("PUT visit of %s = %d, Status %q, %s; want 200, 200", name, r.status, got, r.body)
	}
}

// take waits for the next greeting.
func (p playground) take(t *testing.T) (greeting string) {
	t.Helper()
	eventually(t, 20*time.Second, "a greeting", func() error {
		r, err := request(t, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/greetings", p.egress), "", nil)
		if err != nil {
			return err
		}
		if got := r.header.Get("Status"); r.status != http.StatusOK || got != "200" {
			return fmt.Errorf("GET greetings = %d, Status %q, %s", r.status, got, r.body)
		}
		greeting = string(r.body)
		return nil
	})
	return greeting
}

func (p playground) wantEmpty(t *testing.T, topic, status string) {
	t.Helper()
	r, err := request(t, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/%s", p.egress, topic), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.header.Get("Status"); r.status != http.StatusOK || got != status {
		t.Errorf("GET %s = %d, Status %q, %q; want 200, Status %s", topic, r.status, got, r.body, status)
	}
}

func testGreeter(t *testing.T, name string, start sdkProcess) {
	t.Helper()
	p := examplePlayground(t, name)
	start(t, p.function)
	a := startApp(t, p.module)

	for n := 1; n <= 3; n++ {
		p.visit(t, "Ada")
		if got, want := p.take(t), greetingFor("Ada", n); got != want {
			t.Fatalf("greeting %d = %q, want %q", n, got, want)
		}
	}
	p.visit(t, "Grace")
	if got, want := p.take(t), greetingFor("Grace", 1); got != want {
		t.Errorf("Grace's first greeting = %q, want %q", got, want)
	}
	p.wantEmpty(t, "greetings", "404")
	p.wantEmpty(t, "no-such-topic", "405")

	a.kill()
	a.restart(t)
	p.visit(t, "Ada")
	for got, want := p.take(t), greetingFor("Ada", 4); got != want; got = p.take(t) {
		t.Errorf("greeting after kill -9 = %q, want %q; what was taken stays taken", got, want)
	}
	view, err := a.state(t, "example/person", "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if got := view.Values["visits"]; got.Type != "io.statefun.types/int" || got.Text != "4" {
		t.Errorf("state of Ada = %+v, want visits 4", view)
	}
}

func greetingFor(name string, n int) string {
	if n == 1 {
		return fmt.Sprintf("Hello %s, nice to meet you!", name)
	}
	return fmt.Sprintf("Hello %s, this is visit number %d.", name, n)
}

func TestPythonSDKGreetsThroughThePlaygroundAndCountsAcrossKill(t *testing.T) {
	t.Parallel()
	testGreeter(t, "greeter-python", pythonGreeter)
}

func TestJavaScriptSDKGreetsThroughThePlaygroundAndCountsAcrossKill(t *testing.T) {
	t.Parallel()
	testGreeter(t, "greeter-js", jsGreeter)
}
