package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/wire"
)

// goFunction is an actor.Function made of a func.
type goFunction func(ctx context.Context, b *actor.Batch) (*actor.Effects, error)

func (f goFunction) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	return f(ctx, b)
}

func textOf(tb testing.TB, v actor.Value) string {
	tb.Helper()
	text, ok := wire.Text(v.Type, v.Data)
	if !ok {
		tb.Errorf("value of type %s is no text", v.Type)
	}
	return text
}

func stringValue(tb testing.TB, s string) actor.Value {
	tb.Helper()
	v, bad := actor.TextValue([]byte(s))
	if bad != nil {
		tb.Error(bad.Detail)
	}
	return v
}

// teller counts the messages of each address and answers "<n> <message>". What
// it is told otherwise is in the message.
func teller(tb testing.TB, hold <-chan struct{}) actor.Function {
	tb.Helper()
	return goFunction(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
		e, n := &actor.Effects{}, 0
		if s, ok := b.State.Get("n"); ok {
			n, _ = strconv.Atoi(textOf(tb, s.Value))
		}
		for i := range b.Envelopes {
			m := &b.Envelopes[i]
			text := textOf(tb, m.Value)
			n++
			value := stringValue(tb, strconv.Itoa(n)+" "+text)
			switch {
			case strings.HasPrefix(text, "fail"):
				return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonStatus, HTTPStatus: 500, Err: errors.New("told to fail")}
			case text == "silent":
				continue
			case text == "nothing":
				value = actor.Value{}
			case text == "raw":
				value = actor.Value{Type: "demo/raw", Data: []byte{0, 1, 255}}
			case text == "hold":
				select {
				case <-hold:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			case text == "large":
				value = actor.Value{Type: "demo/raw", Data: make([]byte, 6<<20)}
			case text == "caller":
				value = stringValue(tb, m.Caller.String())
			case text == "stray":
				e.Sends = append(e.Sends, actor.Send{Target: actor.Address{Type: actor.TypeName{Namespace: "jetfn", Name: "other"}, ID: "x"}, Value: value})
			case text == "twice":
				e.Sends = append(e.Sends, actor.Send{Target: m.Caller, Value: value}, actor.Send{Target: m.Caller, Value: value})
			}
			if !m.Caller.IsZero() {
				e.Sends = append(e.Sends, actor.Send{Target: m.Caller, Value: value})
			}
		}
		e.Mutations = []actor.Mutation{{Name: "n", Value: stringValue(tb, strconv.Itoa(n))}}
		return e, nil
	})
}

func tellers(tb testing.TB, hold <-chan struct{}) runtime.Config {
	tb.Helper()
	return runtime.Config{
		Module:    &module.Module{},
		Functions: map[actor.TypeName]actor.FunctionSpec{{Namespace: "demo", Name: "teller"}: {Function: teller(tb, hold)}},
	}
}

// reply is an HTTP answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// call asks demo/teller/<id>, which may have a query. Headers are pairs.
func (w *worker) call(id, text string, headers ...string) reply {
	w.tb.Helper()
	return w.request(http.MethodPost, "/v1/call/demo/teller/"+id, text, headers...)
}

