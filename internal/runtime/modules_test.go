package runtime_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// revised is a configuration whose module can change.
func revised(tb testing.TB, text string) runtime.Config {
	tb.Helper()
	return runtime.Config{Module: parse(tb, text), Sources: []module.Source{{Name: "test.yaml", Data: []byte(text)}}}
}

// fromFile is revised from a file that is watched.
func fromFile(tb testing.TB, text string) (cfg runtime.Config, file string) {
	tb.Helper()
	file = filepath.Join(tb.TempDir(), "module.yaml")
	write(tb, file, text)
	cfg = revised(tb, text)
	cfg.Sources[0].Name, cfg.Files, cfg.Watch = file, []string{file}, true
	return cfg, file
}

// write replaces a file as editors do.
func write(tb testing.TB, file, text string) {
	tb.Helper()
	if err := os.WriteFile(file+"~", []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		tb.Fatal(err)
	}
}

// recorder is a function that remembers the ids of the addresses it was called
// for, one for each message.
type recorder struct {
	server *httptest.Server
	mu     sync.Mutex
	calls  []string
	hold   chan struct{} // set: calls end when it is closed
}

func newRecorder(tb testing.TB) *recorder {
	tb.Helper()
	r := &recorder{}
	r.server = httptest.NewServer(r)
	tb.Cleanup(r.server.Close)
	return r
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var call pb.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &call)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	target := call.GetInvocation().GetTarget()
	r.mu.Lock()
	for range call.GetInvocation().GetInvocations() {
		r.calls = append(r.calls, target.GetType()+"/"+target.GetId())
	}
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		<-hold
	}
	w.Header().Set("Content-Type", "application/octet-stream")
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

func (r *recorder) got(what string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		if c == what {
			n++
		}
	}
	return n
}

// put applies a module and returns the answer's status and body.
func (w *worker) put(text string, header ...string) (int, string) {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(w.tb.Context(), http.MethodPut, "http://"+w.HTTP+"/v1/modules?by=test", strings.NewReader(text))
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/yaml")
	if strings.HasPrefix(text, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return answerOf(w.tb, r)
}

// apply is put that succeeds, and returns the revision.
func (w *worker) apply(text string) uint64 {
	w.tb.Helper()
	status, body := w.put(text)
	var applied gateway.ModuleApplied
	if err := json.Unmarshal([]byte(body), &applied); err != nil || status != http.StatusOK {
		w.tb.Fatalf("PUT /v1/modules = %d %s (%v), want 200", status, body, err)
	}
	return applied.Revision
}

// revisions are those that the worker lists.
func (w *worker) revisions() []gateway.ModuleInfo {
	w.tb.Helper()
	_, _, body := request(w.tb, http.MethodGet, "http://"+w.HTTP+"/v1/modules", "")
	var list struct{ Items []gateway.ModuleInfo }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		w.tb.Fatalf("GET /v1/modules = %s: %v", body, err)
	}
	return list.Items
}

// deadLetters are those of all functions.
func (w *worker) deadLetters() []gateway.DeadLetter {
	w.tb.Helper()
	_, _, body := request(w.tb, http.MethodGet, "http://"+w.HTTP+"/v1/dlq", "")
	var list struct{ Items []gateway.DeadLetter }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		w.tb.Fatalf("GET /v1/dlq = %s: %v", body, err)
	}
	return list.Items
}

func (w *worker) publish(subject string) {
	w.tb.Helper()
	if _, err := dial(w.tb, w.NATS).Request(subject, []byte("x"), patience); err != nil {
		w.tb.Fatalf("publish to %s: %v", subject, err)
	}
}

