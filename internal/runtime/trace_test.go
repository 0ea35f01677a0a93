package runtime_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/internal/otlptest"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/telemetry"
	"github.com/jetfn/jetfn/sdk"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientParent = "00-" + clientTrace + "-b7ad6b7169203331-01"
)

// handler serves functions as a service of their own, and notes the trace
// context of the requests.
func handler(t *testing.T, parents *atomic.Pointer[string], functions ...sdk.Function) string {
	t.Helper()
	registry, err := sdk.NewRegistry(functions)
	if err != nil {
		t.Fatal(err)
	}
	inner := sdk.Handler(registry)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parent := r.Header.Get("Traceparent")
		parents.Store(&parent)
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// shop are three functions of two services: checkout sends to stock and later
// to reminder, stock tells an egress.
func shop(t *testing.T, parents *atomic.Pointer[string], before func() error) string {
	t.Helper()
	hello := sdk.String().Of("x")
	first := handler(t, parents, sdk.Function{Type: "shop/checkout", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		if err := before(); err != nil {
			return err
		}
		ctx.Send(sdk.To("shop/stock", "apples"), hello)
		ctx.SendAfter(50*time.Millisecond, sdk.To("shop/reminder", ctx.Self().ID), hello)
		return nil
	}}, sdk.Function{Type: "shop/reminder", Invoke: func(sdk.Context, sdk.Message) error { return nil }})
	second := handler(t, &atomic.Pointer[string]{}, sdk.Function{Type: "shop/stock", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		ctx.Egress(sdk.ToNATS("shop/orders", "apples", []byte("one less")))
		return nil
	}})
	return endpoint("shop/checkout", first) + endpoint("shop/reminder", first) + endpoint("shop/stock", second) +
		"---\nkind: io.jetfn.nats.v1/egress\nspec: {id: shop/orders}\n"
}

