//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

const goodEndpoint = `kind: io.statefun.endpoints.v2/http
spec:
  functions: e2e/*
  urlPathTemplate: http://127.0.0.1:1/
`

func TestABadModuleIsRefusedWithFileLineAndReason(t *testing.T) {
	t.Parallel()
	bin := built(t, plainBinary)
	for name, c := range map[string]struct {
		module string
		want   []string // in what it prints; LINE is "module.yaml:<line>"
	}{
		"malformed YAML":     {"kind: [io.statefun\nspec: }\n", []string{"module.yaml:"}},
		"unknown kind":       {goodEndpoint + "---\nkind: io.statefun.teleport/http\nspec: {}\n", []string{"module.yaml:6", "io.statefun.teleport/http"}},
		"duplicate function": {goodEndpoint + "---\n" + goodEndpoint, []string{"module.yaml:8", "e2e/*"}},
		"no URL":             {"kind: io.statefun.endpoints.v2/http\nspec:\n  functions: e2e/*\n", []string{"module.yaml:", "urlPathTemplate"}},
		"star in a wrong place": {
			strings.Replace(goodEndpoint, "e2e/*", "e2e/a*", 1), []string{"module.yaml:3", "e2e/a*"},
		},
		"a typing error in our own kinds": {
			goodEndpoint + "---\nkind: io.jetfn.nats.v1/egress\nspec:\n  id: e2e/counts\n  sbject: x\n", []string{"module.yaml:9", "sbject"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ports := freePorts(t, 2)
			r := run(t, command{path: bin, args: []string{
				"run", writeFile(t, "module.yaml", c.module), "--data", t.TempDir(),
				"--http", fmt.Sprintf("127.0.0.1:%d", ports[0]), "--nats-listen", fmt.Sprintf("127.0.0.1:%d", ports[1]),
			}})
			wantRefusal(t, r, 1, c.want...)
		})
	}
}

// wantRefusal wants an exit code and each text on stderr, in few lines.
func wantRefusal(t *testing.T, r result, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code = %d, want %d", r.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			t.Errorf("stderr does not name %q", text)
		}
	}
	if strings.Contains(r.stderr, "goroutine ") || strings.Count(r.stderr, "\n") > 40 {
		t.Errorf("stderr is no message for a person")
	}
	if t.Failed() {
		t.Logf("stdout:\n%s\nstderr:\n%s", r.stdout, r.stderr)
	}
}

func TestBadUseIsRefusedWithUsage(t *testing.T) {
	t.Parallel()
	bin := built(t, plainBinary)
	module := writeFile(t, "module.yaml", goodEndpoint)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no file":          {[]string{"run"}, 2, ""},
		"missing file":     {[]string{"run", "/no/such/module.yaml"}, 1, "/no/such/module.yaml"},
		"unknown flag":     {[]string{"run", module, "--sink"}, 2, "--sink"},
		"unknown sync":     {[]string{"run", module, "--sync", "perhaps"}, 2, "perhaps"},
		"not on ext4":      {[]string{"run", module, "--sync", "group", "--data", inMemory(t), "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, 2, "only ext4"},
		"replicas above 1": {[]string{"run", module, "--nats", "nats://127.0.0.1:1", "--replicas", "3", "--http", "127.0.0.1:0"}, -1, "replicas"},
		"server not there": {[]string{"send", "e2e/count/x", "y", "--server", "http://127.0.0.1:1"}, 4, "127.0.0.1:1"},
		"bad address":      {[]string{"send", "no-slashes", "y", "--server", "http://127.0.0.1:1"}, -1, "no-slashes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, command{path: bin, args: c.args, dir: t.TempDir()})
			if c.code == -1 { // usage or failure, both say it
				if c.code = r.code; r.code != 1 && r.code != 2 {
					t.Errorf("exit code = %d, want 1 or 2", r.code)
				}
			}
			wantRefusal(t, r, c.code, c.want)
		})
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--http", "--nats-listen"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			a := newApp(t, goodEndpoint, withArgs(flag, l.Addr().String()))
			wantRefusal(t, run(t, command{path: a.binary, args: a.args()}), 6, l.Addr().String())
		})
	}
}

