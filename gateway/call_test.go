package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

const callPath = "/v1/call/example/greeter/Bob"

// answeringCalls is an app that gives every call the same answer.
func answeringCalls(reply gateway.CallReply, err error) *fakeApp {
	return &fakeApp{
		call:   func(context.Context, *gateway.CallRequest) (gateway.CallReply, error) { return reply, err },
		result: func(context.Context, string) (gateway.CallReply, error) { return reply, err },
	}
}

func text(s string) actor.Value {
	v, bad := actor.TextValue([]byte(s))
	if bad != nil {
		panic(bad.Detail)
	}
	return v
}

func TestACallIsHandedOnAsItWasMade(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		headers []string
		want    gateway.CallRequest
	}{
		"plain": {
			[]string{"Traceparent", parent},
			gateway.CallRequest{Target: bob, Value: text("hello"), Trace: actor.Trace{Parent: parent}},
		},
		"with everything": {
			[]string{"Traceparent", parent, "Tracestate", "a=b", "Idempotency-Key", "k", "Prefer", "return=minimal", "Prefer", "wait=3; x, Respond-Async", "Jetfn-Type", "a/b"},
			gateway.CallRequest{
				Target: bob, Value: actor.Value{Type: "a/b", Data: []byte("hello")}, Trace: actor.Trace{Parent: parent, State: "a=b"},
				Key: "k", Async: true,
			},
		},
	} {
		var got gateway.CallRequest
		app := &fakeApp{call: func(_ context.Context, r *gateway.CallRequest) (gateway.CallReply, error) {
			got = *r
			return gateway.CallReply{CallID: "c"}, nil
		}}
		serve(app.handler(), request(http.MethodPost, callPath, "hello", c.headers...))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: call (-want +got):\n%s", name, diff)
		}
	}
}

func TestACallWithoutATraceBeginsOne(t *testing.T) {
	t.Parallel()
	var got actor.Trace
	app := &fakeApp{call: func(_ context.Context, r *gateway.CallRequest) (gateway.CallReply, error) {
		got = r.Trace
		return gateway.CallReply{}, gateway.ErrTimeout
	}}
	w := serve(app.handler(), request(http.MethodPost, callPath, "hello", "Traceparent", "00-nonsense"))
	id := gateway.TraceID(got)
	if len(id) != 32 || w.Header().Get("Traceparent") != got.Parent {
		t.Errorf("trace %+v, the answer says %q", got, w.Header().Get("Traceparent"))
	}
	if p := wantProblem(t, w, 504, "timeout", true); p.TraceID != id {
		t.Errorf("the problem is of trace %s, want %s", p.TraceID, id)
	}
}

func TestAnswersAreShownByTheirType(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value   actor.Value
		accept  string
		status  int
		headers map[string]string
		body    string
	}{
		"text":                     {text("grüße"), "", 200, map[string]string{"Jetfn-Type": actor.StringType, "Content-Type": "text/plain; charset=utf-8"}, "grüße"},
		"empty text":               {text(""), "*/*", 200, map[string]string{"Jetfn-Type": actor.StringType, "Content-Type": "text/plain; charset=utf-8"}, ""},
		"bytes":                    {actor.Value{Type: "a/b", Data: []byte{0, 255}}, "text/html, application/json", 200, map[string]string{"Jetfn-Type": "a/b", "Content-Type": "application/octet-stream"}, "\x00\xff"},
		"nothing":                  {actor.Value{}, "application/json", 204, map[string]string{"Jetfn-Type": "", "Content-Type": ""}, ""},
		"JSON of text":             {text("hi"), "application/json;q=0.9, */*", 200, map[string]string{"Content-Type": "application/json"}, `{"type":"io.statefun.types/string","value":"CgJoaQ==","text":"hi"}` + "\n"},
		"JSON of bytes":            {actor.Value{Type: "a/b"}, "Application/JSON", 200, map[string]string{"Jetfn-Type": "a/b"}, `{"type":"a/b","value":""}` + "\n"},
		"a type that is no header": {actor.Value{Type: "a/b\r\nX-Evil: 1\x7F", Data: []byte("x")}, "", 200, map[string]string{"Jetfn-Type": "a/b%0D%0AX-Evil: 1%7F", "X-Evil": ""}, "x"},
	} {
		app := answeringCalls(gateway.CallReply{CallID: "c-1", Value: c.value}, nil)
		for _, r := range []*http.Request{
			request(http.MethodPost, callPath, "hello", "Accept", c.accept),
			request(http.MethodGet, "/v1/calls/c-1", "", "Accept", c.accept),
		} {
			w := serve(app.handler(), r)
			if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Jetfn-Call-Id") != "c-1" {
				t.Errorf("%s: %s = %d %q, call %q; want %d %q", name, r.RequestURI, w.Code, w.Body, w.Header().Get("Jetfn-Call-Id"), c.status, c.body)
			}
			for header, want := range c.headers {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %s: %s = %q, want %q", name, r.RequestURI, header, got, want)
				}
			}
		}
	}
}