func TestATraceShowsAMessagesWholeWay(t *testing.T) {
	t.Parallel()
	collector := otlptest.Start(t)
	var parents atomic.Pointer[string]
	failed := atomic.Bool{}
	w := start(t, runtime.Config{
		Module: parse(t, shop(t, &parents, func() error {
			if failed.CompareAndSwap(false, true) {
				return errors.New("not yet")
			}
			return nil
		})),
		Telemetry: telemetry.Options{Endpoint: collector.URL, Environ: func(string) string { return "" }},
	})
	egress := subscribe(t, w.NATS, "jetfn.egress.>")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.HTTP+"/v1/send/shop/checkout/Ada", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Traceparent", clientParent)
	if status, body := answerOf(t, r); status != http.StatusAccepted {
		t.Fatalf("send = %d %s", status, body)
	}
	if parent := next(t, egress).Header.Get("traceparent"); !strings.HasPrefix(parent, "00-"+clientTrace) || parent == clientParent {
		t.Errorf("traceparent of the egress message = %s, want a span of the client's trace", parent)
	}
	eventually(t, "the reminder came", func() bool {
		return value(w.scrape(), "jetfn_functions_endToEndLatency", "type=reminder") == 1 && value(w.scrape(), "jetfn_partition_applyLag") == 0
	})
	w.stop()
	want := `accept shop/checkout [producer]
└─ process shop/checkout [consumer]
   ├─ wait [internal]
   ├─ invoke shop/checkout [client] failed
   │  └─ POST [client] failed
   ├─ invoke shop/checkout [client]
   │  └─ POST [client]
   ├─ commit [internal]
   ├─ apply [internal]
   ├─ send shop/stock [producer]
   ├─ process shop/stock [consumer]
   │  ├─ wait [internal]
   │  ├─ invoke shop/stock [client]
   │  │  └─ POST [client]
   │  ├─ commit [internal]
   │  ├─ apply [internal]
   │  └─ send shop/orders [producer]
   └─ send shop/reminder [producer]
`
	if diff := cmp.Diff(want, collector.Tree(t, clientTrace)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	var reminder otlptest.Span
	for _, s := range collector.Spans() {
		if s.Name == "process shop/reminder" {
			reminder = s
		}
		if s.Resource["service.name"] != "jetfn" || s.Resource["service.instance.id"] == "" {
			t.Errorf("resource of %s = %v", s.Name, s.Resource)
		}
	}
	if reminder.Trace == clientTrace || len(reminder.Links) != 1 || reminder.Links[0].Trace != clientTrace {
		t.Errorf("the reminder = %+v, want a trace of its own that is linked to the client's", reminder)
	}
	if parent := *parents.Load(); !strings.HasPrefix(parent, "00-"+reminder.Trace) {
		t.Errorf("the function got the trace context %s, want one of its trace", parent)
	}
	if m := collector.Metrics(); m["jetfn_functions_in"] != 3 || m["jetfn_functions_remoteInvocationLatency"] != 4 || m["process_cpu_seconds_total"] <= 0 {
		t.Errorf("metrics at the collector: %v messages in, %v calls, %v s of CPU; want 3, 4 and some",
			m["jetfn_functions_in"], m["jetfn_functions_remoteInvocationLatency"], m["process_cpu_seconds_total"])
	}
}

func TestMessagesOfOneBatchAreLinked(t *testing.T) {
	t.Parallel()
	collector := otlptest.Start(t)
	release, entered := make(chan struct{}), make(chan struct{}, 10)
	var parents atomic.Pointer[string]
	url := handler(t, &parents, sdk.Function{Type: "shop/slow", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		entered <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}})
	w := start(t, runtime.Config{
		Module:    parse(t, endpoint("shop/slow", url)),
		Telemetry: telemetry.Options{Endpoint: collector.URL, Environ: func(string) string { return "" }},
	})
	w.send("shop/slow/a")
	<-entered
	nc := dial(t, w.NATS)
	for range 2 { // both wait, and go together
		if _, err := nc.Request("jetfn.fn.shop.slow.a", []byte("x"), patience); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two wait", func() bool { return value(w.scrape(), "jetfn_functions_numBacklog") == 2 })
	close(release)
	eventually(t, "all are done", func() bool { return value(w.scrape(), "jetfn_functions_endToEndLatency", "type=slow") == 3 })
	w.stop()
	batch, follower := `accept shop/slow [producer]
└─ process shop/slow [consumer] (batched: accept shop/slow)
   ├─ wait [internal]
   ├─ invoke shop/slow [client]
   │  └─ POST [client]
   ├─ commit [internal]
   └─ apply [internal]
`, `accept shop/slow [producer]
└─ process shop/slow [consumer] (batch: process shop/slow)
`
	found := map[string]int{}
	for _, s := range collector.Spans() {
		if s.Parent == "" {
			found[collector.Tree(t, s.Trace)]++
		}
	}
	if found[batch] != 1 || found[follower] != 1 || len(found) != 3 {
		t.Errorf("traces = %v, want that of the first message, of the batch, and of the one that went with it", found)
	}
}

func TestSamplingIsBasedOnTheParent(t *testing.T) {
	t.Parallel()
	var parents atomic.Pointer[string]
	url := handler(t, &parents, sdk.Function{Type: "shop/fast", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		return ctx.Reply(sdk.String().Of("done"))
	}})
	env := map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}
	collector := otlptest.Start(t)
	w := start(t, runtime.Config{
		Module:    parse(t, endpoint("shop/fast", url)),
		Telemetry: telemetry.Options{Endpoint: collector.URL, Environ: func(name string) string { return env[name] }},
	})
	call := func(parent string) string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.HTTP+"/v1/call/shop/fast/a", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		if parent != "" {
			r.Header.Set("Traceparent", parent)
		}
		if status, body := answerOf(t, r); status != http.StatusOK {
			t.Fatalf("call = %d %s", status, body)
		}
		return *parents.Load()
	}
	if got := call(""); !strings.HasSuffix(got, "-00") {
		t.Errorf("the function got %q of a call without a trace, want one that isn't sampled", got)
	}
	unwanted := strings.TrimSuffix(clientParent, "01") + "00"
	if got := call(unwanted); got != unwanted {
		t.Errorf("the function got %q, want the client's own %q", got, unwanted)
	}
	if got := call(clientParent); !strings.HasPrefix(got, "00-"+clientTrace) || got == clientParent {
		t.Errorf("the function got %q, want a span of the client's trace", got)
	}
	w.send("shop/fast/b")
	eventually(t, "all are done", func() bool { return value(w.scrape(), "jetfn_functions_endToEndLatency", "type=fast") == 4 })
	w.stop()
	for _, s := range collector.Spans() {
		if s.Trace != clientTrace {
			t.Errorf("%s is of the trace %s, want none but the client's", s.Name, s.Trace)
		}
	}
	want := `call shop/fast [server]
└─ process shop/fast [consumer]
   ├─ wait [internal]
   ├─ invoke shop/fast [client]
   │  └─ POST [client]
   ├─ commit [internal]
   └─ apply [internal]
`
	if diff := cmp.Diff(want, collector.Tree(t, clientTrace)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func TestALostCollectorIsOnlyALineInTheLog(t *testing.T) {
	t.Parallel()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	t.Cleanup(broken.Close)
	w := start(t, runtime.Config{
		Module: greeter(t), Telemetry: telemetry.Options{Endpoint: broken.URL, Environ: func(string) string { return "" }},
	})
	w.send("example/greeter/Ada")
	eventually(t, "Ada is greeted", func() bool { return w.seen("example/greeter/Ada") == "1" })
	w.stop()
	if log := w.log.String(); strings.Count(log, "the collector takes nothing, telemetry is lost") != 2 {
		t.Errorf("log = %s, want a line for traces and one for metrics", log)
	}
}