func (w *worker) request(method, path, text string, headers ...string) reply {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(w.tb.Context(), method, "http://"+w.HTTP+path, strings.NewReader(text))
	if err != nil {
		w.tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		w.tb.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

// want checks an answer's status and body.
func (r reply) want(tb testing.TB, what string, status int, body string) {
	tb.Helper()
	if r.status != status || r.body != body {
		tb.Errorf("%s = %d %q, want %d %q", what, r.status, r.body, status, body)
	}
}

// problem is a problem document.
type problem struct {
	Type, Detail, DLQID, TraceID, Address string
	Attempts                              int
	Accepted                              bool
}

func (r reply) wantProblem(tb testing.TB, what string, status int, slug string, accepted bool) problem {
	tb.Helper()
	var p problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != status || p.Type != "urn:jetfn:problem:"+slug || p.Accepted != accepted {
		tb.Errorf("%s = %d %s (%v), want %d %s accepted %t", what, r.status, r.body, err, status, slug, accepted)
	}
	return p
}

func TestACallIsAnsweredByItsFunction(t *testing.T) {
	t.Parallel()
	w := start(t, tellers(t, nil))
	got := w.call("Ada", "hello", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	got.want(t, "call", 200, "1 hello")
	for name, want := range map[string]string{
		"Jetfn-Type": "io.statefun.types/string", "Content-Type": "text/plain; charset=utf-8",
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, got.header.Get(name), want)
		}
	}
	id := got.header.Get("Jetfn-Call-Id")
	if again := w.call("Ada", "caller"); again.body != "jetfn/caller/"+again.header.Get("Jetfn-Call-Id") || again.header.Get("Jetfn-Call-Id") == id {
		t.Errorf("the function saw the caller %q, the call's id is %q, the one before had %q", again.body, again.header.Get("Jetfn-Call-Id"), id)
	}
	w.call("Ada", "hello", "Accept", "application/json").want(t, "call as JSON", 200, `{"type":"io.statefun.types/string","value":"CgczIGhlbGxv","text":"3 hello"}`+"\n")
	w.call("Ada", "nothing").want(t, "call without a value", 204, "")
	raw := w.call("Ada", "raw")
	raw.want(t, "call with another type", 200, "\x00\x01\xff")
	if raw.header.Get("Content-Type") != "application/octet-stream" || raw.header.Get("Jetfn-Type") != "demo/raw" || len(raw.header.Get("Traceparent")) != 55 {
		t.Errorf("headers = %v", raw.header)
	}
	w.call("Ada", "twice").want(t, "call that is answered three times", 200, "6 twice")
	w.call("Ada", "large").want(t, "call with a large answer", 200, strings.Repeat("\x00", 6<<20))
	w.request(http.MethodGet, "/v1/calls/"+id, "").wantProblem(t, "result of a call that nobody keeps", 404, "not-found", false)
}

func TestAThousandCallsOnHotAddressesGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, tellers(t, nil))
	const calls, addresses = 1000, 10
	answers := make([]string, calls)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			got := w.call("a"+strconv.Itoa(i%addresses), "message "+strconv.Itoa(i))
			answers[i] = got.body
		})
	}
	group.Wait()
	seen := map[string]bool{}
	for i, got := range answers {
		n, text, _ := strings.Cut(got, " ")
		if text != "message "+strconv.Itoa(i) {
			t.Errorf("call %d is answered %q", i, got)
		}
		seen[strconv.Itoa(i%addresses)+" "+n] = true
	}
	if len(seen) != calls {
		t.Errorf("%d different counts, want %d", len(seen), calls)
	}
}

func TestAnIdempotentCallHasOneEffectAndOneAnswerAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	cfg := tellers(t, nil)
	cfg.DataDir = t.TempDir()
	w := start(t, cfg)
	first := w.call("Ada", "hello", "Idempotency-Key", "k1")
	first.want(t, "first", 200, "1 hello")
	w.call("Ada", "hello", "Idempotency-Key", "k1").want(t, "second", 200, "1 hello")
	w.call("Ada", "hello", "Idempotency-Key", "k2").want(t, "another key", 200, "2 hello")
	w.call("Bob", "hello", "Idempotency-Key", "k1").want(t, "another address", 200, "1 hello")
	w.call("Ada", "other", "Idempotency-Key", "k1").wantProblem(t, "another value", 422, "idempotency-mismatch", false)
	w.call("Ada", "hello", "Idempotency-Key", "k1", "Jetfn-Type", "demo/raw").wantProblem(t, "another type", 422, "idempotency-mismatch", false)
	w.stop()
	w = start(t, cfg)
	after := w.call("Ada", "hello", "Idempotency-Key", "k1")
	after.want(t, "after a restart", 200, "1 hello")
	if a, b := first.header.Get("Jetfn-Call-Id"), after.header.Get("Jetfn-Call-Id"); a == "" || a != b {
		t.Errorf("call ids %q and %q, want one", a, b)
	}
	w.request(http.MethodGet, "/v1/calls/"+first.header.Get("Jetfn-Call-Id"), "").want(t, "result", 200, "1 hello")
	w.call("Ada", "hello").want(t, "without a key", 200, "3 hello")
}

