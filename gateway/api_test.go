package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

func TestSendStoresTheValueForExactlyThatAddress(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]actor.Address{
		"example/greeter/Bob":             bob,
		"example/greeter/a%2Fb":           {Type: greeter, ID: "a/b"},
		"example/greeter/%252F":           {Type: greeter, ID: "%2F"},
		"example/greeter/..":              {Type: greeter, ID: ".."},
		"example/greeter/.":               {Type: greeter, ID: "."},
		"example/greeter/..%2F..%2Fetc":   {Type: greeter, ID: "../../etc"},
		"example/greeter/a%2F%2Fb":        {Type: greeter, ID: "a//b"},
		"example/greeter/a+b%20c":         {Type: greeter, ID: "a+b c"},
		"example/greeter/%2A.%3E":         {Type: greeter, ID: "*.>"},
		"example/greeter/ü%2Fé":           {Type: greeter, ID: "ü/é"},
		"example/greeter/%F0%9F%98%80":    {Type: greeter, ID: "😀"},
		"example/greeter/a;b=c:d@e&f":     {Type: greeter, ID: "a;b=c:d@e&f"},
		"example/greeter/%00%0A":          {Type: greeter, ID: "\x00\n"},
		"a%2Fb/c.d/e":                     {Type: actor.TypeName{Namespace: "a/b", Name: "c.d"}, ID: "e"},
		"example/greeter/Bob?valueType=x": bob,
		"../%2E%2E/v1":                    {Type: actor.TypeName{Namespace: "..", Name: ".."}, ID: "v1"},
	} {
		var got actor.Address
		app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
			a := m.Target
			got = a
			return gateway.Receipt{ID: "m1", Partition: 3, Seq: 7}, nil
		}}
		w := serve(app.handler(), request(http.MethodPost, "/v1/send/"+path, "x"))
		if w.Code != http.StatusAccepted || got != want {
			t.Errorf("POST /v1/send/%s = %d for %+v, want 202 for %+v: %s", path, w.Code, got, want, w.Body)
		}
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]any{"id": "m1", "address": want.String(), "partition": 3.0, "seq": 7.0}, answer); diff != "" {
			t.Errorf("POST /v1/send/%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestEveryAddressCanBeSentTo(t *testing.T) {
	t.Parallel()
	var got actor.Address
	app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
		a := m.Target
		got = a
		return gateway.Receipt{}, nil
	}}
	server := httptest.NewServer(app.handler())
	t.Cleanup(server.Close)
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringN(1, 20, 60)
		want := actor.Address{
			Type: actor.TypeName{Namespace: part.Draw(t, "namespace"), Name: part.Draw(t, "type")}, ID: part.Draw(t, "id"),
		}
		path := url.PathEscape(want.Type.Namespace) + "/" + url.PathEscape(want.Type.Name) + "/" + url.PathEscape(want.ID)
		req, err := http.NewRequest(http.MethodPost, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + req.URL.Host + "/v1/send/" + path // just these bytes
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted || got != want {
			t.Errorf("POST /v1/send/%s = %d for %+v, want %+v", path, resp.StatusCode, got, want)
		}
	})
}

func TestSendRefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	h := (&fakeApp{}).handler()
	for _, path := range []string{
		"", "/", "/a", "/a/b", "/a/b/", "/a//c", "//b/c", "/a/b/c/d", "/a/b/c/", "/a/b/%zz", "/a/b/%", "/a/b/%FF", "/%/b/c",
		"/a/b/" + strings.Repeat("x", 3500), "/a/b/" + strings.Repeat("%C3%BC", 600),
	} {
		w := serve(h, request(http.MethodPost, "/v1/send"+path, "x"))
		wantProblem(t, w, http.StatusBadRequest, "bad-address", false)
	}
}

func TestSendMakesTheValueOfHeadersAndBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query   string
		headers []string
		body    string
		want    actor.Value
		slug    string
	}{
		"text":                {"", []string{"Content-Type", "text/plain"}, "hi", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02hi")}, ""},
		"text with a charset": {"", []string{"Content-Type", "text/plain; charset=utf-8"}, "hi", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02hi")}, ""},
		"a vendor type":       {"", []string{"Content-Type", "application/vnd.example/Greet"}, "\x00\xff", actor.Value{Type: "example/Greet", Data: []byte("\x00\xff")}, ""},
		"a Jetfn-Type":        {"", []string{"Jetfn-Type", "example/Greet"}, "{}", actor.Value{Type: "example/Greet", Data: []byte("{}")}, ""},
		"a typed JSON":        {"", []string{"Jetfn-Type", "a/b", "Content-Type", "application/json"}, "{}", actor.Value{Type: "a/b", Data: []byte("{}")}, ""},
		"a type in the query": {"?valueType=example%2FGreet", []string{"Content-Type", "application/json"}, "{}", actor.Value{Type: "example/Greet", Data: []byte("{}")}, ""},
		"JSON without a type": {"", []string{"Content-Type", "application/json"}, "{}", actor.Value{}, "bad-type"},
		"a form":              {"", []string{"Content-Type", "application/x-www-form-urlencoded"}, "a=b", actor.Value{}, "bad-type"},
		"broken text":         {"", []string{"Content-Type", "text/plain"}, "\xff", actor.Value{}, "bad-type"},
		"a broken type name":  {"?valueType=%FF", nil, "x", actor.Value{}, "bad-type"},
		"a packed body":       {"", []string{"Content-Type", "text/plain", "Content-Encoding", "gzip"}, "x", actor.Value{}, "bad-type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got actor.Value
			app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
				v := m.Value
				got = v
				return gateway.Receipt{}, nil
			}}
			w := serve(app.handler(), request(http.MethodPost, "/v1/send/example/greeter/Bob"+c.query, c.body, c.headers...))
			if c.slug != "" {
				wantProblem(t, w, http.StatusUnsupportedMediaType, c.slug, false)
			} else if w.Code != http.StatusAccepted {
				t.Errorf("the answer is %d %s, want 202", w.Code, w.Body)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendSaysWhetherTheMessageMayBeStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err      error
		status   int
		slug     string
		accepted bool
	}{
		"not ready":     {gateway.ErrNotReady, 503, "not-ready", false},
		"busy":          {gateway.ErrBusy, 429, "busy", false},
		"too large":     {gateway.ErrTooLarge, 413, "too-large", false},
		"bad address":   {actor.ErrBadAddress, 400, "bad-address", false},
		"unknown":       {gateway.ErrUnknown, 504, "timeout", true},
		"out of time":   {context.DeadlineExceeded, 504, "timeout", true},
		"anything":      {errors.New("disk on fire"), 500, "internal", true},
		"a lost caller": {context.Canceled, 504, "timeout", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			app := &fakeApp{send: func(context.Context, gateway.Message) (gateway.Receipt, error) {
				return gateway.Receipt{}, fmt.Errorf("store: %w", c.err)
			}}
			h := gateway.NewAPI(gateway.APIConfig{Sender: app, States: app, Functions: app, Readiness: app, Log: zerolog.New(&log)})
			w := serve(h, request(http.MethodPost, "/v1/send/example/greeter/Bob", "x"))
			p := wantProblem(t, w, c.status, c.slug, c.accepted)
			if p.Address != "example/greeter/Bob" {
				t.Errorf("the problem's address is %q", p.Address)
			}
			if retry := w.Header().Get("Retry-After"); (retry != "") != (c.status == 429 || c.status == 503) {
				t.Errorf("Retry-After of a %d = %q", c.status, retry)
			}
			if logged := log.String(); strings.Contains(logged, p.TraceID) != (c.status == 500) {
				t.Errorf("a %d was logged as %q", c.status, logged)
			}
		})
	}
}

