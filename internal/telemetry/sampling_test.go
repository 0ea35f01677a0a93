package telemetry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

func TestTheSamplerSaysWhichTracesAreRecorded(t *testing.T) {
	t.Parallel()
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
	clients := []actor.Trace{{}, {Parent: trace + "01"}, {Parent: trace + "00"}} // none, recorded, not recorded
	for sampler, want := range map[string][3]bool{
		"":                           {true, true, false},
		"parentbased_always_on":      {true, true, false},
		"parentbased_always_off":     {false, true, false},
		"parentbased_traceidratio 0": {false, true, false},
		"parentbased_traceidratio 1": {true, true, false},
		"always_on":                  {true, true, true},
		"always_off":                 {false, false, false},
		"traceidratio 0":             {false, false, false},
		"traceidratio 1":             {true, true, true},
		"traceidratio":               {true, true, true},
	} {
		t.Run(sampler, func(t *testing.T) {
			t.Parallel()
			name, ratio, _ := strings.Cut(sampler, " ")
			spans := &telemetry.Recorder{}
			told, err := telemetry.New(t.Context(), telemetry.Options{
				Spans: spans, Environ: environ("OTEL_TRACES_SAMPLER", name, "OTEL_TRACES_SAMPLER_ARG", ratio),
			})
			if err != nil {
				t.Fatal(err)
			}
			for i, client := range clients {
				before := len(spans.Spans())
				_, end := told.Tracer.Accept(actor.Address{Type: actor.TypeName{Namespace: "shop", Name: "cart"}, ID: "a"}, client)
				end("1", nil)
				if got := len(spans.Spans()) > before; got != want[i] {
					t.Errorf("a message with the trace %q is recorded: %t, want %t", client.Parent, got, want[i])
				}
			}
			if err := told.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAHistogramsBoundsBelongToTheirBuckets(t *testing.T) {
	t.Parallel()
	told, err := telemetry.New(t.Context(), telemetry.Options{Environ: environ()})
	if err != nil {
		t.Fatal(err)
	}
	h := told.Histogram("jetfn_partition_commitSize", []float64{10, 20}).New(attribute.NewSet())
	for _, v := range []float64{10, 10.5, 20, 21} {
		h.Record(v)
	}
	w := httptest.NewRecorder()
	told.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`_bucket{le="10"} 1`, `_bucket{le="20"} 3`, `_bucket{le="+Inf"} 4`, `_sum 61.5`, `_count 4`} {
		if !strings.Contains(w.Body.String(), "jetfn_partition_commitSize"+want+"\n") {
			t.Errorf("the scrape has no %s: %s", want, w.Body)
		}
	}
	if got := h.Quantile(0.5); got < 10 || got > 20 {
		t.Errorf("half of the values are below %v, want between 10 and 20", got)
	}
	if err := told.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
