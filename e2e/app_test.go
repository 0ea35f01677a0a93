//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// app is one jetfn run process and what it takes to start it again.
type app struct {
	*process
	binary string
	module string
	data   string
	http   string // host:port
	nats   string // URL, for clients
	extra  []string
	beside []string // more module documents
	shared bool     // NATS is somebody else's
}

type option func(*app)

func withArgs(args ...string) option { return func(a *app) { a.extra = append(a.extra, args...) } }
func withBinary(path string) option  { return func(a *app) { a.binary = path } }
func withData(dir string) option     { return func(a *app) { a.data = dir } }
func withModules(f ...string) option { return func(a *app) { a.beside = f } }

// withNATS makes the app a worker on the server at url.
func withNATS(url string) option {
	return func(a *app) { a.nats, a.shared = url, true }
}

// newApp prepares jetfn run with a module document, but doesn't start it.
func newApp(t *testing.T, module string, opts ...option) *app {
	t.Helper()
	ports := freePorts(t, 2)
	a := &app{
		module: writeFile(t, "module.yaml", module),
		http:   fmt.Sprintf("127.0.0.1:%d", ports[0]),
		nats:   fmt.Sprintf("nats://127.0.0.1:%d", ports[1]),
	}
	for _, o := range opts {
		o(a)
	}
	if a.binary == "" {
		a.binary = built(t, plainBinary)
	}
	if a.data == "" && !a.shared {
		a.data = t.TempDir()
	}
	return a
}

// startApp starts jetfn run and waits until it is ready.
func startApp(t *testing.T, module string, opts ...option) *app {
	t.Helper()
	a := newApp(t, module, opts...)
	a.launch(t)
	a.waitReady(t)
	return a
}

func (a *app) args() []string {
	args := append([]string{"run", a.module}, a.beside...)
	args = append(args, "--app", "t", "--http", a.http)
	if a.shared {
		args = append(args, "--nats", a.nats)
	} else {
		args = append(args, "--data", a.data, "--nats-listen", strings.TrimPrefix(a.nats, "nats://"))
	}
	return append(args, a.extra...)
}

// launch starts the process, without waiting for it to be ready.
func (a *app) launch(t *testing.T, env ...string) {
	t.Helper()
	a.process = startProcess(t, "jetfn", command{path: a.binary, args: a.args(), env: env, dir: t.TempDir()})
}

// restart starts it again, after it has ended, and waits until it is ready.
func (a *app) restart(t *testing.T) {
	t.Helper()
	a.launch(t)
	a.waitReady(t)
}

func (a *app) ready() error {
	if a.ended() {
		return fmt.Errorf("jetfn has ended with code %d:\n%s", a.cmd.ProcessState.ExitCode(), a.output.tail(2_000))
	}
	resp, err := httpClient.Get("http://" + a.http + "/readyz")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz: %s %s", resp.Status, body)
	}
	return nil
}

func (a *app) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, 60*time.Second, "jetfn to be ready", func() error {
		err := a.ready()
		if a.ended() {
			t.Fatal(err)
		}
		return err
	})
}

// terminate asks it to drain and returns the exit code.
func (a *app) terminate(t *testing.T) int {
	t.Helper()
	a.signal(syscall.SIGTERM)
	return a.wait(t, 20*time.Second)
}

// connect is a NATS client of the app, as anybody's.
func (a *app) connect(t *testing.T, opts ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(a.nats, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// response is an HTTP answer, read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (a *app) do(t *testing.T, method, path, contentType string, body []byte) response {
	t.Helper()
	r, err := request(t, method, "http://"+a.http+path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func request(t *testing.T, method, target, contentType string, body []byte) (response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return response{status: resp.StatusCode, header: resp.Header, body: b}, err
}

// send sends text to namespace/type/id over HTTP and wants it accepted.
func (a *app) send(t *testing.T, typename, id, text string) {
	t.Helper()
	r := a.do(t, http.MethodPost, "/v1/send/"+typename+"/"+url.PathEscape(id), "text/plain", []byte(text))
	if r.status != http.StatusAccepted {
		t.Fatalf("send to %s/%s: %d %s", typename, id, r.status, r.body)
	}
}

// stateView is the answer of GET /v1/state.
type stateView struct {
	Address   string `json:"address"`
	Partition int    `json:"partition"`
	Values    map[string]struct {
		Type  string `json:"type"`
		Value string `json:"value"`
		Text  string `json:"text"`

		WrittenAt int64 `json:"writtenAt"`
		ExpiresAt int64 `json:"expiresAt"`
	} `json:"values"`
}

var errNoState = errors.New("no state")

func (a *app) state(t *testing.T, typename, id string) (stateView, error) {
	t.Helper()
	r, err := request(t, http.MethodGet, "http://"+a.http+"/v1/state/"+typename+"/"+url.PathEscape(id), "", nil)
	switch {
	case err != nil:
		return stateView{}, err
	case r.status == http.StatusNotFound:
		return stateView{}, errNoState
	case r.status != http.StatusOK:
		return stateView{}, fmt.Errorf("state of %s/%s: %d %s", typename, id, r.status, r.body)
	}
	var v stateView
	return v, json.Unmarshal(r.body, &v)
}

// long reads the long state called name; absent is zero.
func (a *app) long(t *testing.T, typename, id, name string) (uint64, error) {
	t.Helper()
	view, err := a.state(t, typename, id)
	if errors.Is(err, errNoState) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	data, err := base64.StdEncoding.DecodeString(view.Values[name].Value)
	if err != nil {
		return 0, err
	}
	v := value{data: data}
	return v.long(), nil
}

// waitCount waits until e2e/count at id has seen exactly want messages.
func (a *app) waitCount(t *testing.T, id string, want uint64) {
	t.Helper()
	eventually(t, 20*time.Second, "e2e/count/"+id, func() error {
		n, err := a.long(t, "e2e/count", id, "seen")
		if err == nil && n != want {
			err = fmt.Errorf("seen = %d, want %d", n, want)
		}
		return err
	})
}

// metric sums the samples of a metric over its labels.
func (a *app) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	r := a.do(t, http.MethodGet, "/metrics", "", nil)
	for line := range strings.Lines(string(r.body)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(rest[strings.LastIndexByte(strings.TrimSpace(rest), ' ')+1:], &v); err != nil {
			t.Fatalf("metric line %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// startNATS runs a NATS server of its own on a port, with JetStream in dir.
func startNATS(t *testing.T, port int, dir string) (*process, string) {
	t.Helper()
	return startNATSWith(t, port, "--jetstream", "--store_dir", dir)
}

func startNATSWith(t *testing.T, port int, args ...string) (*process, string) {
	t.Helper()
	p := startProcess(t, "nats-server", command{
		path: built(t, natsBinary),
		args: append([]string{"--addr", "127.0.0.1", "--port", strconv.Itoa(port)}, args...),
	})
	addr := fmt.Sprintf("nats://127.0.0.1:%d", port)
	eventually(t, 10*time.Second, "nats-server to listen", func() error {
		nc, err := nats.Connect(addr)
		if err == nil {
			nc.Close()
		}
		return err
	})
	return p, addr
}