func TestWhoRepeatsAnOpenCallWaitsForTheSameAnswer(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	w := start(t, tellers(t, hold))
	w.call("Ada?timeout=100ms", "hold", "Idempotency-Key", "k").wantProblem(t, "impatient call", 504, "timeout", true)
	var group sync.WaitGroup
	answers := make([]string, 3)
	for i := range answers {
		group.Go(func() { answers[i] = w.call("Ada", "hold", "Idempotency-Key", "k").body })
	}
	w.call("Ada", "hold", "Idempotency-Key", "k", "Prefer", "respond-async").wantAccepted(t)
	close(hold)
	group.Wait()
	if diff := cmp.Diff([]string{"1 hold", "1 hold", "1 hold"}, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// wantAccepted returns where the answer will be.
func (r reply) wantAccepted(tb testing.TB) string {
	tb.Helper()
	at := r.header.Get("Location")
	if r.status != 202 || at != "/v1/calls/"+r.header.Get("Jetfn-Call-Id") {
		tb.Errorf("asynchronous call = %d, Location %q, %s; want 202 and where the answer will be", r.status, at, r.body)
	}
	return at
}

func TestTheAnswerToAnAsynchronousCallIsKept(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	cfg := tellers(t, hold)
	cfg.DataDir = t.TempDir()
	w := start(t, cfg)
	at := w.call("Ada", "hold", "Prefer", "wait=1, respond-async").wantAccepted(t)
	if got := w.request(http.MethodGet, at, ""); got.status != 202 || got.header.Get("Location") != at {
		t.Errorf("result before = %d %s, want 202", got.status, got.body)
	}
	close(hold)
	eventually(t, "the answer is there", func() bool { return w.request(http.MethodGet, at, "").status == 200 })
	w.stop()
	w = start(t, cfg)
	got := w.request(http.MethodGet, at, "")
	got.want(t, "result after a restart", 200, "1 hold")
	if got.header.Get("Jetfn-Type") != "io.statefun.types/string" {
		t.Errorf("headers = %v", got.header)
	}
	w.request(http.MethodGet, "/v1/calls/a-nothing", "").wantProblem(t, "unknown call", 404, "not-found", false)
	failed := w.call("Ada", "fail", "Prefer", "respond-async").wantAccepted(t)
	eventually(t, "the failure is there", func() bool { return w.request(http.MethodGet, failed, "").status != 202 })
	w.request(http.MethodGet, failed, "").wantProblem(t, "failed call", 502, "function-failed", true)
	large := w.call("Ada", "large", "Prefer", "respond-async").wantAccepted(t)
	eventually(t, "the failure is there", func() bool { return w.request(http.MethodGet, large, "").status != 202 })
	if p := w.request(http.MethodGet, large, "").wantProblem(t, "call with a large answer", 502, "function-failed", true); !strings.HasPrefix(p.Detail, "limit: ") {
		t.Errorf("detail = %q, want the limit", p.Detail)
	}
}

func TestACallerIsToldOfTheDeadLetter(t *testing.T) {
	t.Parallel()
	w := start(t, tellers(t, nil))
	sub := subscribe(t, w.NATS, "jetfn.dlq.>")
	for _, headers := range [][]string{nil, {"Idempotency-Key", "k"}, {"Idempotency-Key", "k"}} {
		p := w.call("Ada", "fail", headers...).wantProblem(t, "call that fails", 502, "function-failed", true)
		if p.Detail != "status: told to fail" || p.Attempts != 1 || p.Address != "demo/teller/Ada" {
			t.Errorf("problem = %+v", p)
		}
		if headers != nil && p.DLQID == "" {
			t.Error("the problem names no dead letter")
		}
		if headers != nil {
			continue
		}
		var letter struct{ ID, Caller string }
		if err := json.Unmarshal(next(t, sub).Data, &letter); err != nil {
			t.Fatal(err)
		}
		if letter.ID != p.DLQID || !strings.HasPrefix(letter.Caller, "jetfn/caller/w-") {
			t.Errorf("dead letter %+v, the problem names %q", letter, p.DLQID)
		}
	}
}

func TestALateAnswerHarmsNobody(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	w := start(t, tellers(t, hold))
	w.call("Ada?timeout=1s", "hold").wantProblem(t, "impatient call", 504, "timeout", true)
	w.call("Bob?timeout=50ms", "silent").wantProblem(t, "call without an answer", 504, "timeout", true)
	close(hold)
	w.call("Ada", "hello").want(t, "the next call", 200, "2 hello")
}

func TestAnIdempotentSendIsStoredOnce(t *testing.T) {
	t.Parallel()
	cfg := tellers(t, nil)
	cfg.DataDir = t.TempDir()
	w := start(t, cfg)
	send := func(text, key string) reply {
		return w.request(http.MethodPost, "/v1/send/demo/teller/Ada", text, "Idempotency-Key", key)
	}
	first := send("hello", "k")
	if first.status != 202 || !strings.Contains(first.body, `"address":"demo/teller/Ada"`) {
		t.Fatalf("send = %d %s", first.status, first.body)
	}
	send("hello", "k").want(t, "again", 202, first.body)
	if other := send("hello", "l"); other.status != 202 || other.body == first.body {
		t.Errorf("another key = %d %s, the first was %s", other.status, other.body, first.body)
	}
	send("other", "k").wantProblem(t, "another value", 422, "idempotency-mismatch", false)
	w.call("Ada", "hello", "Idempotency-Key", "k").want(t, "a call with the key of a send", 200, "3 hello")
	w.stop()
	w = start(t, cfg)
	send("hello", "k").want(t, "after a restart", 202, first.body)
	w.call("Ada", "hello").want(t, "count", 200, "4 hello")
}

func TestCallsThatCanNotBeDoneAreRefused(t *testing.T) {
	t.Parallel()
	cfg := tellers(t, nil)
	w := start(t, cfg)
	for what, c := range map[string]struct {
		path    string
		headers []string
		status  int
		slug    string
	}{
		"unknown function":   {path: "demo/nobody/x", status: 404, slug: "unknown-function"},
		"jetfn's own":        {path: "jetfn/caller/x", status: 400, slug: "bad-address"},
		"two parts":          {path: "demo/teller", status: 400, slug: "bad-address"},
		"no duration":        {path: "demo/teller/x?timeout=soon", status: 400, slug: "bad-request"},
		"too long a time":    {path: "demo/teller/x?timeout=11m", status: 400, slug: "bad-request"},
		"no time":            {path: "demo/teller/x?timeout=0s", status: 400, slug: "bad-request"},
		"a delay":            {path: "demo/teller/x?delay=1s", status: 400, slug: "bad-request"},
		"too long a key":     {path: "demo/teller/x", headers: []string{"Idempotency-Key", strings.Repeat("k", 256)}, status: 400, slug: "bad-request"},
		"a value of no type": {path: "demo/teller/x", headers: []string{"Content-Type", "application/json"}, status: 415, slug: "bad-type"},
	} {
		w.request(http.MethodPost, "/v1/call/"+c.path, "x", c.headers...).wantProblem(t, what, c.status, c.slug, false)
	}
	w.request(http.MethodPost, "/v1/send/jetfn/caller/x", "x").wantProblem(t, "send to jetfn's own", 400, "bad-address", false)
	if got := w.request(http.MethodGet, "/v1/call/demo/teller/x", ""); got.status != 405 {
		t.Errorf("GET = %d, want 405", got.status)
	}
	cfg.Functions = map[actor.TypeName]actor.FunctionSpec{{Namespace: "jetfn", Name: "mine"}: {Function: teller(t, nil)}}
	if err := begin(t, cfg).wait(); !errors.Is(err, runtime.ErrUsage) {
		t.Errorf("Run with a function in jetfn's namespace = %v, want ErrUsage", err)
	}
}

func TestOutsidersDoNotReachJetfnsOwnFunctions(t *testing.T) {
	t.Parallel()
	w := start(t, tellers(t, nil))
	sub := subscribe(t, w.NATS, "jetfn.dlq.>")
	if err := dial(t, w.NATS).Publish("jetfn.fn.jetfn.caller.k-1", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	w.call("Ada", "stray").wantProblem(t, "call", 502, "function-failed", true)
	for range 2 {
		var letter struct{ Address, Reason, Error string }
		if err := json.Unmarshal(next(t, sub).Data, &letter); err != nil {
			t.Fatal(err)
		}
		if letter.Reason != "bad-address" || !strings.Contains(letter.Error, "jetfn's own") {
			t.Errorf("dead letter = %+v", letter)
		}
	}
}

func TestOnlySoManyClientsWait(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	cfg := tellers(t, hold)
	cfg.MaxCalls = 1
	w := start(t, cfg)
	first := make(chan reply, 1)
	go func() { first <- w.call("Ada", "hold") }()
	eventually(t, "the function has it", func() bool {
		_, body := tryGet(t, "http://"+w.HTTP+"/metrics")
		return strings.Contains(body, "jetfn_worker_inflightAsyncOps 1\n")
	})
	got := w.call("Bob", "hello")
	got.wantProblem(t, "second call", 429, "busy", false)
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	close(hold)
	(<-first).want(t, "first call", 200, "1 hold")
}

func TestAWorkerThatEndsAnswersThoseWhoWait(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	w := start(t, tellers(t, hold))
	waiting := make(chan reply, 1)
	go func() { waiting <- w.call("Ada", "silent") }()
	eventually(t, "the function has it", func() bool {
		status, body := tryGet(t, "http://"+w.HTTP+"/v1/state/demo/teller/Ada")
		return status == 200 && strings.Contains(body, `"text":"1"`)
	})
	w.stop()
	(<-waiting).wantProblem(t, "call", 504, "timeout", true)
}

func TestAStandbyTakesCallsForTheOwner(t *testing.T) {
	t.Parallel()
	cfg := tellers(t, nil)
	cfg.NATSURLs = []string{foreignNATS(t)}
	owner := start(t, cfg)
	cfg.HTTPAddr = "127.0.0.1:" + itoa(freePort(t))
	standby := begin(t, cfg)
	standby.HTTP = cfg.HTTPAddr
	eventually(t, "the second stands by", func() bool {
		_, body := tryGet(t, "http://"+standby.HTTP+"/readyz")
		return strings.Contains(body, "standby")
	})
	standby.call("Ada", "hello").want(t, "call at the standby", 200, "1 hello")
	standby.call("Ada", "hello", "Idempotency-Key", "k").want(t, "call with a key at the standby", 200, "2 hello")
	owner.call("Ada", "hello", "Idempotency-Key", "k").want(t, "the same at the owner", 200, "2 hello")
	if got := standby.request(http.MethodPost, "/v1/send/demo/teller/Ada", "hello"); got.status != 202 {
		t.Errorf("send at the standby = %d %s", got.status, got.body)
	}
	owner.stop()
	standby.waitReady()
	standby.call("Ada", "hello", "Idempotency-Key", "k").want(t, "the same after a takeover", 200, "2 hello")
	standby.call("Ada", "last").want(t, "call after a takeover", 200, "4 last")
	nc := dial(t, cfg.NATSURLs[0])
	if got := string(standby.ask(nc, "jetfn.call.demo.teller.Ada", "nats").Data); got != "5 nats" {
		t.Errorf("call over NATS = %q", got)
	}
}

func TestACallBeforeReadinessIsRefused(t *testing.T) {
	t.Parallel()
	cfg := tellers(t, nil)
	cfg.NATSURLs = []string{"nats://127.0.0.1:1"}
	cfg.HTTPAddr = "127.0.0.1:" + itoa(freePort(t))
	w := begin(t, cfg)
	w.HTTP = cfg.HTTPAddr
	eventually(t, "the listener is there", func() bool {
		status, _ := tryGet(t, "http://"+w.HTTP+"/healthz")
		return status == 200
	})
	w.call("Ada", "hello").wantProblem(t, "call", 503, "not-ready", false)
	w.call("Ada", "hello", "Idempotency-Key", "k").wantProblem(t, "call with a key", 503, "not-ready", false)
	w.request(http.MethodGet, "/v1/calls/k-1", "").wantProblem(t, "result", 503, "not-ready", false)
	w.request(http.MethodPost, "/v1/send/demo/teller/Ada", "x", "Idempotency-Key", "k").wantProblem(t, "send", 503, "not-ready", false)
}

func BenchmarkCall(b *testing.B) {
	w := start(b, tellers(b, nil))
	for b.Loop() {
		if got := w.call("Ada", "hello"); got.status != 200 {
			b.Fatal(fmt.Sprint(got))
		}
	}
}