func TestAChangedFileTakesEffectAndABadOneChangesNothing(t *testing.T) {
	t.Parallel()
	first, second := newRecorder(t), newRecorder(t)
	cfg, file := fromFile(t, endpoint("example/a", first.server.URL))
	w := start(t, cfg)
	w.send("example/a/1")
	eventually(t, "the first endpoint is called", func() bool { return first.count() == 1 })

	write(t, file, endpoint("example/a", second.server.URL)+endpoint("example/b", "ftp://nowhere"))
	eventually(t, "the bad file is refused", func() bool {
		return strings.Contains(w.log.String(), "changed module files not usable") && strings.Contains(w.log.String(), file+":6:")
	})
	w.send("example/a/2")
	eventually(t, "the first endpoint is called still", func() bool { return first.count() == 2 })

	write(t, file, endpoint("example/a", second.server.URL)+endpoint("example/b", second.server.URL))
	eventually(t, "the good file is taken", func() bool { return len(w.revisions()) == 2 })
	w.send("example/a/3")
	w.send("example/b/4")
	eventually(t, "the second endpoint is called", func() bool { return second.got("a/3") == 1 && second.got("b/4") == 1 })
	if n := first.count(); n != 2 {
		t.Errorf("the first endpoint got %d calls, want 2", n)
	}
}

func TestAModuleIsAppliedShownAndRolledBack(t *testing.T) {
	t.Parallel()
	first, second := newRecorder(t), newRecorder(t)
	w := start(t, revised(t, endpoint("example/a", first.server.URL)))
	next := endpoint("example/a", strings.Replace(second.server.URL, "http://", "http://user:hunter2@", 1))
	if got := w.apply(next); got != 2 {
		t.Errorf("the applied module has revision %d, want 2", got)
	}
	if got := w.apply(next); got != 2 {
		t.Errorf("the same module once more has revision %d, want 2", got)
	}
	w.send("example/a/1")
	eventually(t, "the second endpoint is called", func() bool { return second.count() == 1 })

	if status, body := w.put(next+"# other\n", "If-Match", `"1"`); status != http.StatusConflict || !strings.Contains(body, "revision-conflict") {
		t.Errorf("PUT with If-Match of an old revision = %d %s, want 409", status, body)
	}
	status, body := w.put("kind: nonsense\n---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: 7}\n")
	for _, want := range []string{`"invalid-module"`, `"line":1`, `"line":4`, `"accepted":false`, "unknown kind"} {
		if status != http.StatusUnprocessableEntity || !strings.Contains(strings.ReplaceAll(body, "urn:jetfn:problem:", `"`), strings.Trim(want, `"`)) {
			t.Errorf("PUT of a bad module = %d %s, want 422 with %s", status, body, want)
		}
	}
	_, _, shown := request(t, http.MethodGet, "http://"+w.HTTP+"/v1/modules/2", "")
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "user:***@") {
		t.Errorf("GET /v1/modules/2 = %s, want no password", shown)
	}
	if status, _ := w.put(`{"rollback": 1, "by": "Ada"}`, "If-Match", `"2"`); status != http.StatusOK {
		t.Errorf("rollback = %d, want 200", status)
	}
	w.send("example/a/2")
	eventually(t, "the first endpoint is called again", func() bool { return first.count() == 1 })
	list := w.revisions()
	if len(list) != 3 || list[0].Origin != "rollback" || list[0].Of != 1 || !strings.HasPrefix(list[0].By, "Ada at ") || !list[0].InPlace || list[1].InPlace {
		t.Errorf("revisions = %+v", list)
	}
	for path, want := range map[string]int{"/v1/modules/9": 404, "/v1/modules/x": 404, "/v1/modules/newest": 200} {
		if status, _, body := request(t, http.MethodGet, "http://"+w.HTTP+path, ""); status != want {
			t.Errorf("GET %s = %d %s, want %d", path, status, body, want)
		}
	}
	for body, want := range map[string]int{"{": 400, `{"files":[]}`: 400, `{"rollback":77}`: 404, `{"files":[{"name":"a","text":""},{"name":"a","text":""}]}`: 400} {
		if status, answer := w.put(body); status != want {
			t.Errorf("PUT %s = %d %s, want %d", body, status, answer, want)
		}
	}
}

