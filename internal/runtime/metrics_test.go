package runtime_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/jetfn/jetfn/internal/demo"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// scrape reads /metrics as Prometheus does.
func (w *worker) scrape() map[string]*dto.MetricFamily {
	w.tb.Helper()
	status, body := tryGet(w.tb, "http://"+w.HTTP+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if status != http.StatusOK || err != nil {
		w.tb.Fatalf("GET /metrics = %d, %v", status, err)
	}
	return families
}

// value sums the samples of a metric that have the labels, given as name=value;
// of a histogram it is the count.
func value(families map[string]*dto.MetricFamily, name string, labels ...string) (sum float64) {
	for _, m := range families[name].GetMetric() {
		if !slices.ContainsFunc(labels, func(want string) bool { return !slices.Contains(labelsOf(m), want) }) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func labelsOf(m *dto.Metric) []string {
	var out []string
	for _, l := range m.GetLabel() {
		out = append(out, l.GetName()+"="+l.GetValue())
	}
	return out
}

// busy is a worker every part of which has something to measure.
func busy(t *testing.T) *worker {
	t.Helper()
	nats := foreignNATS(t)
	js, err := jetstream.New(dial(t, nats))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		t.Fatal(err)
	}
	greeter := httptest.NewServer(demo.Greeter())
	t.Cleanup(greeter.Close)
	text := demo.Module(greeter.URL) + "---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/orders, stream: ORDERS, targets: [example/greeter]}\n"
	w := start(t, runtime.Config{Module: parse(t, text), NATSURLs: []string{nats}})
	w.send("example/greeter/Ada")
	if _, err := js.Publish(t.Context(), "orders.Grace", []byte("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are greeted", func() bool {
		return value(w.scrape(), "jetfn_egress_out") == 2 && w.seen("example/greeter/Ada") == "1"
	})
	return w
}

func TestTheTableOfMetricsIsWhatIsScraped(t *testing.T) {
	t.Parallel()
	w := busy(t)
	lines := map[string]telemetry.Metric{}
	for _, line := range telemetry.Table() {
		lines[line.Name] = line
	}
	kinds := map[dto.MetricType]telemetry.Kind{
		dto.MetricType_COUNTER: telemetry.KindCounter, dto.MetricType_GAUGE: telemetry.KindGauge, dto.MetricType_HISTOGRAM: telemetry.KindHistogram,
	}
	families := w.scrape()
	for name, family := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		line, ok := lines[name]
		if !ok {
			t.Errorf("%s is scraped, and not in the table", name)
			continue
		}
		if got := kinds[family.GetType()]; got != line.Kind || family.GetHelp() != line.Meaning {
			t.Errorf("%s is a %s, %q; the table says %s, %q", name, got, family.GetHelp(), line.Kind, line.Meaning)
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName())
			}
			want := slices.Clone(line.Labels)
			slices.Sort(want)
			if diff := cmp.Diff(want, labels); diff != "" {
				t.Errorf("labels of %s (-table +scraped):\n%s", name, diff)
			}
		}
	}
	for name := range lines {
		if families[name] == nil {
			t.Errorf("%s is in the table, and not scraped", name)
		}
	}
	for _, name := range []string{"process_resident_memory_bytes", "process_cpu_seconds_total", "go_goroutines"} {
		if families[name] == nil {
			t.Errorf("%s is not scraped", name)
		}
	}
}

func TestThePageOfMetricsIsTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), telemetry.Page()) {
		t.Errorf("docs/metrics.md lacks the table; it is\n%s", telemetry.Page())
	}
}

func TestMetricsAgreeWithWhatWasSent(t *testing.T) {
	t.Parallel()
	const messages, keys = 500, 50
	w := start(t, runtime.Config{Module: greeter(t)})
	nc := dial(t, w.NATS)
	for i := range messages {
		if err := nc.Publish("jetfn.fn.example.greeter.k"+itoa(i%keys), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	const function = "namespace=example"
	eventually(t, "all are through", func() bool {
		return value(w.scrape(), "jetfn_functions_endToEndLatency", function) == messages && value(w.scrape(), "jetfn_egress_out") == messages
	})
	got := w.scrape()
	calls := value(got, "jetfn_functions_remoteInvocationLatency", function)
	for name, want := range map[string]float64{
		"jetfn_functions_in": messages, "jetfn_functions_outEgress": messages, "jetfn_functions_endToEndLatency": messages,
		"jetfn_functions_batchSize": calls, "jetfn_functions_stateSize": calls,
		"jetfn_functions_numBacklog": 0, "jetfn_functions_inflightAsyncOps": 0, "jetfn_functions_backlogAge": 0,
		"jetfn_functions_remoteInvocationFailures": 0, "jetfn_functions_retries": 0, "jetfn_functions_deadLetters": 0,
	} {
		if n := value(got, name, function); n != want {
			t.Errorf("%s = %v, want %v", name, n, want)
		}
	}
	if n := value(got, "jetfn_partition_invocations"); n != calls {
		t.Errorf("the partitions counted %v calls, the histogram has %v", n, calls)
	}
	if n := value(got, "jetfn_partition_messages"); n != messages {
		t.Errorf("the partitions consumed %v messages, want %v", n, messages)
	}
	if sum := got["jetfn_functions_batchSize"].GetMetric()[0].GetHistogram().GetSampleSum(); sum != messages {
		t.Errorf("the batches have %v messages, want %v", sum, messages)
	}
	eventually(t, "nothing is left to read", func() bool { return value(w.scrape(), "jetfn_ingress_lag") == 0 })
}

func TestTheBacklogOfAFunctionIsSeen(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	called := make(chan struct{}, 10)
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called <- struct{}{}
		<-released
		demo.Greeter().ServeHTTP(w, r)
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(release) // before the server waits for what it holds
	w := start(t, runtime.Config{Module: parse(t, demo.Module(slow.URL))})
	w.send("example/greeter/Ada")
	<-called // with that one alone
	for range 4 {
		w.send("example/greeter/Ada")
	}
	eventually(t, "one is called and four wait", func() bool {
		got := w.scrape()
		return value(got, "jetfn_functions_numBacklog") == 4 && value(got, "jetfn_functions_inflightAsyncOps", "type=greeter") == 1 &&
			value(got, "jetfn_worker_inflightAsyncOps") == 1 && value(got, "jetfn_functions_backlogAge") > 0
	})
	release()
	eventually(t, "nothing waits", func() bool {
		got := w.scrape()
		return value(got, "jetfn_functions_numBacklog") == 0 && value(got, "jetfn_functions_backlogAge") == 0
	})
}
