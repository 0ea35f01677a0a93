package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// document is what a test needs of an OpenAPI document.
type document struct {
	OpenAPI    string
	Paths      map[string]map[string]documented
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct{ Enum []string }
		}
	}
}

// documented is one operation.
type documented struct {
	Summary     string
	Role        string `json:"x-role"`
	Security    []map[string][]string
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct{ Schema bodySchema }
	}
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema map[string]any }
	}
}

func describe(tb testing.TB, h http.Handler) document {
	tb.Helper()
	w := serve(h, request("GET", "/openapi.json", ""))
	var d document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		tb.Fatalf("GET /openapi.json = %d %s %v", w.Code, w.Body, err)
	}
	return d
}

// letters is a dead-letter queue with one letter, called known.
type letters struct{}

func (letters) one(id string) (gateway.DeadLetter, error) {
	if id != "Bob" {
		return gateway.DeadLetter{}, gateway.ErrNotFound
	}
	return gateway.DeadLetter{ID: id, Address: "example/greeter/Bob", Type: hello.Type, Value: hello.Data, Reason: "status"}, nil
}

func (l letters) DeadLetters(context.Context, gateway.DeadLetterQuery) ([]gateway.DeadLetter, string, error) {
	one, err := l.one("Bob")
	return []gateway.DeadLetter{one}, "next", err
}

func (l letters) DeadLetter(_ context.Context, id string) (gateway.DeadLetter, error) {
	return l.one(id)
}

func (l letters) ReplayDeadLetter(_ context.Context, id string) (gateway.DeadLetter, error) {
	return l.one(id)
}

func (letters) ReplayDeadLetters(context.Context, gateway.DeadLetterQuery) (gateway.ReplayedPage, error) {
	return gateway.ReplayedPage{Replayed: 1}, nil
}

func (l letters) DropDeadLetter(_ context.Context, id string) error {
	_, err := l.one(id)
	return err
}

func (letters) DropDeadLetters(context.Context, actor.TypeName) (int, error) { return 1, nil }

// desk pauses nothing, and edits states that aren't there.
type desk struct{}

func (desk) Paused(actor.PauseKey) bool                              { return false }
func (desk) AllPaused() []gateway.Pause                              { return nil }
func (desk) SetPaused(context.Context, actor.PauseKey, bool) error   { return nil }
func (desk) DeclaredType(actor.TypeName, string) string              { return "" }
func (desk) Backlog(context.Context) (map[actor.TypeName]int, error) { return nil, nil }

func (desk) EditState(_ context.Context, _ actor.Address, decide actor.Edit) (actor.StateView, error) {
	view := actor.StateView{State: actor.State{{Name: "seen", Value: hello}}}
	_, err := decide(view, 0)
	return view, err
}

// whole is an application of which everything is there.
func whole(access gateway.Access) http.Handler {
	app := &fakeApp{
		state: func(_ context.Context, a actor.Address) (actor.StateView, error) {
			if a.ID == "nobody" {
				return actor.StateView{}, gateway.ErrNotFound
			}
			return actor.StateView{State: actor.State{{Name: "seen", Value: hello}}}, nil
		},
		states: func(context.Context, actor.TypeName, string, int) ([]gateway.StateItem, string, error) {
			return []gateway.StateItem{{Address: bob}}, "next", nil
		},
		call: func(context.Context, *gateway.CallRequest) (gateway.CallReply, error) {
			return gateway.CallReply{CallID: "c1", Value: hello}, nil
		},
		result: func(_ context.Context, id string) (gateway.CallReply, error) {
			return gateway.CallReply{CallID: id, Value: hello}, nil
		},
		once:  func(string) (gateway.Receipt, error) { return gateway.Receipt{ID: "m1"}, nil },
		known: func(t actor.TypeName) bool { return t.Namespace != "unknown" },
		list:  []gateway.FunctionInfo{{Type: "example/greeter"}},
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte("up 1\n"))
	})
	return gateway.NewAPI(gateway.APIConfig{
		App: "shop", Version: "v1", Sender: app, Caller: app, States: app, Functions: app, Readiness: app,
		Pauses: desk{}, StateEditor: desk{}, DeadLetters: letters{}, DeadLetterDesk: letters{}, Timers: pendingTimers{}, Modules: revisions{},
		LogLevel: &level{name: "info"}, Overview: glance{}, Tail: glance{},
		Metrics: metrics, Access: access, MaxBodyBytes: 1000,
	})
}