func TestMessagesOfAFunctionThatAModuleRemovedWaitUntilItIsBack(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	with, without := endpoint("example/a", r.server.URL)+endpoint("example/b", r.server.URL), endpoint("example/b", r.server.URL)
	w := start(t, revised(t, with))
	w.apply(without)
	if status, _, body := request(t, http.MethodPost, "http://"+w.HTTP+"/v1/send/example/a/1", "x"); status != http.StatusNotFound {
		t.Errorf("a send to a removed function = %d %s, want 404", status, body)
	}
	w.publish("jetfn.fn.example.a.1")
	w.publish("jetfn.fn.example.b.1")
	eventually(t, "the other function goes on", func() bool { return r.got("b/1") == 1 })
	w.apply(with)
	eventually(t, "what waited is called", func() bool { return r.got("a/1") == 1 })
}

func TestMessagesOfAFunctionThatIsNotBackInTimeAreGivenUp(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	with, without := endpoint("example/a", r.server.URL)+endpoint("example/b", r.server.URL), endpoint("example/b", r.server.URL)
	cfg := revised(t, with)
	cfg.RemovedWait = time.Second
	w := start(t, cfg)
	if status, body := tryPost(t, "http://"+w.HTTP+"/v1/functions/example/a/pause"); status != http.StatusOK {
		t.Errorf("pause = %d %s, want 200", status, body)
	}
	w.publish("jetfn.fn.example.a.2")
	w.apply(without)
	if status, body := tryPost(t, "http://"+w.HTTP+"/v1/functions/example/a/resume"); status != http.StatusOK {
		t.Errorf("resume of a function that is gone = %d %s, want 200", status, body)
	}
	if status, body := tryPost(t, "http://"+w.HTTP+"/v1/functions/example/a/resume"); status != http.StatusNotFound {
		t.Errorf("resume of a function that is gone and not paused = %d %s, want 404", status, body)
	}
	eventually(t, "the message is given up", func() bool { return len(w.deadLetters()) == 1 })
	if d := w.deadLetters()[0]; d.Reason != "unknown-function" || !strings.Contains(d.Error, "was removed") {
		t.Errorf("dead letter = %s: %s", d.Reason, d.Error)
	}
	if r.got("a/2") != 0 {
		t.Error("the removed function was called")
	}
}

func TestRecordsGoToTheTargetsThatTheirIngressHadWhenTheyCame(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	functions := endpoint("example/a", r.server.URL) + endpoint("example/b", r.server.URL) + endpoint("example/c", r.server.URL)
	ingress := func(targets string) string {
		return functions + "---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, targets: [" + targets + "]}\n"
	}
	cfg := revised(t, ingress("example/a, example/b"))
	cfg.DataDir = t.TempDir()
	w := start(t, cfg)
	all := func(verb string) {
		for _, name := range []string{"a", "b", "c"} {
			if status, body := tryPost(t, "http://"+w.HTTP+"/v1/functions/example/"+name+"/"+verb); status != http.StatusOK {
				t.Fatalf("%s example/%s = %d %s", verb, name, status, body)
			}
		}
	}
	all("pause")
	publish := func(keys ...string) {
		for _, k := range keys {
			w.publish("jetfn.ingress.shop.in." + k)
		}
	}
	publish("k0", "k1", "k0")
	w.apply(ingress("example/b, example/c"))
	publish("k0", "k1")
	w.apply(ingress("example/c"))
	publish("k0")
	w.stop() // the next owner reads all of it again
	w = start(t, cfg)
	publish("k1")
	all("resume")
	want := map[string]int{"a/k0": 2, "a/k1": 1, "b/k0": 3, "b/k1": 2, "c/k0": 2, "c/k1": 2}
	eventually(t, "all is called", func() bool { return r.count() >= 12 })
	got := map[string]int{}
	for _, c := range r.calls {
		got[c]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if list := w.deadLetters(); len(list) > 0 {
		t.Errorf("dead letters: %+v", list)
	}
}

func TestPortsOfThePlaygroundFollowTheModule(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	one, other := freePort(t), freePort(t)
	port := func(kind string, n int) string {
		return fmt.Sprintf("---\nkind: io.statefun.playground.v1/%s\nspec: {port: %d%s}\n", kind, n, map[string]string{"egress": ", topics: [t]"}[kind])
	}
	w := start(t, revised(t, endpoint("example/a", r.server.URL)+port("ingress", one)))
	at := func(n int, path string) int {
		status, _ := tryGet(t, fmt.Sprintf("http://127.0.0.1:%d/%s", n, path))
		return status
	}
	if got := at(one, "example/a/1"); got != http.StatusOK {
		t.Errorf("the ingress answers %d, want 200", got)
	}
	w.apply(endpoint("example/a", r.server.URL) + port("egress", one) + port("ingress", other))
	if got := at(other, "example/a/2"); got != http.StatusOK {
		t.Errorf("the ingress answers %d at its new port, want 200", got)
	}
	if got := at(one, "t"); got != http.StatusOK {
		t.Errorf("the egress answers %d at the old port of the ingress, want 200", got)
	}
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	_, number, _ := strings.Cut(strings.TrimPrefix(taken.URL, "http://"), ":")
	status, body := w.put(endpoint("example/a", r.server.URL) + "---\nkind: io.statefun.playground.v1/ingress\nspec: {port: " + number + "}\n")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "in use") {
		t.Errorf("PUT with a port that is taken = %d %s, want 422", status, body)
	}
	third := freePort(t)
	status, body = w.put(endpoint("example/a", r.server.URL) + port("ingress", third) + "---\nkind: io.statefun.playground.v1/egress\nspec: {topics: [t], port: " + number + "}\n")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "in use") {
		t.Errorf("PUT with a port that is free and one that is taken = %d %s, want 422", status, body)
	}
	w.apply(endpoint("example/a", r.server.URL) + port("egress", one) + port("ingress", third)) // nobody has kept it
	w.apply(endpoint("example/a", r.server.URL))
	eventually(t, "the ports are closed", func() bool { return at(one, "t") == 0 && at(other, "example/a/3") == 0 })
	eventually(t, "both messages are there", func() bool { return r.count() == 2 })
}

