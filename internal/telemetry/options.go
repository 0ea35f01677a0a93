package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Options say where metrics and traces go. What the standard variables of
// OpenTelemetry say holds too, and the SDK reads most of them itself.
type Options struct {
	// Endpoint is a collector's URL, http or https; empty: the one of the
	// environment. Credentials go into OTEL_EXPORTER_OTLP_HEADERS.
	Endpoint string
	// Environ looks a variable up; nil: in the process' environment.
	Environ func(string) string
	// Spans gets all spans, besides the collector; nil: nobody does.
	Spans sdktrace.SpanExporter
	// Service is the name to go by, unless OTEL_SERVICE_NAME says another,
	// Worker the instance's, Version the program's.
	Service, Worker, Version string
	Log                      zerolog.Logger
}

// ErrOptions means that telemetry can't be set up as it was asked for.
var ErrOptions = errors.New("telemetry")

func (o *Options) get(name string) string {
	if o.Environ == nil {
		return os.Getenv(name)
	}
	return o.Environ(name)
}

// first is the first of the variables that says something.
func (o *Options) first(names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(o.get(name)); v != "" {
			return v
		}
	}
	return ""
}

// Check refuses what can't work, before anything is started.
func (o *Options) Check() error {
	if o.Endpoint != "" {
		if err := checkEndpoint(o.Endpoint); err != nil {
			return fmt.Errorf("%w: --otlp: %w", ErrOptions, err)
		}
	}
	for _, signal := range []string{"TRACES", "METRICS"} {
		switch p := o.protocol(signal); p {
		case protocolHTTP, protocolGRPC:
		default:
			return fmt.Errorf("%w: OTEL_EXPORTER_OTLP_PROTOCOL: %q is neither %s nor %s", ErrOptions, p, protocolHTTP, protocolGRPC)
		}
		switch e := o.first("OTEL_" + signal + "_EXPORTER"); e {
		case "", "otlp", "none":
		default:
			return fmt.Errorf("%w: OTEL_%s_EXPORTER: %q is neither otlp nor none", ErrOptions, signal, e)
		}
	}
	_, err := o.sampling()
	return err
}

// checkEndpoint never shows what may be a secret.
func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("no URL")
	case u.User != nil:
		return errors.New("credentials don't belong into the URL; put a header into OTEL_EXPORTER_OTLP_HEADERS")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("no URL of the form http://host:port or https://host:port")
	}
	return nil
}

const (
	protocolHTTP = "http/protobuf"
	protocolGRPC = "grpc"
)

func (o *Options) protocol(signal string) string {
	if p := o.first("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" {
		return p
	}
	return protocolHTTP
}

// sends reports whether a signal goes to a collector.
func (o *Options) sends(signal string) bool {
	if strings.EqualFold(o.first("OTEL_SDK_DISABLED"), "true") || o.first("OTEL_"+signal+"_EXPORTER") == "none" {
		return false
	}
	return o.Endpoint != "" || o.first("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// spanExporter sends spans to the collector; nil: there is none.
func (o *Options) spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if !o.sends("TRACES") {
		return nil, nil //nolint:nilnil // nobody asked for one
	}
	var e sdktrace.SpanExporter
	var err error
	if o.protocol("TRACES") == protocolGRPC {
		var options []otlptracegrpc.Option
		if o.Endpoint != "" {
			options = append(options, otlptracegrpc.WithEndpointURL(o.Endpoint))
		}
		e, err = otlptracegrpc.New(ctx, options...)
	} else {
		var options []otlptracehttp.Option
		if o.Endpoint != "" {
			options = append(options, otlptracehttp.WithEndpointURL(strings.TrimRight(o.Endpoint, "/")+"/v1/traces"))
		}
		e, err = otlptracehttp.New(ctx, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: traces: %w", ErrOptions, err)
	}
	return &spanSender{SpanExporter: e, report: o.reporter("traces")}, nil
}

// metricReader sends metrics to the collector at an interval; nil: there is
// none.
func (o *Options) metricReader(ctx context.Context, producers ...sdkmetric.Producer) (sdkmetric.Reader, error) {
	if !o.sends("METRICS") {
		return nil, nil //nolint:nilnil // nobody asked for one
	}
	var e sdkmetric.Exporter
	var err error
	if o.protocol("METRICS") == protocolGRPC {
		var options []otlpmetricgrpc.Option
		if o.Endpoint != "" {
			options = append(options, otlpmetricgrpc.WithEndpointURL(o.Endpoint))
		}
		e, err = otlpmetricgrpc.New(ctx, options...)
	} else {
		var options []otlpmetrichttp.Option
		if o.Endpoint != "" {
			options = append(options, otlpmetrichttp.WithEndpointURL(strings.TrimRight(o.Endpoint, "/")+"/v1/metrics"))
		}
		e, err = otlpmetrichttp.New(ctx, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: metrics: %w", ErrOptions, err)
	}
	var options []sdkmetric.PeriodicReaderOption
	for _, p := range producers {
		options = append(options, sdkmetric.WithProducer(p))
	}
	return sdkmetric.NewPeriodicReader(&metricSender{Exporter: e, report: o.reporter("metrics")}, options...), nil
}

// sampling says which traces are recorded.
type sampling struct {
	ratio       float64 // of traces that begin here
	parentBased bool    // others as they say themselves
}

// sampling reads OTEL_TRACES_SAMPLER.
func (o *Options) sampling() (sampling, error) {
	name := o.first("OTEL_TRACES_SAMPLER")
	ratio := 1.0
	if arg := o.first("OTEL_TRACES_SAMPLER_ARG"); arg != "" && strings.HasSuffix(name, "traceidratio") {
		var err error
		if ratio, err = strconv.ParseFloat(arg, 64); err != nil || ratio < 0 || ratio > 1 {
			return sampling{}, fmt.Errorf("%w: OTEL_TRACES_SAMPLER_ARG: %q is no number from 0 to 1", ErrOptions, arg)
		}
	}
	switch name {
	case "", "parentbased_always_on", "parentbased_traceidratio":
		return sampling{ratio: ratio, parentBased: true}, nil
	case "parentbased_always_off":
		return sampling{parentBased: true}, nil
	case "always_on", "traceidratio":
		return sampling{ratio: ratio}, nil
	case "always_off":
		return sampling{}, nil
	}
	return sampling{}, fmt.Errorf("%w: OTEL_TRACES_SAMPLER: %q is not supported; use always_on, always_off, traceidratio, or one of them behind parentbased_", ErrOptions, name)
}

// reportEvery is how often it is said that a collector takes nothing.
const reportEvery = time.Minute

// reporter notes failures of an exporter in the log, seldom.
func (o *Options) reporter(what string) func(error) {
	var said time.Time
	lost := 0
	return func(err error) { // exporters are called one at a time
		if err == nil {
			return
		}
		lost++
		if time.Since(said) < reportEvery {
			return
		}
		o.Log.Warn().Str("what", what).Int("failed", lost).Str("error", err.Error()).Msg("the collector takes nothing, telemetry is lost")
		said, lost = time.Now(), 0
	}
}

// spanSender says itself what is wrong with the collector.
type spanSender struct {
	sdktrace.SpanExporter
	report func(error)
}

// ExportSpans implements sdktrace.SpanExporter.
func (s *spanSender) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	s.report(s.SpanExporter.ExportSpans(ctx, spans))
	return nil
}
