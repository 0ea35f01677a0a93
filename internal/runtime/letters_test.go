package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/runtime"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// fragile is a function that fails while it is broken, and notes what it got
// otherwise.
type fragile struct {
	mu      sync.Mutex
	broken  bool
	got     []string // texts, in order
	callers []string
}

func (f *fragile) set(broken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = broken
}

func (f *fragile) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *fragile) from() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.callers)
}

func (f *fragile) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return nil, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonStatus, HTTPStatus: 500, Endpoint: "http://fn", Err: errors.New("status 500: boom")}
	}
	for i := range b.Envelopes {
		f.got = append(f.got, string(b.Envelopes[i].Value.Data))
		f.callers = append(f.callers, b.Envelopes[i].Caller.String())
	}
	return &actor.Effects{}, nil
}

// forward is a function that sends what it gets to ops/fragile.
type forward struct{}

func (forward) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	e := &actor.Effects{}
	for i := range b.Envelopes {
		e.Sends = append(e.Sends, actor.Send{Target: address("ops/fragile", b.Target.ID), Value: b.Envelopes[i].Value})
	}
	return e, nil
}

// hoarder is a function that wants more state than an address may have.
type hoarder struct{}

func (hoarder) Invoke(context.Context, *actor.Batch) (*actor.Effects, error) {
	return &actor.Effects{Mutations: []actor.Mutation{{Name: "all", Value: actor.Value{Type: "ops/bytes", Data: make([]byte, 8<<20)}}}}, nil
}

func typeName(text string) actor.TypeName {
	t, err := actor.ParseTypeName(text)
	if err != nil {
		panic(err)
	}
	return t
}

func address(typ, id string) actor.Address { return actor.Address{Type: typeName(typ), ID: id} }

// letter is a dead letter as clients see it.
type letter struct {
	ID, Address, Caller, Type, Text, Reason, Error, Endpoint, TraceID, FirstAt, LastAt, ReplayedAt string

	Value                []byte
	HTTPStatus, Attempts int
}

// letters lists those that the query selects.
func (w *worker) letters(query string) (items []letter, next string) {
	w.tb.Helper()
	status, _, body := request(w.tb, http.MethodGet, "http://"+w.HTTP+"/v1/dlq"+query, "")
	var page struct {
		Items []letter
		Next  string
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
		w.tb.Fatalf("GET /v1/dlq%s = %d %s, %v", query, status, body, err)
	}
	return page.Items, page.Next
}

// problem makes a request that must be refused, and returns the slug.
func (w *worker) problem(method, path string, status int) string {
	w.tb.Helper()
	got, _, body := request(w.tb, method, "http://"+w.HTTP+path, "")
	var p struct {
		Type     string
		Accepted bool
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || got != status || p.Accepted {
		w.tb.Errorf("%s %s = %d %s, want %d and nothing accepted", method, path, got, body, status)
	}
	return strings.TrimPrefix(p.Type, "urn:jetfn:problem:")
}

// do makes a request that must succeed.
func (w *worker) do(method, path string, out any) {
	w.tb.Helper()
	status, _, body := request(w.tb, method, "http://"+w.HTTP+path, "")
	if status != http.StatusOK {
		w.tb.Fatalf("%s %s = %d %s, want 200", method, path, status, body)
	}
	if err := json.Unmarshal([]byte(body), out); err != nil {
		w.tb.Fatalf("%s %s: %v", method, path, err)
	}
}

func (w *worker) sendText(target, text string) {
	w.tb.Helper()
	if status, _, body := request(w.tb, http.MethodPost, "http://"+w.HTTP+"/v1/send/"+target, text); status != http.StatusAccepted {
		w.tb.Fatalf("POST /v1/send/%s = %d %s, want 202", target, status, body)
	}
}

func TestADeadLetterIsShownAndReplayedOnceWithItsCaller(t *testing.T) {
	t.Parallel()
	f := &fragile{broken: true}
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir(), Functions: map[actor.TypeName]actor.FunctionSpec{
		typeName("ops/fragile"): {Function: f}, typeName("ops/forward"): {Function: forward{}},
	}}
	w := start(t, cfg)
	w.sendText("ops/forward/a%2Fb", "hello")
	var all []letter
	eventually(t, "a dead letter is there", func() bool {
		all, _ = w.letters("")
		return len(all) == 1
	})
	got := all[0]
	if got.Address != "ops/fragile/a/b" || got.Caller != "ops/forward/a/b" || got.Text != "hello" || got.Type != actor.StringType ||
		got.Reason != "status" || got.HTTPStatus != 500 || !strings.Contains(got.Error, "boom") || got.Attempts != 1 ||
		got.Endpoint != "http://fn" || got.FirstAt == "" || got.LastAt == "" || got.ReplayedAt != "" {
		t.Errorf("the dead letter is %+v", got)
	}
	path := "/v1/dlq/" + url.PathEscape(got.ID)
	f.set(false)
	var replayed letter
	w.do(http.MethodPost, path+"/replay", &replayed)
	if replayed.ID != got.ID || replayed.ReplayedAt == "" {
		t.Errorf("the replayed letter is %+v, want %s with a time", replayed, got.ID)
	}
	eventually(t, "the function has the message", func() bool { return len(f.seen()) == 1 })
	if slug := w.problem(http.MethodPost, path+"/replay", http.StatusConflict); slug != "already-replayed" {
		t.Errorf("a second replay is %s, want already-replayed", slug)
	}
	w.stop()

	w = start(t, cfg) // a restart doesn't forget it
	if slug := w.problem(http.MethodPost, path+"/replay", http.StatusConflict); slug != "already-replayed" {
		t.Errorf("a replay after a restart is %s, want already-replayed", slug)
	}
	var shown letter
	w.do(http.MethodGet, path, &shown)
	if shown.ReplayedAt != replayed.ReplayedAt {
		t.Errorf("it was replayed at %q, want %q", shown.ReplayedAt, replayed.ReplayedAt)
	}
	if left, _ := w.letters("?replayed=false"); len(left) != 0 {
		t.Errorf("letters not replayed are %+v, want none", left)
	}
	if got := f.seen(); len(got) != 1 || f.from()[0] != "ops/forward/a/b" {
		t.Errorf("the function has got %v from %v, want one from ops/forward/a/b", got, f.from())
	}
}