func TestAStandbyFollowsTheModuleAndTakesOverWithTheNewest(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	first, second := newRecorder(t), newRecorder(t)
	cfg := revised(t, endpoint("example/a", first.server.URL))
	cfg.NATSURLs = []string{url}
	owner := start(t, cfg)
	standby := begin(t, cfg)
	eventually(t, "the standby stands by", func() bool { return strings.Contains(standby.log.String(), "standing by") })
	owner.apply(endpoint("example/a", second.server.URL))
	eventually(t, "the standby follows", func() bool {
		return strings.Contains(standby.log.String(), `"revision":2,"origin":"apply"`)
	})
	owner.stop()
	standby.waitReady()
	standby.send("example/a/1")
	eventually(t, "the new owner calls the newest endpoint", func() bool { return second.count() == 1 })
	if n := first.count(); n != 0 {
		t.Errorf("the first endpoint got %d calls", n)
	}
}

func TestWhichModuleARestartedWorkerBeginsWith(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	text := func(n int) string { return endpoint("example/a", fmt.Sprintf("http://127.0.0.1:%d/", n)) }
	base, file := fromFile(t, text(1))
	base.NATSURLs, base.Watch = []string{url}, false
	begins := func(n int, age time.Duration, reset bool) gateway.ModuleInfo {
		t.Helper()
		write(t, file, text(n))
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
		cfg := revised(t, text(n))
		cfg.Sources[0].Name, cfg.Files, cfg.NATSURLs, cfg.ResetModule = file, base.Files, base.NATSURLs, reset
		w := start(t, cfg)
		defer w.stop()
		return w.revisions()[0]
	}
	want := func(what string, got gateway.ModuleInfo, revision uint64, origin string) {
		t.Helper()
		if got.Revision != revision || got.Origin != origin || !got.InPlace {
			t.Errorf("%s: %+v, want revision %d from %s", what, got, revision, origin)
		}
	}
	w := start(t, base)
	w.apply(text(2))
	w.stop()
	want("files that are as old as the first revision", begins(1, time.Hour, false), 2, "apply")
	want("files that were never seen", begins(3, time.Hour, false), 3, "files")
	want("the same files", begins(3, 0, false), 3, "files")
	want("old files again", begins(1, time.Hour, false), 3, "files")
	want("old files that were changed back", begins(1, -time.Minute, false), 4, "files")
	want("old files and --reset-module", begins(2, time.Hour, true), 5, "files")
}
