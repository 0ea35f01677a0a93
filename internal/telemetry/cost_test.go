package telemetry_test

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// tracing returns a tracer that records about one trace of a hundred.
func tracing(tb testing.TB) *telemetry.Telemetry {
	tb.Helper()
	told, err := telemetry.New(tb.Context(), telemetry.Options{
		Spans: &telemetry.Recorder{}, Environ: environ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.01"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := told.Close(tb.Context()); err != nil {
			tb.Log(err) // the test's context has ended
		}
	})
	return told
}

// plain is a batch that is not traced.
func plain() *actor.Batch {
	target := actor.Address{Type: actor.TypeName{Namespace: "shop", Name: "cart"}, ID: "a"}
	return &actor.Batch{Target: target, Envelopes: make([]actor.Envelope, 3)}
}

// root decides about a message that comes without a trace.
func root(told *telemetry.Telemetry, seq uint64) bool {
	var e actor.Envelope
	return told.Tracer.Root(&e, "app", actor.InputID{Source: actor.SourceMailbox, Seq: seq})
}

func TestWhatIsNotSampledAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	told, b := tracing(t), plain()
	h := told.Histogram("jetfn_functions_batchSize", []float64{1, 10, 100}).New(attribute.NewSet())
	unsampled := actor.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
	passed := uint64(1)
	for root(told, passed) {
		passed++
	}
	for name, f := range map[string]func(){
		"a value of a histogram":        func() { h.Record(5) },
		"a call":                        func() { told.Tracer.Invoking(b) },
		"a send":                        func() { told.Tracer.Send(unsampled, telemetry.SendName, "shop/cart") },
		"a sampling decision":           func() { told.Tracer.Sample() },
		"a message that 1 % leaves out": func() { root(told, passed) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s allocates %v times, want 0", name, n)
		}
	}
}

func BenchmarkTelemetry(b *testing.B) {
	told, batch := tracing(b), plain()
	h := told.Histogram("jetfn_functions_batchSize", []float64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000}).New(attribute.NewSet())
	b.Run("histogram", func(b *testing.B) {
		for b.Loop() {
			h.Record(30)
		}
	})
	b.Run("call that is not traced", func(b *testing.B) {
		for b.Loop() {
			told.Tracer.Invoking(batch)
		}
	})
	b.Run("message without a trace, at 1 %", func(b *testing.B) {
		for seq := uint64(1); b.Loop(); seq++ {
			var e actor.Envelope
			told.Tracer.Root(&e, "app", actor.InputID{Source: actor.SourceMailbox, Seq: seq})
		}
	})
}