func TestAPendingCallSaysWhereItsAnswerWillBe(t *testing.T) {
	t.Parallel()
	app := answeringCalls(gateway.CallReply{CallID: "a-1", Pending: true}, nil)
	for _, r := range []*http.Request{
		request(http.MethodPost, callPath, "hello", "Prefer", "respond-async"),
		request(http.MethodGet, "/v1/calls/a-1", ""),
	} {
		w := serve(app.handler(), r)
		if w.Code != http.StatusAccepted || w.Header().Get("Location") != "/v1/calls/a-1" || w.Header().Get("Jetfn-Call-Id") != "a-1" || w.Body.String() != `{"id":"a-1"}`+"\n" {
			t.Errorf("%s %s = %d %v %s", r.Method, r.RequestURI, w.Code, w.Header(), w.Body)
		}
	}
}

func TestEveryProblemOfACallHasItsForm(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]struct {
		status   int
		slug     string
		accepted bool
	}{
		gateway.ErrNotReady:    {503, "not-ready", false},
		gateway.ErrPaused:      {503, "paused", false},
		gateway.ErrBusy:        {429, "busy", false},
		gateway.ErrTooLarge:    {413, "too-large", false},
		gateway.ErrKeyMismatch: {422, "idempotency-mismatch", false},
		gateway.ErrTimeout:     {504, "timeout", true},
		gateway.ErrUnknown:     {504, "timeout", true},
		actor.ErrBadAddress:    {400, "bad-address", false},
		context.Canceled:       {504, "timeout", true},
		http.ErrAbortHandler:   {500, "internal", true},
	} {
		app := answeringCalls(gateway.CallReply{CallID: "k-1"}, fmt.Errorf("wrapped: %w", err))
		w := serve(app.handler(), request(http.MethodPost, callPath, "hello"))
		wantProblem(t, w, want.status, want.slug, want.accepted)
		if w.Header().Get("Jetfn-Call-Id") != "k-1" {
			t.Errorf("%v: the answer names the call %q", err, w.Header().Get("Jetfn-Call-Id"))
		}
	}
	app := answeringCalls(gateway.CallReply{CallID: "k-1", Failure: &gateway.CallFailure{DeadLetterID: "d-1", Reason: "status", Error: "no", Attempts: 3}}, nil)
	for _, r := range []*http.Request{request(http.MethodPost, callPath, "hello"), request(http.MethodGet, "/v1/calls/k-1", "")} {
		p := wantProblem(t, serve(app.handler(), r), 502, "function-failed", true)
		if p.DeadLetterID != "d-1" || p.Attempts != 3 || p.Detail != "status: no" {
			t.Errorf("problem = %+v", p)
		}
	}
	wantProblem(t, serve(answeringCalls(gateway.CallReply{}, gateway.ErrNotFound).handler(), request(http.MethodGet, "/v1/calls/x", "")), 404, "not-found", false)
	wantProblem(t, serve(answeringCalls(gateway.CallReply{}, gateway.ErrTimeout).handler(), request(http.MethodGet, "/v1/calls/x", "")), 504, "timeout", false)
	unknown := answeringCalls(gateway.CallReply{}, nil)
	unknown.known = func(actor.TypeName) bool { return false }
	wantProblem(t, serve(unknown.handler(), request(http.MethodPost, callPath, "hello")), 404, "unknown-function", false)
}

func TestACallWaitsAsLongAsItWasTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		app := &fakeApp{call: func(ctx context.Context, _ *gateway.CallRequest) (gateway.CallReply, error) {
			<-ctx.Done()
			return gateway.CallReply{}, fmt.Errorf("%w: %w", gateway.ErrTimeout, ctx.Err())
		}}
		for query, want := range map[string]time.Duration{"": 30 * time.Second, "?timeout=1.5s": 1500 * time.Millisecond, "?timeout=10m": 10 * time.Minute} {
			began := time.Now()
			wantProblem(t, serve(app.handler(), request(http.MethodPost, callPath+query, "hello")), 504, "timeout", true)
			if took := time.Since(began); took != want {
				t.Errorf("timeout %q: waited %v, want %v", query, took, want)
			}
		}
		for _, query := range []string{"?timeout=10m1ms", "?timeout=-1s", "?timeout=0", "?timeout=5", "?timeout=x"} {
			wantProblem(t, serve(app.handler(), request(http.MethodPost, callPath+query, "hello")), 400, "bad-request", false)
		}
		r := request(http.MethodPost, callPath, "hello")
		ctx, gone := context.WithTimeout(r.Context(), time.Second)
		defer gone()
		began := time.Now()
		serve(app.handler(), r.WithContext(ctx))
		if took := time.Since(began); took != time.Second {
			t.Errorf("the call of a client that went after 1 s took %v", took)
		}
	})
}

func TestASendWithAKeyIsDoneOnce(t *testing.T) {
	t.Parallel()
	app := &fakeApp{once: func(key string) (gateway.Receipt, error) {
		if key == "other" {
			return gateway.Receipt{}, gateway.ErrKeyMismatch
		}
		return gateway.Receipt{ID: "m-" + key, Partition: 3, Seq: 7}, nil
	}}
	send := func(key string) *httptest.ResponseRecorder {
		return serve(app.handler(), request(http.MethodPost, "/v1/send/example/greeter/Bob", "x", "Idempotency-Key", key))
	}
	if w := send("k"); w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"id":"m-k"`) {
		t.Errorf("send = %d %s", w.Code, w.Body)
	}
	wantProblem(t, send("other"), 422, "idempotency-mismatch", false)
}
