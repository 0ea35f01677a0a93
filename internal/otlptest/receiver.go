// Package otlptest is a collector for tests: it takes OTLP over HTTP, as any
// collector does, and shows what it got.
package otlptest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectormetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/telemetry"
)

// Receiver is a running collector.
type Receiver struct {
	URL string

	mu      sync.Mutex
	spans   []Span
	metrics map[string]float64
	headers []http.Header
}

// Span is a span with all of its attributes.
type Span struct {
	telemetry.SpanView
	Kind       string
	Attributes map[string]string
	Resource   map[string]string
}

// Start starts a collector that ends with the test.
func Start(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{metrics: map[string]float64{}}
	server := httptest.NewServer(r)
	tb.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP takes what the exporters send.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var body io.Reader = q.Body
	if q.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(q.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.headers = append(r.headers, q.Header)
		switch q.URL.Path {
		case "/v1/traces":
			err = r.takeTraces(data)
		case "/v1/metrics":
			err = r.takeMetrics(data)
		default:
			http.NotFound(w, q)
			return
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (r *Receiver) takeTraces(data []byte) error {
	var request collectortraces.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return err
	}
	for _, group := range request.GetResourceSpans() {
		resource := values(group.GetResource().GetAttributes())
		for _, scope := range group.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				r.spans = append(r.spans, view(s, resource))
			}
		}
	}
	return nil
}

func view(s *traces.Span, resource map[string]string) Span {
	out := Span{
		SpanView: telemetry.SpanView{
			Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
			Name: s.GetName(), Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
			Error: s.GetStatus().GetMessage(),
		},
		Kind:       strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")),
		Attributes: values(s.GetAttributes()), Resource: resource,
	}
	for _, l := range s.GetLinks() {
		out.Links = append(out.Links, telemetry.Link{
			Trace: hex.EncodeToString(l.GetTraceId()), ID: hex.EncodeToString(l.GetSpanId()), Why: values(l.GetAttributes())["jetfn.link"],
		})
	}
	return out
}

func values(list []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		v := kv.GetValue()
		switch v.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.GetKey()] = v.GetStringValue()
		default:
			out[kv.GetKey()] = strings.Trim(v.String()[strings.IndexByte(v.String(), ':')+1:], `" `)
		}
	}
	return out
}

func (r *Receiver) takeMetrics(data []byte) error {
	var request collectormetrics.ExportMetricsServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return err
	}
	latest := map[string]float64{}
	for _, group := range request.GetResourceMetrics() {
		for _, scope := range group.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				sum := 0.0
				for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
					sum += float64(p.GetAsInt()) + p.GetAsDouble()
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					sum += float64(p.GetCount())
				}
				latest[m.GetName()] = sum
			}
		}
	}
	for name, v := range latest {
		r.metrics[name] = v
	}
	return nil
}

// Spans are all spans so far, each once.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	var out []Span
	for i := range r.spans {
		if id := r.spans[i].ID; !seen[id] {
			seen[id] = true
			out = append(out, r.spans[i])
		}
	}
	return out
}

// Metrics are the latest values, summed over labels; of histograms the count.
func (r *Receiver) Metrics() map[string]float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]float64{}
	for name, v := range r.metrics {
		out[name] = v
	}
	return out
}

// Headers are those of all requests.
func (r *Receiver) Headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.headers)
}

// Tree draws the trace, with each span's kind, its failure, and what it is
// linked to.
func (r *Receiver) Tree(tb testing.TB, trace string) string {
	tb.Helper()
	spans := r.Spans()
	names, kinds := map[string]string{}, map[string]string{}
	views := make([]telemetry.SpanView, len(spans))
	for i := range spans {
		views[i] = spans[i].SpanView
		names[spans[i].ID], kinds[spans[i].ID] = spans[i].Name, spans[i].Kind
	}
	var b strings.Builder
	err := telemetry.WriteTree(&b, views, trace, func(s *telemetry.SpanView) string {
		text := []string{" [" + kinds[s.ID] + "]"}
		if s.Error != "" {
			text = append(text, "failed")
		}
		for _, l := range s.Links {
			text = append(text, "("+l.Why+": "+names[l.ID]+")")
		}
		return strings.Join(text, " ")
	})
	if err != nil {
		tb.Fatal(err)
	}
	return b.String()
}
