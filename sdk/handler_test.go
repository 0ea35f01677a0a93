package sdk_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jetfn/jetfn/sdk"
)

func serve(t *testing.T, r *sdk.Registry, opts ...sdk.HandlerOption) func(req *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	h := sdk.Handler(r, opts...)
	return func(req *http.Request) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec
	}
}

func post(body []byte) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/any/path", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/octet-stream")
	return req
}

func TestHandlerAnswersACall(t *testing.T) {
	t.Parallel()
	got := serve(t, vectorRegistry(t))(post(vector(t, "v3/to_first_no_state")))
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("POST = %d, %q", got.Code, got.Header())
	}
	if decode3(t, got.Body.Bytes()).GetIncompleteInvocationContext() == nil {
		t.Errorf("POST = %q, want the missing states", got.Body)
	}
}

func TestHandlerRefusesWhatIsNoCall(t *testing.T) {
	t.Parallel()
	call := vector(t, "v3/to_noop")
	for name, c := range map[string]struct {
		change func(req *http.Request)
		body   []byte
		want   int
	}{
		"method":           {func(r *http.Request) { r.Method = http.MethodPut }, call, http.StatusMethodNotAllowed},
		"content type":     {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, call, http.StatusUnsupportedMediaType},
		"no content type":  {func(r *http.Request) { r.Header.Del("Content-Type") }, call, http.StatusOK},
		"empty":            {func(*http.Request) {}, nil, http.StatusBadRequest},
		"garbage":          {func(*http.Request) {}, []byte("garbage"), http.StatusBadRequest},
		"too large":        {func(*http.Request) {}, bytes.Repeat([]byte("x"), 200), http.StatusRequestEntityTooLarge},
		"unknown function": {func(*http.Request) {}, bytes.Replace(call, []byte("noop"), []byte("nope"), 1), http.StatusInternalServerError},
		"health":           {func(r *http.Request) { r.Method, r.URL.Path = http.MethodGet, "/healthz" }, nil, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := post(c.body)
			c.change(req)
			if got := serve(t, vectorRegistry(t), sdk.WithMaxBody(100))(req); got.Code != c.want {
				t.Errorf("%s = %d %q, want %d", name, got.Code, got.Body, c.want)
			}
		})
	}
}

func TestHandlerSaysWhatBecomesOfAFailedCall(t *testing.T) {
	t.Parallel()
	own := errors.New("out of tea")
	for name, c := range map[string]struct {
		err    error
		status int
		after  string
	}{
		"error":       {own, http.StatusInternalServerError, ""},
		"never":       {sdk.Never(own), http.StatusBadRequest, ""},
		"retry after": {sdk.RetryAfter(1500*time.Millisecond, own), http.StatusInternalServerError, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registry(t, sdk.Function{Type: "example/noop", Invoke: func(sdk.Context, sdk.Message) error { return c.err }})
			got := serve(t, r)(post(vector(t, "v3/to_noop")))
			if after := got.Header().Get("Retry-After"); got.Code != c.status || after != c.after || !strings.Contains(got.Body.String(), "out of tea") {
				t.Errorf("call = %d, Retry-After %q, %q", got.Code, after, got.Body)
			}
		})
	}
}

func TestHandlerShortensTheTextOfAnError(t *testing.T) {
	t.Parallel()
	r := registry(t, sdk.Function{Type: "example/noop", Invoke: func(sdk.Context, sdk.Message) error {
		return errors.New(strings.Repeat("x", 1<<20))
	}})
	if got := serve(t, r)(post(vector(t, "v3/to_noop"))); got.Body.Len() > 4<<10+1 || got.Code != http.StatusInternalServerError {
		t.Errorf("call = %d with %d bytes, want 4 KiB at most", got.Code, got.Body.Len())
	}
}

func TestHandlerTellsAttemptAndTrace(t *testing.T) {
	t.Parallel()
	r := registry(t, sdk.Function{Type: "example/noop", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		if parent, _ := ctx.Trace(); parent != "00-1-2-01" || ctx.Attempt() != 3 {
			t.Errorf("trace %q, attempt %d", parent, ctx.Attempt())
		}
		return nil
	}})
	req := post(vector(t, "v3/to_noop"))
	req.Header.Set("Jetfn-Attempt", "3")
	req.Header.Set("traceparent", "00-1-2-01")
	if got := serve(t, r)(req); got.Code != http.StatusOK {
		t.Errorf("call = %d %q", got.Code, got.Body)
	}
}

func FuzzHandler(f *testing.F) {
	fn := func(ctx sdk.Context, m sdk.Message) error { ctx.Send(ctx.Self(), m); return nil }
	r, err := sdk.NewRegistry([]sdk.Function{{Type: "example/*", Invoke: fn}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("\xa2\x06\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := serve(t, r)(post(body))
		if got.Code != http.StatusOK && got.Code != http.StatusBadRequest && got.Code != http.StatusInternalServerError {
			t.Errorf("call = %d %q", got.Code, got.Body)
		}
	})
}
