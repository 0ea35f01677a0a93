package telemetry_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/otlptest"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// environ is an environment.
func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestOptionsThatCantWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options telemetry.Options
		want    string // empty: they work
	}{
		"nothing":       {telemetry.Options{Environ: environ()}, ""},
		"an endpoint":   {telemetry.Options{Endpoint: "http://localhost:4318", Environ: environ()}, ""},
		"a host":        {telemetry.Options{Endpoint: "localhost:4318", Environ: environ()}, "--otlp"},
		"a secret":      {telemetry.Options{Endpoint: "http://me:secret@localhost", Environ: environ()}, "OTEL_EXPORTER_OTLP_HEADERS"},
		"a protocol":    {telemetry.Options{Environ: environ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")}, "http/json"},
		"grpc":          {telemetry.Options{Environ: environ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")}, ""},
		"an exporter":   {telemetry.Options{Environ: environ("OTEL_TRACES_EXPORTER", "zipkin")}, "zipkin"},
		"a sampler":     {telemetry.Options{Environ: environ("OTEL_TRACES_SAMPLER", "jaeger_remote")}, "jaeger_remote"},
		"a ratio":       {telemetry.Options{Environ: environ("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "2")}, "OTEL_TRACES_SAMPLER_ARG"},
		"a right ratio": {telemetry.Options{Environ: environ("OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.5")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := c.options.Check()
			if c.want == "" && err == nil {
				return
			}
			if !errors.Is(err, telemetry.ErrOptions) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("Check() = %v, want one that names %q and no secret", err, c.want)
			}
		})
	}
}

// traced sends one message through a tracer.
func traced(t *testing.T, o telemetry.Options) {
	t.Helper()
	o.Service, o.Worker = "shop", "worker-1"
	told, err := telemetry.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, end := told.Tracer.Accept(actor.Address{Type: actor.TypeName{Namespace: "shop", Name: "cart"}, ID: "a"}, actor.Trace{})
	end("1", nil)
	limited, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := told.Close(limited); err != nil {
		t.Errorf("Close = %v", err)
	}
}

func TestTheEnvironmentSaysWhatIsSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env             []string
		traces, metrics bool
	}{
		"all":        {nil, true, true},
		"no traces":  {[]string{"OTEL_TRACES_EXPORTER", "none"}, false, true},
		"no metrics": {[]string{"OTEL_METRICS_EXPORTER", "none"}, true, false},
		"nothing":    {[]string{"OTEL_SDK_DISABLED", "true"}, false, false},
		"no roots":   {[]string{"OTEL_TRACES_SAMPLER", "parentbased_always_off"}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := otlptest.Start(t)
			traced(t, telemetry.Options{Endpoint: to.URL, Environ: environ(c.env...)})
			if traces, metrics := len(to.Spans()) > 0, len(to.Metrics()) > 0; traces != c.traces || metrics != c.metrics {
				t.Errorf("traces %v, metrics %v; want %v and %v", traces, metrics, c.traces, c.metrics)
			}
		})
	}
}

// grpcCollector takes traces over gRPC.
type grpcCollector struct {
	collector.UnimplementedTraceServiceServer

	mu    sync.Mutex
	spans int
}

// Export implements collector.TraceServiceServer.
func (g *grpcCollector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, group := range r.GetResourceSpans() {
		for _, scope := range group.GetScopeSpans() {
			g.spans += len(scope.GetSpans())
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestTracesGoOverGRPC(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got, server := &grpcCollector{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, got)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	traced(t, telemetry.Options{
		Endpoint: "http://" + ln.Addr().String(), Environ: environ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_METRICS_EXPORTER", "none"),
	})
	server.GracefulStop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got.spans != 1 {
		t.Errorf("spans over gRPC = %d, want 1", got.spans)
	}
}

func TestEachOwnerGivesAMessageTheSameTrace(t *testing.T) {
	t.Parallel()
	told, err := telemetry.New(t.Context(), telemetry.Options{
		Spans: &telemetry.Recorder{}, Environ: environ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.25"),
	})
	if err != nil {
		t.Fatal(err)
	}
	chosen := 0
	const messages = 4000
	for i := range messages {
		id := actor.InputID{Source: actor.SourceMailbox, Seq: uint64(i/8 + 1), Index: i % 8}
		var one, other actor.Envelope
		first, second := told.Tracer.Root(&one, "app", id), told.Tracer.Root(&other, "app", id)
		if first != second || one.Trace != other.Trace || first != one.Trace.Sampled() {
			t.Fatalf("two owners give %v the traces %v and %v", id, one.Trace, other.Trace)
		}
		if first {
			chosen++
		}
		if told.Tracer.Root(&one, "app", id) && first {
			t.Fatalf("message %v has got a second trace", id)
		}
	}
	if chosen < messages/5 || chosen > messages*3/10 {
		t.Errorf("%d of %d messages are traced, want about a quarter", chosen, messages)
	}
	if err := told.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
