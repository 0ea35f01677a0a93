package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

const scopeName = "github.com/jetfn/jetfn"

// Metrics are a worker's.
type Metrics struct {
	// Handler answers GET /metrics.
	Handler http.Handler

	table      map[string]Metric
	meter      metric.Meter
	provider   *sdkmetric.MeterProvider
	histograms *histograms
}

// newMetrics returns metrics that Prometheus can read, and that go to a
// collector if the options name one.
func newMetrics(ctx context.Context, o *Options, about *resource.Resource) (*Metrics, error) {
	processes := prometheus.NewRegistry()
	processes.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	h := &histograms{begun: time.Now()}
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes),
		otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithoutTargetInfo(),
		otelprometheus.WithProducer(h),
	)
	if err != nil {
		return nil, fmt.Errorf("set metrics up: %w", err)
	}
	options := []sdkmetric.Option{sdkmetric.WithReader(exporter), sdkmetric.WithResource(about)}
	sender, err := o.metricReader(ctx, h, bridge.NewMetricProducer(bridge.WithGatherer(processes)))
	if err != nil {
		return nil, err
	}
	if sender != nil {
		options = append(options, sdkmetric.WithReader(sender))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	m := &Metrics{
		Handler:  promhttp.HandlerFor(prometheus.Gatherers{registry, processes}, promhttp.HandlerOpts{}),
		provider: provider, meter: provider.Meter(scopeName), histograms: h, table: map[string]Metric{},
	}
	for _, line := range Table() {
		m.table[line.Name] = line
	}
	return m, nil
}

// closeMetrics ends the collection, and tells the collector what it has not been told.
func (m *Metrics) closeMetrics(ctx context.Context) error {
	if err := m.provider.Shutdown(ctx); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		return fmt.Errorf("end of metrics: %w", err)
	}
	return nil
}

// Histogram returns the family called name, which is in the Table.
func (m *Metrics) Histogram(name string, bounds []float64) *Family {
	return m.histograms.add(m.line(name, KindHistogram), bounds)
}

// line is that of the Table, whose lack is a fault of the program.
func (m *Metrics) line(name string, kind Kind) Metric {
	line, ok := m.table[name]
	if !ok || line.Kind != kind {
		panic(fmt.Sprintf("telemetry: the table has no %s %s", kind, name))
	}
	return line
}

// Report is what one reading of metrics tells.
type Report struct {
	observer metric.Observer
	known    map[string]metric.Int64Observable
}

// Tell gives the value of the metric called name, with labels.
func (r *Report) Tell(name string, v int64, labels ...metric.ObserveOption) {
	r.observer.ObserveInt64(r.known[name], v, labels...)
}

// Watch has report called whenever metrics are read, to tell the values of
// the counters and gauges named, which are in the Table.
func (m *Metrics) Watch(report func(context.Context, *Report), names ...string) error {
	r := Report{known: map[string]metric.Int64Observable{}}
	var instruments []metric.Observable
	for _, name := range names {
		var i metric.Int64Observable
		var err error
		if line := m.table[name]; line.Kind == KindCounter {
			i, err = m.meter.Int64ObservableCounter(name, metric.WithDescription(line.Meaning), metric.WithUnit(line.Unit))
		} else {
			line = m.line(name, KindGauge)
			i, err = m.meter.Int64ObservableGauge(name, metric.WithDescription(line.Meaning), metric.WithUnit(line.Unit))
		}
		if err != nil {
			return fmt.Errorf("set metrics up: %w", err)
		}
		r.known[name] = i
		instruments = append(instruments, i)
	}
	_, err := m.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		now := Report{observer: o, known: r.known}
		report(ctx, &now)
		return nil
	}, instruments...)
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	return nil
}