func TestDeadLettersAreListedReplayedAndDroppedByFunction(t *testing.T) {
	t.Parallel()
	const count = 120
	f, other := &fragile{broken: true}, &fragile{broken: true}
	w := start(t, runtime.Config{Module: greeter(t), Functions: map[actor.TypeName]actor.FunctionSpec{
		typeName("ops/fragile"): {Function: f}, typeName("ops/other"): {Function: other},
	}})
	var want []string
	for i := range count {
		w.sendText("ops/fragile/"+itoa(i%5), itoa(i))
		want = append(want, "\n"+string(rune(len(itoa(i))))+itoa(i))
	}
	w.sendText("ops/other/x", "y")
	eventually(t, "all are dead letters", func() bool {
		items, _ := w.letters("?limit=1000")
		return len(items) == count+1
	})

	var listed []letter
	for next := "0"; next != ""; {
		var page []letter
		page, next = w.letters("?function=ops/fragile&limit=50&after=" + next)
		listed = append(listed, page...)
	}
	if len(listed) != count {
		t.Errorf("%d are listed by pages, want %d", len(listed), count)
	}
	if page, _ := w.letters("?limit=7&after=" + listed[3].ID); len(page) != 7 || page[0].ID != listed[4].ID {
		t.Errorf("a page behind an id has %d letters, want 7 from the next one", len(page))
	}

	f.set(false)
	sum := map[string]int{}
	for query := "function=ops/fragile&limit=50"; query != ""; {
		var page struct {
			Replayed, Skipped int
			Failed            []any
			Next, Until       string
		}
		w.do(http.MethodPost, "/v1/dlq/replay?"+query, &page)
		sum["replayed"] += page.Replayed
		sum["other"] += page.Skipped + len(page.Failed)
		query = ""
		if page.Next != "" {
			query = "function=ops/fragile&limit=50&after=" + page.Next + "&until=" + page.Until
		}
	}
	if sum["replayed"] != count || sum["other"] != 0 {
		t.Errorf("replayed and others are %v, want %d", sum, count)
	}
	eventually(t, "the function has them all", func() bool { return len(f.seen()) == count })
	got := f.seen()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the function has got %q, want each once", got)
	}

	var gone struct{ Dropped int }
	w.do(http.MethodDelete, "/v1/dlq/"+listed[0].ID, &gone)
	if slug := w.problem(http.MethodGet, "/v1/dlq/"+listed[0].ID, http.StatusNotFound); slug != "not-found" {
		t.Errorf("a dropped letter is %s, want not-found", slug)
	}
	w.do(http.MethodDelete, "/v1/dlq?function=ops/fragile", &gone)
	if left, _ := w.letters(""); gone.Dropped != count-1 || len(left) != 1 || left[0].Address != "ops/other/x" {
		t.Errorf("%d were dropped, left is %+v; want %d and that of ops/other", gone.Dropped, left, count-1)
	}
	w.do(http.MethodDelete, "/v1/dlq?all=true", &gone)
	if left, _ := w.letters(""); gone.Dropped != 1 || len(left) != 0 {
		t.Errorf("%d were dropped, left is %+v; want 1 and none", gone.Dropped, left)
	}
}

