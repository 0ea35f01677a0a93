//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/internal/otlptest"
)

const observedModule = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: %s
---
kind: io.jetfn.nats.v1/egress
spec: {id: shop/orders}
---
kind: io.jetfn.nats.v1/ingress
spec: {id: shop/old, stream: ORDERS, targets: [shop/count]}
`

// observed counts, tells an egress, sends on, and fails now and then.
func observed() functions {
	s := &shop{}
	var calls atomic.Int64
	return functions{
		"shop/count": s.count,
		"shop/cart": func(b batch) (effects, error) {
			if calls.Add(1)%10 == 0 {
				return effects{}, fmt.Errorf("call %d fails", calls.Load())
			}
			e, err := s.count(b)
			if len(e.missing) == 0 {
				e.sends = append(e.sends, send{target: address{namespace: "shop", name: "count", id: "x" + b.target.id}, value: longValue(1)})
				e.egress = append(e.egress, egressMessage{"shop", "orders", longValue(1)})
			}
			return e, err
		},
	}
}

// TestEveryQueryIsAnsweredByARun evaluates the dashboards, alerts and
// manifests of deploy/ over scrapes of a run.
func TestEveryQueryIsAnsweredByARun(t *testing.T) {
	url := serve(t, observed())
	a := newApp(t, "kind: io.jetfn.nats.v1/egress\nspec: {id: shop/orders}\n", withArgs("--partitions", "2", "--egress-max-bytes", "100000000"))
	a.launch(t)
	a.waitReady(t)
	_, js := a.connect(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		t.Fatal(err)
	}
	if code := a.terminate(t); code != 0 {
		t.Fatalf("jetfn ended with code %d", code)
	}
	a.module = writeFile(t, "module.yaml", fmt.Sprintf(observedModule, url))
	a.restart(t)
	var nc *nats.Conn
	nc, js = a.connect(t) // the connection of before may not be back yet
	scrapes := t.TempDir()
	for i := range 12 {
		for j := range 20 {
			if _, err := nc.Request(fmt.Sprintf("t.fn.shop.cart.c%d", j), []byte("x"), patience); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := js.Publish(t.Context(), "orders.a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		text := a.do(t, http.MethodGet, "/metrics", "", nil).body
		// The manifests name the greeter.
		text = []byte(strings.ReplaceAll(string(text), `namespace="shop",type="cart"`, `namespace="example",type="greeter"`))
		if err := os.WriteFile(filepath.Join(scrapes, fmt.Sprintf("%02d.txt", i)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, command{path: "go", args: []string{"run", ".", "-run", scrapes}, dir: "promtest"})
	if r.code != 0 || !regexp.MustCompile(`^\d{2,} queries over 12 scrapes\n$`).MatchString(r.stdout) {
		t.Errorf("promtest ended with %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// TestAlertsFireOnSeriesThatShowTheirCause runs the tests of promtest, which
// has series that each alert is to fire on, and others.
func TestAlertsFireOnSeriesThatShowTheirCause(t *testing.T) {
	t.Parallel()
	r := run(t, command{path: "go", args: []string{"test", "-count=1", "."}, dir: "promtest"})
	if r.code != 0 || !strings.HasPrefix(r.stdout, "ok") {
		t.Errorf("go test in promtest ended with %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// root is the project's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestATraceGoesOnAfterAKill(t *testing.T) {
	collector := otlptest.Start(t)
	entered, release := make(chan struct{}, 10), make(chan struct{})
	s := &shop{}
	first := serve(t, functions{"shop/cart": func(batch) (effects, error) {
		entered <- struct{}{}
		<-release
		return effects{sends: []send{{target: address{namespace: "shop", name: "stock", id: "apples"}, value: longValue(1)}}}, nil
	}, "shop/other": s.count})
	second := serve(t, functions{"shop/stock": func(batch) (effects, error) {
		return effects{egress: []egressMessage{{"shop", "orders", longValue(1)}}}, nil
	}})
	module := fmt.Sprintf(`
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/cart, urlPathTemplate: %[1]q}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/other, urlPathTemplate: %[1]q}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/stock, urlPathTemplate: %[2]q}
---
kind: io.jetfn.nats.v1/egress
spec: {id: shop/orders}
`, first, second)
	a := newApp(t, module, withArgs("--otlp", collector.URL))
	env := []string{"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRIC_EXPORT_INTERVAL=200"}
	a.launch(t, env...)
	a.waitReady(t)
	a.send(t, "shop/cart", "Ada", "x")
	<-entered
	var trace string
	eventually(t, 20*time.Second, "the message to be accepted in a trace", func() error {
		for _, span := range collector.Spans() {
			if span.Name == "accept shop/cart" {
				trace = span.Trace
				return nil
			}
		}
		return fmt.Errorf("%d spans", len(collector.Spans()))
	})
	a.kill()
	close(release)
	a.launch(t, env...)
	a.waitReady(t)
	want := `accept shop/cart [producer]