// glance tells of an application that does nothing.
type glance struct{}

func (glance) Partitions(context.Context) ([]gateway.PartitionInfo, error) {
	return []gateway.PartitionInfo{{Owner: "worker", Up: true}}, nil
}

func (glance) Top(context.Context) (gateway.Top, error) {
	return gateway.Top{Functions: []gateway.TopFunction{}, Parts: []gateway.PartitionInfo{}}, nil
}

func (glance) Inspect(_ context.Context, a actor.Address) (gateway.Inspection, error) {
	return gateway.Inspection{
		Address: a.String(), Phase: "idle", State: gateway.NewAddressState(a, actor.StateView{}), Messages: []gateway.QueuedMessage{}, Timers: []gateway.Timer{},
	}, nil
}

func (glance) Tail(_ context.Context, _ gateway.TailQuery, emit func(*gateway.TailEvent) error) error {
	return emit(&gateway.TailEvent{At: "2026-01-02T15:04:05.000Z", Kind: gateway.TailEgress, Address: "example/greeter/Ada"})
}

// level is a log's.
type level struct {
	mu   sync.Mutex
	name string
}

func (l *level) Level() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name
}

func (l *level) SetLevel(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != "debug" && name != "info" {
		return gateway.ErrLevel
	}
	l.name = name
	return nil
}