func TestSendRefusesBeforeItStores(t *testing.T) {
	t.Parallel()
	app := &fakeApp{
		known: func(t actor.TypeName) bool { return t == greeter },
		send: func(context.Context, gateway.Message) (gateway.Receipt, error) {
			t.Error("a message was stored")
			return gateway.Receipt{}, nil
		},
	}
	const limit = 8<<20 - 64<<10
	for name, c := range map[string]struct {
		r      *http.Request
		status int
		slug   string
	}{
		"an unknown function":  {request(http.MethodPost, "/v1/send/example/nobody/Bob", "x"), 404, "unknown-function"},
		"a large body":         {request(http.MethodPost, "/v1/send/example/greeter/Bob", strings.Repeat("x", limit+1)), 413, "too-large"},
		"a broken body":        {withBody(io.MultiReader(strings.NewReader("x"), brokenReader{}), -1), 400, "bad-body"},
		"a large chunked body": {withBody(strings.NewReader(strings.Repeat("x", limit+1)), -1), 413, "too-large"},
		"another method":       {request(http.MethodPut, "/v1/send/example/greeter/Bob", "x"), 405, "method-not-allowed"},
		"an odd delay":         {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=10", "x"), 400, "bad-request"},
		"an empty delay":       {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=", "x"), 400, "bad-request"},
		"a negative delay":     {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=-1s", "x"), 400, "bad-request"},
		"a delay for ever":     {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=900000h", "x"), 400, "bad-request"},
		"two delays":           {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=1s", "x", "Jetfn-Delay", "2s"), 400, "bad-request"},
		"a long key":           {request(http.MethodPost, "/v1/send/example/greeter/Bob", "x", "Idempotency-Key", strings.Repeat("k", 256)), 400, "bad-request"},
		"jetfn's own":          {request(http.MethodPost, "/v1/send/jetfn/caller/x", "x"), 400, "bad-address"},
		"a type of two lines":  {request(http.MethodPost, "/v1/send/example/greeter/Bob?valueType=a%2Fb%0D%0AJetfn-Id:%20x", "x"), 415, "bad-type"},
		"a type with a tab":    {request(http.MethodPost, "/v1/send/example/greeter/Bob", "x", "Jetfn-Type", "a/b\tc"), 415, "bad-type"},
		"a type in spaces":     {request(http.MethodPost, "/v1/send/example/greeter/Bob?valueType=%20a%2Fb", "x"), 415, "bad-type"},
		"a medium with a tab":  {request(http.MethodPost, "/v1/send/example/greeter/Bob", "x", "Content-Type", "application/vnd.a/b\tc"), 415, "bad-type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantProblem(t, serve(app.handler(), c.r), c.status, c.slug, false)
		})
	}
}

func TestADelayGoesOnToTheSender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    *http.Request
		want time.Duration
	}{
		"in the query":  {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=1h30m", "x"), 90 * time.Minute},
		"in the header": {request(http.MethodPost, "/v1/send/example/greeter/Bob", "x", "Jetfn-Delay", "250ms"), 250 * time.Millisecond},
		"of nothing":    {request(http.MethodPost, "/v1/send/example/greeter/Bob?delay=0s", "x"), 0},
		"nowhere":       {request(http.MethodPost, "/v1/send/example/greeter/Bob", "x"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := time.Duration(-1)
			app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
				got = m.Delay
				return gateway.Receipt{}, nil
			}}
			if w := serve(app.handler(), c.r); w.Code != http.StatusAccepted || got != c.want {
				t.Errorf("the answer is %d %s, the delay %v, want 202 and %v", w.Code, w.Body, got, c.want)
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func withBody(body io.Reader, length int64) *http.Request {
	r := request(http.MethodPost, "/v1/send/example/greeter/Bob", "")
	r.Body, r.ContentLength = io.NopCloser(body), length
	return r
}

func TestABodyOfJustTheLimitIsStored(t *testing.T) {
	t.Parallel()
	w := serve((&fakeApp{}).handler(), request(http.MethodPost, "/v1/send/example/greeter/Bob", strings.Repeat("x", 8<<20-64<<10)))
	if w.Code != http.StatusAccepted {
		t.Errorf("the answer is %d %s, want 202", w.Code, w.Body)
	}
}

func TestTheTraceGoesOnAndIsNamedInProblems(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	for parent, valid := range map[string]bool{
		"00-" + id + "-b7ad6b7169203331-01":                      true,
		"01-" + id + "-b7ad6b7169203331-01-more":                 true,
		"00-" + id + "-b7ad6b7169203331-01-more":                 false,
		"ff-" + id + "-b7ad6b7169203331-01":                      false,
		"00-" + strings.ToUpper(id) + "-b7ad6b7169203331-01":     false,
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01": false,
		"00-" + id + "-0000000000000000-01":                      false,
		"00-" + id:                                               false,
		"":                                                       false,
	} {
		var got actor.Trace
		app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
			tr := m.Trace
			got = tr
			return gateway.Receipt{}, gateway.ErrBusy
		}}
		w := serve(app.handler(), request(http.MethodPost, "/v1/send/example/greeter/Bob", "x", "Traceparent", parent, "Tracestate", "a=1", "Tracestate", "b=2"))
		p := wantProblem(t, w, http.StatusTooManyRequests, "busy", false)
		if want := (actor.Trace{Parent: parent, State: "a=1,b=2"}); valid && got != want || !valid && got != (actor.Trace{}) {
			t.Errorf("traceparent %q went on as %+v", parent, got)
		}
		if (p.TraceID == id) != valid {
			t.Errorf("traceparent %q made the trace id %s", parent, p.TraceID)
		}
	}
}

func TestStateShowsEveryValueWithItsText(t *testing.T) {
	t.Parallel()
	app := &fakeApp{state: func(_ context.Context, a actor.Address) (actor.StateView, error) {
		if a != (actor.Address{Type: greeter, ID: "a/b"}) {
			t.Errorf("State(%+v), want a/b", a)
		}
		return actor.StateView{Partition: 5, Commit: 9, Revision: 12, State: actor.State{
			{Name: "empty", Value: actor.Value{Type: actor.StringType}, WrittenAt: 1},
			{Name: "raw", Value: actor.Value{Type: "example/raw", Data: []byte{0xff}}, WrittenAt: 2, ExpiresAt: 3},
			{Name: "seen", Value: actor.Value{Type: "io.statefun.types/int", Data: []byte("\x0d\x29\x00\x00\x00")}, WrittenAt: 4},
		}}, nil
	}}
	w := serve(app.handler(), request(http.MethodGet, "/v1/state/example/greeter/a%2Fb", ""))
	want := `{"address":"example/greeter/a/b","partition":5,"revision":9,"values":{` +
		`"empty":{"type":"io.statefun.types/string","value":"","text":"","writtenAt":1},` +
		`"raw":{"type":"example/raw","value":"/w==","writtenAt":2,"expiresAt":3},` +
		`"seen":{"type":"io.statefun.types/int","value":"DSkAAAA=","text":"41","writtenAt":4}}}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); w.Code != http.StatusOK || diff != "" {
		t.Errorf("GET state = %d (-want +got):\n%s", w.Code, diff)
	}
}

func TestStateSaysWhyThereIsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		slug   string
	}{
		"an empty view":  {nil, 404, "not-found"},
		"not found":      {gateway.ErrNotFound, 404, "not-found"},
		"the core's own": {actor.ErrNotFound, 404, "not-found"},
		"not ready":      {gateway.ErrNotReady, 503, "not-ready"},
		"a time-out":     {context.DeadlineExceeded, 504, "timeout"},
		"something else": {errors.New("x"), 500, "internal"},
	} {
		app := &fakeApp{state: func(context.Context, actor.Address) (actor.StateView, error) { return actor.StateView{}, c.err }}
		w := serve(app.handler(), request(http.MethodGet, "/v1/state/example/greeter/Bob", ""))
		if p := wantProblem(t, w, c.status, c.slug, false); p.Address != "example/greeter/Bob" {
			t.Errorf("%s: the problem's address is %q", name, p.Address)
		}
	}
}

func TestStatesAreListedInPages(t *testing.T) {
	t.Parallel()
	app := &fakeApp{states: func(_ context.Context, typ actor.TypeName, after string, limit int) ([]gateway.StateItem, string, error) {
		if typ != greeter {
			t.Errorf("States(%s), want %s", typ, greeter)
		}
		if after == "end" {
			return nil, "", nil
		}
		return []gateway.StateItem{{Address: actor.Address{Type: typ, ID: fmt.Sprintf("%s-%d", after, limit)}}}, "end", nil
	}}
	for target, want := range map[string]string{
		"/v1/state/example/greeter":                     `{"items":[{"address":"example/greeter/-100","partition":0,"revision":0,"values":{}}],"next":"end"}`,
		"/v1/state/example/greeter?after=a%2Fb&limit=7": `{"items":[{"address":"example/greeter/a/b-7","partition":0,"revision":0,"values":{}}],"next":"end"}`,
		"/v1/state/example/greeter?after=end":           `{"items":[]}`,
	} {
		w := serve(app.handler(), request(http.MethodGet, target, ""))
		if diff := cmp.Diff(want+"\n", w.Body.String()); diff != "" {
			t.Errorf("GET %s (-want +got):\n%s", target, diff)
		}
	}
	for _, limit := range []string{"0", "-1", "1001", "x"} {
		wantProblem(t, serve(app.handler(), request(http.MethodGet, "/v1/state/example/greeter?limit="+limit, "")), 400, "bad-request", false)
	}
	for _, path := range []string{"/v1/state", "/v1/state/", "/v1/state/a", "/v1/state/a/", "/v1/state//b", "/v1/state/a/b/", "/v1/state/a/b/c/d"} {
		wantProblem(t, serve(app.handler(), request(http.MethodGet, path, "")), 400, "bad-address", false)
	}
}

func TestTheOtherPages(t *testing.T) {
	t.Parallel()
	ready := &fakeApp{list: []gateway.FunctionInfo{{Type: "example/*", Kind: "http", Endpoint: "http://host/x", MaxBatch: 1000}}}
	waiting := &fakeApp{reasons: []string{"partition 3 is not recovered"}}
	for name, c := range map[string]struct {
		app    *fakeApp
		method string
		target string
		status int
		body   string
	}{
		"health":        {waiting, "GET", "/healthz", 200, "ok\n"},
		"ready":         {ready, "GET", "/readyz", 200, `{"ready":true}` + "\n"},
		"not ready":     {waiting, "GET", "/readyz", 503, `{"ready":false,"reasons":["partition 3 is not recovered"]}` + "\n"},
		"functions":     {ready, "GET", "/v1/functions", 200, `{"items":[{"type":"example/*","kind":"http","endpoint":"http://host/x","maxNumBatchRequests":1000,"paused":false}]}` + "\n"},
		"no functions":  {waiting, "GET", "/v1/functions", 200, `{"items":[]}` + "\n"},
		"absolute form": {ready, "GET", "http://localhost:8080/readyz?x=/y", 200, `{"ready":true}` + "\n"},
	} {
		w := serve(c.app.handler(), request(c.method, c.target, ""))
		if w.Code != c.status || w.Body.String() != c.body {
			t.Errorf("%s: %s %s = %d %q, want %d %q", name, c.method, c.target, w.Code, w.Body, c.status, c.body)
		}
	}
	if w := serve(ready.handler(), request("GET", "/", "")); w.Code != 200 || !strings.Contains(w.Body.String(), "/v1/send/{namespace}") || !strings.Contains(w.Body.String(), "shop") {
		t.Errorf("GET / = %d %q", w.Code, w.Body)
	}
	for _, target := range []string{"/metrics", "/v1", "/v1/", "/v2/send/a/b/c", "//", "/healthz/", "/v1/functions/", "*"} {
		wantProblem(t, serve(ready.handler(), request("GET", target, "")), 404, "not-found", false)
	}
	w := serve(ready.handler(), request("POST", "/readyz", ""))
	wantProblem(t, w, 405, "method-not-allowed", false)
	if got := w.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow of /readyz = %q", got)
	}
}

func TestMetricsAreServedByTheirHandler(t *testing.T) {
	t.Parallel()
	app := &fakeApp{}
	h := gateway.NewAPI(gateway.APIConfig{
		Sender: app, States: app, Functions: app, Readiness: app,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "jetfn_x 1\n") }),
	})
	if w := serve(h, request("GET", "/metrics", "")); w.Body.String() != "jetfn_x 1\n" {
		t.Errorf("GET /metrics = %d %q", w.Code, w.Body)
	}
}
