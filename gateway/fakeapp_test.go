package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// fakeApp is everything behind the HTTP surface. Nil funcs mean an app where
// all goes well.
type fakeApp struct {
	send    func(context.Context, gateway.Message) (gateway.Receipt, error)
	state   func(context.Context, actor.Address) (actor.StateView, error)
	states  func(context.Context, actor.TypeName, string, int) ([]gateway.StateItem, string, error)
	call    func(context.Context, *gateway.CallRequest) (gateway.CallReply, error)
	result  func(context.Context, string) (gateway.CallReply, error)
	once    func(key string) (gateway.Receipt, error)
	known   func(actor.TypeName) bool
	reasons []string
	list    []gateway.FunctionInfo
}

func (f *fakeApp) Send(ctx context.Context, m gateway.Message) (gateway.Receipt, error) {
	if f.send == nil {
		return gateway.Receipt{ID: "m1", Partition: 3, Seq: 7}, nil
	}
	return f.send(ctx, m)
}

func (f *fakeApp) Call(ctx context.Context, r *gateway.CallRequest) (gateway.CallReply, error) {
	return f.call(ctx, r)
}

func (f *fakeApp) Result(ctx context.Context, id string) (gateway.CallReply, error) {
	return f.result(ctx, id)
}

func (f *fakeApp) SendOnce(_ context.Context, _ gateway.Message, key string) (gateway.Receipt, error) {
	return f.once(key)
}

func (f *fakeApp) State(ctx context.Context, a actor.Address) (actor.StateView, error) {
	return f.state(ctx, a)
}

func (f *fakeApp) States(ctx context.Context, t actor.TypeName, after string, limit int) ([]gateway.StateItem, string, error) {
	return f.states(ctx, t, after, limit)
}

func (f *fakeApp) Known(t actor.TypeName) bool { return f.known == nil || f.known(t) }

func (f *fakeApp) List() []gateway.FunctionInfo { return f.list }

func (f *fakeApp) Reasons() []string { return f.reasons }

func (f *fakeApp) handler() http.Handler {
	return gateway.NewAPI(gateway.APIConfig{App: "shop", Version: "v1", Sender: f, Caller: f, States: f, Functions: f, Readiness: f})
}

// request is one for the host localhost:8080. The target is taken as it is.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	r.RequestURI, r.Host = target, "localhost:8080"
	path, query, _ := strings.Cut(target, "?")
	r.URL = &url.URL{Path: path, RawQuery: query}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantProblem checks an answer to be a problem in SURFACE's form.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, slug string, accepted bool) gateway.Problem {
	t.Helper()
	var p gateway.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("the answer %d %q is no problem: %v", w.Code, w.Body, err)
	}
	if w.Code != status || p.Status != status || p.Type != "urn:jetfn:problem:"+slug || p.Accepted != accepted {
		t.Errorf("the answer is %d %+v, want %d %s accepted %t", w.Code, p, status, slug, accepted)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("the problem's content type is %q", got)
	}
	if p.Title == "" || p.Detail == "" || len(p.TraceID) != 32 || !strings.Contains(w.Body.String(), `"accepted":`) {
		t.Errorf("the problem %s lacks a member", w.Body)
	}
	return p
}