func TestADataDirectoryInUseNamesItsHolder(t *testing.T) {
	t.Parallel()
	first := startApp(t, goodEndpoint)
	second := newApp(t, goodEndpoint, withData(first.data))
	r := run(t, command{path: second.binary, args: second.args()})
	wantRefusal(t, r, 6, first.data, strconv.Itoa(first.cmd.Process.Pid))
	if err := first.ready(); err != nil {
		t.Errorf("the first one after that: %v", err)
	}
	first.kill() // the kernel gives the lock back at once
	second.launch(t)
	second.waitReady(t)
}

func TestADataDirectoryOfANewerVersionIsRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	a := startApp(t, goodEndpoint)
	if code := a.terminate(t); code != 0 {
		t.Fatalf("exit code after SIGTERM = %d", code)
	}
	raiseFormat(t, a.data)
	before := tree(t, a.data)
	r := run(t, command{path: a.binary, args: a.args()})
	wantRefusal(t, r, 1, a.data, "99")
	if after := tree(t, a.data); after != before {
		t.Errorf("the data directory has changed:\n%s\nit was:\n%s", after, before)
	}
}

// raiseFormat makes the data directory one of format 99.
func raiseFormat(t *testing.T, data string) {
	t.Helper()
	path := filepath.Join(data, formatFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(text, []byte("1"), []byte("99"), 1)
	if bytes.Equal(newer, text) {
		t.Fatalf("%s = %q has no version 1", path, text)
	}
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
}

// formatFile is the file of a data directory that holds its format version.
const formatFile = "FORMAT"

// tree lists the files below dir with their sizes, but for the lock.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" {
			return err
		}
		info, err := d.Info()
		fmt.Fprintf(&b, "%s %d\n", path, info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNATSUnreachableIsWaitedForAndThenGivenUp(t *testing.T) {
	t.Parallel()
	url := fmt.Sprintf("nats://127.0.0.1:%d", freePorts(t, 1)[0])
	a := newApp(t, goodEndpoint, withNATS(url))
	a.launch(t)
	start := time.Now()
	eventually(t, 5*time.Second, "it to say what it waits for", func() error {
		if out := a.output.String(); !strings.Contains(out, strings.TrimPrefix(url, "nats://")) {
			return fmt.Errorf("it printed %q", out)
		}
		return nil
	})
	if code := a.wait(t, 80*time.Second); code != 4 {
		t.Errorf("exit code = %d, want 4", code)
	}
	if took := time.Since(start); took < 45*time.Second {
		t.Errorf("it gave up after %v, want a minute", took)
	}
}

func TestANATSServerThatComesLateIsUsed(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	a := newApp(t, goodEndpoint, withNATS(fmt.Sprintf("nats://127.0.0.1:%d", port)))
	a.launch(t)
	time.Sleep(2 * time.Second)
	startNATS(t, port, t.TempDir())
	a.waitReady(t)
}

// problem is an error over HTTP.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Accepted *bool  `json:"accepted"`
}

func TestBadRequestsGetAProblemThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	a, nc, _ := startPipeline(t)
	big := bytes.Repeat([]byte("x"), 9<<20)
	for name, c := range map[string]struct {
		method, path, contentType string
		body                      []byte
		status                    int
		slug                      string
	}{
		"a very long id":   {"POST", "/v1/send/e2e/count/" + strings.Repeat("i", 4000), "text/plain", []byte("x"), 400, "bad-address"},
		"an empty id":      {"POST", "/v1/send/e2e/count/", "text/plain", []byte("x"), 400, "bad-address"},
		"an empty type":    {"POST", "/v1/send/e2e//x", "text/plain", []byte("x"), 400, "bad-address"},
		"too large a body": {"POST", "/v1/send/e2e/count/x", "text/plain", big, 413, "too-large"},
		"broken text":      {"POST", "/v1/send/e2e/count/x", "text/plain", []byte("\xff\xfe"), 415, "bad-type"},
		"untyped JSON":     {"POST", "/v1/send/e2e/count/x", "application/json", []byte("{}"), 415, "bad-type"},
		"no such function": {"POST", "/v1/send/nobody/home/x", "text/plain", []byte("x"), 404, "unknown-function"},
		"no such state":    {"GET", "/v1/state/e2e/count/never-seen", "", nil, 404, "not-found"},
		"no such page":     {"GET", "/v1/nothing", "", nil, 404, "not-found"},
	} {
		t.Run(name, func(t *testing.T) {
			r := a.do(t, c.method, c.path, c.contentType, c.body)
			var p problem
			if err := json.Unmarshal(r.body, &p); err != nil {
				t.Fatalf("%d %q: %v", r.status, r.body, err)
			}
			if r.status != c.status || p.Status != c.status || p.Type != "urn:jetfn:problem:"+c.slug {
				t.Errorf("got %d %s, want %d with slug %s", r.status, r.body, c.status, c.slug)
			}
			if p.Detail == "" || p.Title == "" || !strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") {
				t.Errorf("got %s as %s, want title and detail as application/problem+json", r.body, r.header.Get("Content-Type"))
			}
			if c.method == http.MethodPost && (p.Accepted == nil || *p.Accepted) {
				t.Errorf("got %s, want accepted false", r.body)
			}
		})
	}
	// Over NATS the server's own limits say no.
	if err := nc.Publish("t.fn.e2e.count.x", big); err != nats.ErrMaxPayload { //nolint:errorlint // the client returns it bare
		t.Errorf("publish of 9 MiB = %v, want %v", err, nats.ErrMaxPayload)
	}
	a.waitCount(t, "x", 0)
}

func TestAnUnusableSubjectBecomesADeadLetterThatNamesTheRightOne(t *testing.T) {
	t.Parallel()
	a, _, js := startPipeline(t)
	long := strings.Repeat("i", 3600)
	for subject, right := range map[string]string{
		"t.fn.e2e.count.ümlaut":   "=C3=BCmlaut",
		"t.fn.e2e.count.=41":      "t.fn.e2e.count.A",
		"t.fn.e2e.count.broken=4": "=XX",
		"t.fn.e2e.count." + long:  "3500",
	} {
		publish(t, js, subject, "x")
		eventually(t, 10*time.Second, "the dead letter of "+subject[:min(len(subject), 40)], func() error {
			letters := deadLetters(t, js)
			for _, d := range letters {
				if d.Reason == "bad-address" && strings.Contains(d.Error, right) {
					return nil
				}
			}
			return fmt.Errorf("none with reason bad-address that names %q among %d: %+v", right, len(letters), letters)
		})
	}
	a.send(t, "e2e/count", "A", "x")
	a.waitCount(t, "A", 1)
}

func TestIdsMayHoldAnything(t *testing.T) {
	t.Parallel()
	a, _, js := startPipeline(t)
	for id, token := range map[string]string{
		"a.b.c":        "a=2Eb=2Ec",
		"two words":    "two=20words",
		"wild*card":    "wild=2Acard",
		"and>more":     "and=3Emore",
		"日本":           "=E6=97=A5=E6=9C=AC",
		"with/a/slash": "with=2Fa=2Fslash",
		"100%":         "100=25",
		"=eq":          "=3Deq",
		"%2F":          "=252F",
		"..":           "=2E=2E",
		"new\nline":    "new=0Aline",
	} {
		a.send(t, "e2e/count", id, "over HTTP")
		a.waitCount(t, id, 1)
		publish(t, js, "t.fn.e2e.count."+token, "over NATS")
		a.waitCount(t, id, 2)
		view, err := a.state(t, "e2e/count", id)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := view.Partition, partition(token); got != want {
			t.Errorf("partition of %q = %d, want %d", id, got, want)
		}
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, the first %+v", len(d), d[0])
	}
	// An owner's state may be seen before what else its commit did.
	eventually(t, 5*time.Second, "the egress", func() error {
		byKey, total, err := emitted(t.Context(), js)
		if err == nil && (len(byKey) != 11 || total != 22 || len(byKey["a=2Eb=2Ec"]) != 2) {
			err = fmt.Errorf("egress keys = %v, want the 11 escaped ids with two messages each", byKey)
		}
		return err
	})
}

// inMemory is a directory that is on no disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "jetfn-e2e-") //nolint:usetesting // the test's own is on disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