func TestEveryRouteIsDescribedAndNothingElse(t *testing.T) {
	t.Parallel()
	answered, listed := gateway.Routes(whole(gateway.Access{}))
	if diff := cmp.Diff(answered, listed); diff != "" {
		t.Errorf("routes of the table (-) and of operations.go (+) differ:\n%s", diff)
	}
	d := describe(t, whole(gateway.Access{}))
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("the document is of OpenAPI %q", d.OpenAPI)
	}
	for path, operations := range d.Paths {
		for method, op := range operations {
			if op.Summary == "" || op.Role == "" || op.Responses["429"].Description == "" || op.Responses["500"].Description == "" {
				t.Errorf("%s %s is described by too little: %+v", method, path, op)
			}
			if public := op.Role == "public"; public != (len(op.Security) == 0) || public != (op.Responses["401"].Description == "") {
				t.Errorf("%s %s has the role %s and asks for %v", method, path, op.Role, op.Security)
			}
			named := 0
			for _, p := range op.Parameters {
				if p.In == "path" && strings.Contains(path, "{"+p.Name+"}") {
					named++
				}
			}
			if named != strings.Count(path, "{") {
				t.Errorf("%s %s: %d parts of the path are described", method, path, named)
			}
		}
	}
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, m := range regexp.MustCompile(`slug = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		declared = append(declared, "urn:jetfn:problem:"+m[1])
	}
	enum := d.Components.Schemas["Problem"].Properties["type"].Enum
	if diff := cmp.Diff(slices.Sorted(slices.Values(declared)), slices.Sorted(slices.Values(enum))); diff != "" {
		t.Errorf("problems of problem.go (-) and of the document (+) differ:\n%s", diff)
	}
	page, err := os.ReadFile(filepath.Join("..", "docs", "reference.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| slug | status |")
	for _, name := range declared {
		if slug := strings.TrimPrefix(name, "urn:jetfn:problem:"); !strings.Contains(table, "`"+slug+"`") {
			t.Errorf("docs/reference.md lacks the slug %s", slug)
		}
	}
}

func TestLookingNeedsReadChangingAdminAndSendingIngress(t *testing.T) {
	t.Parallel()
	for path, operations := range describe(t, whole(gateway.Access{})).Paths {
		for method, op := range operations {
			want := "admin"
			switch {
			case slices.Contains([]string{"/", "/healthz", "/readyz", "/openapi.json"}, path):
				want = "public"
			case strings.HasPrefix(path, "/v1/send/"), strings.HasPrefix(path, "/v1/call"):
				want = "ingress"
			case method == "get":
				want = "read"
			}
			if op.Role != want {
				t.Errorf("%s %s is for the role %s, want %s", method, path, op.Role, want)
			}
		}
	}
}

func TestRoutesAnswerAsTheyAreDescribed(t *testing.T) {
	t.Parallel()
	open, guarded := whole(gateway.Access{}), whole(gateway.Access{Tokens: tokens(t, tokenFile)})
	d := describe(t, open)
	fill := strings.NewReplacer("{namespace}", "example", "{type}", "greeter", "{id}", "Bob", "{name}", "seen", "{revision}", "7")
	for path, operations := range d.Paths {
		for method, op := range operations {
			method, target := strings.ToUpper(method), fill.Replace(path)
			w := serve(open, request(method, target, "x"))
			op.check(t, method+" "+target, w)
			if op.Role == "public" {
				continue
			}
			if w.Code == http.StatusNotFound && !strings.Contains(w.Body.String(), "urn:jetfn") {
				t.Errorf("%s %s is described and not there", method, target)
			}
			w = serve(guarded, request(method, target, "x"))
			wantProblem(t, w, http.StatusUnauthorized, "unauthorized", false)
			for token, role := range map[string]string{ingressToken: "ingress", readToken: "read", adminToken: "admin"} {
				w := serve(guarded, request(method, target, "x", "Authorization", "Bearer "+token))
				if allowed := w.Code != http.StatusForbidden; allowed != (role == op.Role || role == "admin") {
					t.Errorf("%s %s is for %s, and answers %s with %d", method, target, op.Role, role, w.Code)
				}
			}
			w = serve(open, request(method, target, "x", "Origin", "http://evil.example"))
			wantProblem(t, w, http.StatusForbidden, "forbidden", false)
		}
	}
}

// check compares an answer with those that the document allows.
func (op *documented) check(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	r, ok := op.Responses[strconv.Itoa(w.Code)]
	if !ok {
		t.Errorf("%s is answered %d %s, which is not described", what, w.Code, w.Body)
		return
	}
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	content, ok := r.Content[media]
	if !ok && (media != "" || len(r.Content) > 0) && r.Content["*/*"].Schema == nil {
		t.Errorf("%s is answered %d with the content type %q, described are %v", what, w.Code, media, r.Content)
	}
	if content.Schema["type"] == "object" {
		var members map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &members); err != nil {
			t.Errorf("%s is answered %s, described is an object", what, w.Body)
		}
		required, _ := content.Schema["required"].([]any)
		for _, name := range required {
			if _, ok := members[name.(string)]; !ok {
				t.Errorf("%s is answered %s, which lacks %s", what, w.Body, name)
			}
		}
	}
}

// FuzzAPI reads requests from bytes. Whatever they say, nothing panics, and
// what is no success is a problem, and described if its path is.
func FuzzAPI(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /readyz HTTP/1.0\r\n\r\n",
		"POST /v1/send/example/greeter/Bob?valueType=a/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
		"POST /v1/send/example/greeter/%F0%9F%98%80 HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: application/vnd.a/b\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		"POST /v1/send/../%2e%2e/%2e HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n",
		"GET /v1/state/example/greeter?limit=-1&after=%00;x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /v1/state/example/greeter/nobody HTTP/1.1\r\nHost: localhost\r\nTraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
		"GET http://evil.example/v1/functions HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n",
		"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n",
	} {
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(seed))); err != nil {
			f.Fatalf("the seed %q is no request: %v", seed, err)
		}
		f.Add([]byte(seed))
	}
	h := whole(gateway.Access{})
	d := describe(f, h)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return // net/http itself refuses it: no handler sees it
		}
		w := serve(h, r)
		if w.Code >= http.StatusInternalServerError && w.Code != http.StatusNotImplemented {
			t.Errorf("%q is answered %d %s", data, w.Code, w.Body)
		}
		if w.Code >= http.StatusBadRequest && w.Code != http.StatusMethodNotAllowed {
			var p gateway.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%q is answered %d %s, which is no problem: %v", data, w.Code, w.Body, err)
			}
		}
		if op, ok := d.find(r); ok && r.Host == "localhost" {
			op.check(t, r.Method+" "+r.RequestURI, w)
		}
	})
}

// find is the operation that a request's path and method have in the document.
func (d *document) find(r *http.Request) (documented, bool) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	parts := strings.Split(path, "/")
	for template, operations := range d.Paths {
		op, ok := operations[strings.ToLower(r.Method)]
		form := strings.Split(template, "/")
		if !ok || len(form) != len(parts) {
			continue
		}
		matches := true
		for i := range form {
			matches = matches && (form[i] == parts[i] || strings.HasPrefix(form[i], "{"))
		}
		if matches {
			return op, true
		}
	}
	return documented{}, false
}