func TestWhatCantBeDoneWithDeadLettersIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: greeter(t)})
	none := "/v1/dlq/" + "nobody-0-1-1-0"
	for _, c := range []struct {
		method, path string
		status       int
		slug         string
	}{
		{http.MethodGet, none, 404, "not-found"},
		{http.MethodDelete, none, 404, "not-found"},
		{http.MethodPost, none + "/replay", 404, "not-found"},
		{http.MethodGet, "/v1/dlq?limit=0", 400, "bad-request"},
		{http.MethodGet, "/v1/dlq?function=x", 400, "bad-request"},
		{http.MethodGet, "/v1/dlq?replayed=maybe", 400, "bad-request"},
		{http.MethodGet, "/v1/dlq?after=x", 404, "not-found"},
		{http.MethodDelete, "/v1/dlq", 400, "bad-request"},
		{http.MethodDelete, "/v1/dlq?all=true&function=a/b", 400, "bad-request"},
		{http.MethodPost, "/v1/dlq/replay", 400, "bad-request"},
		{http.MethodPut, "/v1/dlq", 405, "method-not-allowed"},
	} {
		if slug := w.problem(c.method, c.path, c.status); slug != c.slug {
			t.Errorf("%s %s is %s, want %s", c.method, c.path, slug, c.slug)
		}
	}
	nc := dial(t, w.NATS)
	for subject, header := range map[string]nats.Header{
		"jetfn.fn.no.function.a":     {},
		"jetfn.fn.example.greeter.b": {"Content-Type": {"application/json"}},
		"jetfn.fn.jetfn.replay.c":    {},
		"jetfn.fn.example":           {},
	} {
		if err := nc.PublishMsg(&nats.Msg{Subject: subject, Header: header, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are dead letters", func() bool {
		items, _ := w.letters("")
		return len(items) == 4
	})
	var page struct {
		Replayed int
		Failed   []struct{ ID, Reason, Error string }
	}
	w.do(http.MethodPost, "/v1/dlq/replay?all=true", &page)
	var reasons []string
	for _, f := range page.Failed {
		reasons = append(reasons, f.Reason)
	}
	slices.Sort(reasons)
	if want := []string{"bad-address", "bad-address", "bad-type", "unknown-function"}; page.Replayed != 0 || !slices.Equal(reasons, want) {
		t.Errorf("replayed %d, refused %v; want none and %v", page.Replayed, reasons, want)
	}
}

func TestEveryReasonOfADeadLetterIsShown(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/status":
			http.Error(w, "no such customer", http.StatusTeapot)
		case "/timeout":
			<-hang
		case "/protocol":
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write([]byte("garbage"))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	egress := emitter(t, "no", "egress", func(string) *pb.TypedValue { return &pb.TypedValue{Typename: "a/b", HasValue: true} })
	var text strings.Builder
	// Only the call that hangs has a short limit: on a busy machine any other
	// might exceed it, and its dead letter would be of another kind.
	for name, limit := range map[string]string{"status": "2m", "timeout": "300ms", "protocol": "2m"} {
		fmt.Fprintf(&text, "---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: %q, urlPathTemplate: %q, failure: {attempts: 1}, transport: {timeouts: {call: %s}}}\n", "ops/"+name, server.URL+"/"+name, limit)
	}
	text.WriteString(endpoint("ops/unknown-egress", egress))
	w := start(t, runtime.Config{Module: parse(t, text.String()), Functions: map[actor.TypeName]actor.FunctionSpec{typeName("ops/limit"): {Function: hoarder{}}}})
	nc := dial(t, w.NATS)
	for reason, subject := range map[string]string{
		"status": "ops.status.a", "timeout": "ops.timeout.a", "protocol": "ops.protocol.a", "limit": "ops.limit.a",
		"unknown-function": "ops.nobody.a", "unknown-egress": "ops.unknown-egress.a", "bad-type": "ops.status.b", "bad-address": "ops.status.=61",
	} {
		data := []byte("x")
		if reason == "bad-type" {
			data = []byte{0xff}
		}
		if err := nc.Publish("jetfn.fn."+subject, data); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"bad-address", "bad-type", "limit", "protocol", "status", "timeout", "unknown-egress", "unknown-function"}
	var got []string
	var letters []letter
	eventually(t, "there is a dead letter of each kind", func() bool {
		letters, _ = w.letters("")
		return len(letters) >= len(want)
	})
	for _, l := range letters {
		got = append(got, l.Reason)
		if l.Error == "" || l.FirstAt == "" || l.LastAt == "" || l.ID == "" {
			t.Errorf("the letter %+v lacks something", l)
		}
		if l.Reason == "status" && (l.HTTPStatus != http.StatusTeapot || !strings.Contains(l.Error, "no such customer") || l.Endpoint != server.URL+"/status") {
			t.Errorf("the letter %+v lacks the answer's status, body or sender", l)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("reasons are %v, want %v", got, want)
	}
}
