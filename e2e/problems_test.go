//go:build e2e

package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const problemModule = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: e2e/*
  urlPathTemplate: %s
  failure: {attempts: 1}
`

// serveProblems serves functions that answer, fail, and hang until the test
// ends.
func serveProblems(t *testing.T) (url string) {
	t.Helper()
	end := make(chan struct{})
	url = serve(t, functions{
		"e2e/tell": tell,
		"e2e/fail": func(batch) (effects, error) { return effects{}, errors.New("told to fail") },
		"e2e/hang": func(batch) (effects, error) {
			<-end
			return effects{}, nil
		},
	})
	t.Cleanup(func() { close(end) }) // before the server waits for what hangs
	return url
}

// problemDocument is what every error is answered with.
type problemDocument struct {
	Type, Title, Detail, TraceID, DlqID string
	Status                              int
	Accepted                            *bool
}

func (p *problemDocument) slug() string { return strings.TrimPrefix(p.Type, "urn:jetfn:problem:") }

// TestEveryProblemIsProvokedOnce goes through all that /openapi.json knows.
func TestEveryProblemIsProvokedOnce(t *testing.T) {
	t.Parallel()
	open := startApp(t, fmt.Sprintf(problemModule, serveProblems(t)))
	tokens := writeFile(t, "tokens", "read: "+lookToken+"\n")
	guarded := startApp(t, quietModule, withArgs("--http-tokens", tokens))
	narrow := startApp(t, quietModule, withArgs("--http-max-requests", "1"))
	waiting := newApp(t, quietModule, withNATS("nats://127.0.0.1:1"))
	waiting.launch(t)
	eventually(t, 60*time.Second, "the one without a server to listen", func() error {
		conn, err := net.Dial("tcp", waiting.http)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})

	const tellA, text = "/v1/call/e2e/tell/a", "Content-Type: text/plain"
	r := open.do(t, http.MethodPost, "/v1/call/e2e/fail/a", "text/plain", []byte("x"))
	var failed problemDocument
	if err := json.Unmarshal(r.body, &failed); err != nil || failed.DlqID == "" {
		t.Fatalf("a call that fails is answered %d %s, want its dead letter", r.status, r.body)
	}
	if r := open.do(t, http.MethodPost, tellA, "text/plain", []byte("x")); r.status != http.StatusOK {
		t.Fatalf("a call is answered %d %s", r.status, r.body)
	}
	if r := open.do(t, http.MethodPost, "/v1/functions/e2e/paused/pause", "", nil); r.status != http.StatusOK {
		t.Fatalf("pause = %d %s", r.status, r.body)
	}
	replay := "/v1/dlq/" + url.PathEscape(failed.DlqID) + "/replay"
	for slug, c := range map[string]struct {
		at       *app
		bytes    []string // requests, of which the last one meets the problem
		status   int
		accepted bool
	}{
		"bad-address":          {open, []string{call("POST", "/v1/call/e2e/tell", "x", text)}, 400, false},
		"bad-body":             {open, []string{call("POST", tellA, "no chunk\r\n", text, "Transfer-Encoding: chunked")}, 400, false},
		"bad-request":          {open, []string{call("POST", tellA+"?timeout=long", "x", text)}, 400, false},
		"unauthorized":         {guarded, []string{call("GET", "/v1/functions", "")}, 401, false},
		"forbidden":            {open, []string{call("POST", tellA, "x", text, "Origin: http://evil.example")}, 403, false},
		"unknown-function":     {open, []string{call("POST", "/v1/call/nobody/home/a", "x", text)}, 404, false},
		"not-found":            {open, []string{call("GET", "/v1/state/e2e/tell/nobody", "")}, 404, false},
		"method-not-allowed":   {open, []string{call("PUT", tellA, "x", text)}, 405, false},
		"already-replayed":     {open, []string{call("POST", replay, ""), call("POST", replay, "")}, 409, false},
		"revision-conflict":    {open, []string{call("DELETE", "/v1/state/e2e/tell/a/seen", "", "If-Match: 999999")}, 409, false},
		"too-large":            {open, []string{call("POST", tellA, strings.Repeat("x", 9<<20), text)}, 413, false},
		"bad-type":             {open, []string{call("POST", tellA, "{}", "Content-Type: application/json")}, 415, false},
		"idempotency-mismatch": {open, []string{call("POST", tellA, "x", text, "Idempotency-Key: k"), call("POST", tellA, "y", text, "Idempotency-Key: k")}, 422, false},
		"invalid-module":       {open, []string{call("PUT", "/v1/modules", "kind: no.such/kind\nspec: {}\n", "Content-Type: application/yaml")}, 422, false},
		"function-failed":      {open, []string{call("POST", "/v1/call/e2e/fail/b", "x", text)}, 502, true},
		"paused":               {open, []string{call("POST", "/v1/call/e2e/paused/a", "x", text)}, 503, false},
		"not-ready":            {waiting, []string{call("POST", "/v1/send/a/b/c", "x", text)}, 503, false},
		"timeout":              {open, []string{call("POST", "/v1/call/e2e/hang/a?timeout=200ms", "x", text)}, 504, true},
	} {
		t.Run(slug, func(t *testing.T) {
			var status int
			var body string
			for _, bytes := range c.bytes {
				status, body = exchange(t, c.at.http, bytes)
			}
			var p problemDocument
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.slug() != slug || status != c.status || p.Status != status {
				t.Fatalf("answered %d %s, want %d %s", status, body, c.status, slug)
			}
			if p.Accepted == nil || *p.Accepted != c.accepted || p.Title == "" || p.Detail == "" || len(p.TraceID) != 32 {
				t.Errorf("the problem %s lacks something, or does not say accepted %v", body, c.accepted)
			}
		})
	}
	t.Run("busy", func(t *testing.T) { busyOnce(t, narrow) })
	t.Run("internal", func(t *testing.T) { internalOnce(t, startApp(t, quietModule)) })
	var document struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct{ Type struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal(open.do(t, http.MethodGet, "/openapi.json", "", nil).body, &document); err != nil {
		t.Fatal(err)
	}
	provoked := []string{
		"bad-address", "bad-body", "bad-request", "unauthorized", "forbidden", "unknown-function", "not-found", "method-not-allowed", "already-replayed",
		"revision-conflict", "too-large", "bad-type", "idempotency-mismatch", "invalid-module", "function-failed", "paused", "not-ready", "timeout", "busy",
		"internal",
		"unsupported", // for servers without tables, of which none is built: gateway's tests provoke it
	}
	for _, name := range document.Components.Schemas.Problem.Properties.Type.Enum {
		if !slices.Contains(provoked, strings.TrimPrefix(name, "urn:jetfn:problem:")) {
			t.Errorf("nobody provokes %s", name)
		}
	}
}

// busyOnce holds the only request that the app takes at a time. The app may see
// the other one first, and refuse this one.
func busyOnce(t *testing.T, a *app) {
	t.Helper()
	whole := call("POST", "/v1/send/a/b/c", strings.Repeat("x", 1000))
	eventually(t, 20*time.Second, "a request is refused", func() error {
		conn, err := net.Dial("tcp", a.http)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, whole[:len(whole)-500]); err != nil {
			return err
		}
		status, body := exchange(t, a.http, call("GET", "/v1/functions", ""))
		if status != http.StatusTooManyRequests || !strings.Contains(body, "urn:jetfn:problem:busy") {
			return fmt.Errorf("answered %d %s, want busy", status, body)
		}
		return nil
	})
}

// internalOnce takes a stream away that jetfn needs.
func internalOnce(t *testing.T, a *app) {
	t.Helper()
	_, js := a.connect(t)
	if err := js.DeleteStream(t.Context(), "T_DLQ"); err != nil {
		t.Fatal(err)
	}
	status, body := exchange(t, a.http, call("GET", "/v1/dlq", ""))
	var p problemDocument
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.slug() != "internal" || status != http.StatusInternalServerError {
		t.Errorf("without the stream of dead letters they are listed with %d %s, want 500 internal", status, body)
	}
	if status, body := exchange(t, a.http, call("POST", "/v1/dlq/replay?all=true", "")); status != http.StatusInternalServerError || !strings.Contains(body, `"accepted":true`) {
		t.Errorf("without the stream of dead letters they are replayed with %d %s, want 500, and that it is not known what happened", status, body)
	}
}

func TestACallOfAPausedFunctionIsRefusedAtOnceWhereverItComesFrom(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(problemModule, serveProblems(t)))
	nc, _ := a.connect(t)
	if r := a.cli(t, "fn", "pause", "e2e/tell"); r.code != 0 {
		t.Fatalf("fn pause = %+v", r)
	}
	r := a.do(t, http.MethodPost, "/v1/call/e2e/tell/a?timeout=10m", "text/plain", []byte("x"))
	if r.status != http.StatusServiceUnavailable || !strings.Contains(string(r.body), "urn:jetfn:problem:paused") || !strings.Contains(string(r.body), `"accepted":false`) {
		t.Errorf("over HTTP it is answered %d %s, want paused", r.status, r.body)
	}
	m, err := nc.RequestMsg(&nats.Msg{Subject: "t.call.e2e.tell.a", Data: []byte("x"), Header: nats.Header{"Jetfn-Timeout": {"10m"}}}, patience)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Nats-Service-Error-Code") != "503" || !strings.HasPrefix(m.Header.Get("Nats-Service-Error"), "paused: ") {
		t.Errorf("over NATS it is answered %v %s, want paused", m.Header, m.Data)
	}
	if r := a.cli(t, "call", "e2e/tell/a", "x", "--timeout", "9m"); r.code != 4 || !strings.Contains(r.stderr, "paused, status 503") {
		t.Errorf("jetfn call = %+v, want paused and exit code 4", r)
	}
	// Who doesn't wait is let in, and gets the answer later.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.http+"/v1/call/e2e/tell/a", strings.NewReader("y"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("Prefer", "respond-async")
	answer, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("in the background it is answered %d, want 202", answer.StatusCode)
	}
	if r := a.cli(t, "fn", "resume", "e2e/tell"); r.code != 0 {
		t.Fatalf("fn resume = %+v", r)
	}
	eventually(t, 20*time.Second, "the answer", func() error {
		r := a.do(t, http.MethodGet, answer.Header.Get("Location"), "", nil)
		if r.status != http.StatusOK || string(r.body) != "1 y" {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		return nil
	})
	m, err = nc.Request("t.call.e2e.tell.b", []byte("hi"), patience)
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Data) != "1 hi" || m.Header.Get("Jetfn-Call-Id") == "" || m.Header.Get("Jetfn-Type") != "io.statefun.types/string" {
		t.Errorf("over NATS it is answered %v %q, want the reply", m.Header, m.Data)
	}
	if m, err = nc.Request("$SRV.INFO", nil, patience); err != nil || !strings.Contains(string(m.Data), "t.call.") {
		t.Errorf("the service is not there for `nats micro ls`: %v, %v", m, err)
	}
}

func TestEveryExitCodeIsSeenOnce(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(problemModule, serveProblems(t)))
	bad := writeFile(t, "bad.yaml", "kind: no.such/kind\nspec: {}\n")
	if r := a.cli(t, "call", "e2e/tell/a", "x"); r.code != 0 || r.stdout != "1 x\n" {
		t.Errorf("call = %+v", r)
	}
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"done":               {0, []string{"version"}},
		"an invalid module":  {1, []string{"validate", bad}},
		"a bad request":      {1, []string{"timers", "ls", "--after", "x", "--server", "http://" + a.http}},
		"wrong usage":        {2, []string{"send"}},
		"an unknown command": {2, []string{"sned"}},
		"not found":          {3, []string{"state", "get", "e2e/tell/nobody", "--server", "http://" + a.http}},
		"unreachable":        {4, []string{"fn", "ls", "--server", "http://127.0.0.1:1"}},
		"timed out":          {5, []string{"call", "e2e/hang/a", "x", "--timeout", "300ms", "--server", "http://" + a.http}},
		"a conflict":         {6, []string{"state", "set", "e2e/tell/a", "seen", "7", "--if-revision", "999", "--server", "http://" + a.http}},
		"a port in use":      {6, []string{"run", a.module, "--data", t.TempDir(), "--http", a.http, "--nats-listen", "127.0.0.1:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, command{path: a.binary, args: c.args, dir: t.TempDir()})
			if r.code != c.code {
				t.Errorf("jetfn %v = %+v, want exit code %d", c.args, r, c.code)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		waits := exec.Command(a.binary, "call", "e2e/hang/b", "x", "--timeout", "1m", "--server", "http://"+a.http)
		if err := waits.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the call", func() error { // beside that which has timed out
			if r := a.do(t, http.MethodGet, "/v1/functions", "", nil); !strings.Contains(string(r.body), `"backlog":2`) {
				return errors.New(string(r.body))
			}
			return nil
		})
		if err := waits.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := waits.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("an interrupted call ends with %v, want 130", err)
		}
	})
}

// TestFlagsComeBeforeVariablesBeforeTheFile gives one setting in all places.
func TestFlagsComeBeforeVariablesBeforeTheFile(t *testing.T) {
	t.Parallel()
	dir, module := t.TempDir(), writeFile(t, "module.yaml", quietModule)
	ports := freePorts(t, 4)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	if err := os.WriteFile(dir+"/jetfn.yaml", []byte("http: "+at(0)+"\nnats-listen: "+at(3)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := built(t, plainBinary)
	for name, c := range map[string]struct {
		args, env []string
		want      int
	}{
		"the file":             {nil, nil, 0},
		"a variable":           {nil, []string{"JETFN_HTTP=" + at(1)}, 1},
		"a flag":               {[]string{"--http", at(2)}, []string{"JETFN_HTTP=" + at(1)}, 2},
		"a flag over the file": {[]string{"--http", at(2)}, nil, 2},
	} {
		t.Log(name)
		p := startProcess(t, "jetfn", command{path: binary, dir: dir, env: c.env, args: append([]string{"run", module}, c.args...)})
		eventually(t, 30*time.Second, name, func() error {
			_, err := request(t, http.MethodGet, "http://"+at(c.want)+"/healthz", "", nil)
			return err
		})
		p.signal(syscall.SIGTERM)
		p.wait(t, 20*time.Second)
	}
}