└─ process shop/cart [consumer]
   ├─ wait [internal]
   ├─ invoke shop/cart [client]
   │  └─ POST [client]
   ├─ commit [internal]
   ├─ apply [internal]
   ├─ send shop/stock [producer]
   └─ process shop/stock [consumer]
      ├─ wait [internal]
      ├─ invoke shop/stock [client]
      │  └─ POST [client]
      ├─ commit [internal]
      ├─ apply [internal]
      └─ send shop/orders [producer]
`
	eventually(t, 30*time.Second, "the trace to be whole", func() error {
		if diff := cmp.Diff(want, collector.Tree(t, trace)); diff != "" {
			return fmt.Errorf("trace (-want +got):\n%s", diff)
		}
		return nil
	})
	workers := map[string]bool{}
	for _, span := range collector.Spans() {
		if span.Trace == trace {
			workers[span.Resource["service.instance.id"]] = true
		}
		if span.Name == "invoke shop/cart" && span.Attributes["jetfn.attempt"] == "1" {
			t.Errorf("the attempt after the kill says that it is the first: %v", span.Attributes)
		}
	}
	if len(workers) != 2 {
		t.Errorf("the trace is of the workers %v, want two", workers)
	}
	eventually(t, 20*time.Second, "metrics", func() error {
		if m := collector.Metrics(); m["jetfn_functions_in"] < 2 || m["jetfn_functions_outEgress"] != 1 {
			return fmt.Errorf("in %v, outEgress %v", m["jetfn_functions_in"], m["jetfn_functions_outEgress"])
		}
		return nil
	})
}

// TestAFunctionServiceScalesOnMetrics runs the script of docs/autoscaling.md.
func TestAFunctionServiceScalesOnMetrics(t *testing.T) {
	service := filepath.Join(t.TempDir(), "service")
	if r := run(t, command{path: "go", args: []string{"build", "-o", service, "./examples/autoscale"}, dir: root(t)}); r.code != 0 {
		t.Fatalf("go build: %s", r.stderr)
	}
	port := freePorts(t, 1)[0]
	listen := "127.0.0.1:" + strconv.Itoa(port)
	a := startApp(t, fmt.Sprintf("kind: io.statefun.endpoints.v2/http\nspec:\n  functions: example/work\n  urlPathTemplate: http://%s/\n", listen))
	scaler := startProcess(t, "autoscale", command{
		path: filepath.Join(root(t), "examples", "autoscale", "autoscale.sh"),
		args: []string{"http://" + a.http + "/metrics", "example/work", service, "-listen", listen, "-takes", "50ms"},
		env:  []string{"EVERY=1", "DRAIN=5", "HOLD=2"}, dir: t.TempDir(),
	})
	wanted := func() (now, most int) {
		for _, m := range regexp.MustCompile(`processes (\d+) `).FindAllStringSubmatch(scaler.output.String(), -1) {
			now, _ = strconv.Atoi(m[1])
			most = max(most, now)
		}
		return now, most
	}
	nc, _ := a.connect(t)
	// A step: for some seconds more than four processes can do, which are the
	// most, each to an address of its own.
	const each, step = 10 * time.Millisecond, 8 * time.Second
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	sent := 0
	for begin := time.Now(); sent < int(step/each); <-ticker.C {
		for due := min(int(time.Since(begin)/each)+1, int(step/each)); sent < due; sent++ { // also for ticks that were missed
			if err := nc.Publish(fmt.Sprintf("t.fn.example.work.k%d", sent), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, 3*time.Minute, "four processes, then one, and no backlog", func() error {
		now, most := wanted()
		done := a.metric(t, "jetfn_functions_endToEndLatency_count")
		if most == 4 && now == 1 && int(done) == sent && a.metric(t, "jetfn_functions_numBacklog") == 0 {
			return nil
		}
		return fmt.Errorf("%d processes, %d at most, %v of %d messages done", now, most, done, sent)
	})
	if n := a.metric(t, "jetfn_functions_deadLetters"); n != 0 {
		t.Errorf("%v messages were given up while processes came and went", n)
	}
}
