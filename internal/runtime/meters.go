package runtime

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/jetfn/jetfn/actor"
)

// meters are all that a worker measures, and where /metrics shows it.
type meters struct {
	handler  http.Handler
	provider *sdkmetric.MeterProvider
	meter    metric.Meter
	tally    *tally
	journals *journalMeters
}

func newMeters() (*meters, error) {
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithoutSuffixes),
		otelprometheus.WithoutScopeInfo(),
		otelprometheus.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, fmt.Errorf("set metrics up: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	m := &meters{
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		provider: provider,
		meter:    provider.Meter("github.com/jetfn/jetfn"),
	}
	if m.tally, err = newTally(m.meter); err != nil {
		return nil, fmt.Errorf("set metrics up: %w", err)
	}
	m.journals, err = newJournalMeters(m.meter)
	return m, err
}

// close ends the collection.
func (m *meters) close(ctx context.Context) error { return m.provider.Shutdown(ctx) }

// watchPartitions reports what stats returns whenever /metrics is read.
func (m *meters) watchPartitions(stats func() map[int]actor.Stats) error {
	type column struct {
		instrument metric.Int64Observable
		value      func(actor.Stats) int64
	}
	var columns []column
	var instruments []metric.Observable
	var failed error
	counter := func(name, what string, value func(actor.Stats) uint64) {
		c, err := m.meter.Int64ObservableCounter("jetfn_partition_"+name, metric.WithDescription(what))
		if err != nil {
			failed = err
			return
		}
		columns = append(columns, column{c, func(s actor.Stats) int64 { return int64(value(s)) }})
		instruments = append(instruments, c)
	}
	gauge := func(name, what string, value func(actor.Stats) int64) {
		g, err := m.meter.Int64ObservableGauge("jetfn_partition_"+name, metric.WithDescription(what))
		if err != nil {
			failed = err
			return
		}
		columns = append(columns, column{g, value})
		instruments = append(instruments, g)
	}
	gauge("epoch", "Times the partition was opened.", func(s actor.Stats) int64 { return int64(s.Epoch) })
	counter("commits", "Commits appended to the journal.", func(s actor.Stats) uint64 { return s.Commits })
	counter("accepted", "Messages accepted.", func(s actor.Stats) uint64 { return s.Accepted })
	counter("invocations", "Calls of functions that were committed.", func(s actor.Stats) uint64 { return s.Invocations })
	counter("messages", "Messages consumed.", func(s actor.Stats) uint64 { return s.Messages })
	counter("retries", "Calls repeated after a failure.", func(s actor.Stats) uint64 { return s.Retries })
	counter("deadLetters", "Messages given up.", func(s actor.Stats) uint64 { return s.DeadLetters })
	counter("stateConflicts", "Foreign writes found in the state bucket.", func(s actor.Stats) uint64 { return s.StateConflicts })
	counter("drops", "Repeated or early sends dropped.", func(s actor.Stats) uint64 { return s.Drops })
	gauge("applyLag", "Commits whose effects are not all in place.", func(s actor.Stats) int64 { return int64(s.Unapplied) })
	gauge("checkpointAge", "Milliseconds since the last checkpoint.", func(s actor.Stats) int64 { return checkpointAge(s.CheckpointAt) })
	gauge("timersPending", "Delayed messages that have not fired.", func(s actor.Stats) int64 { return int64(s.Timers) })
	gauge("residentMessages", "Messages held in memory.", func(s actor.Stats) int64 { return int64(s.Resident) })
	gauge("spilledMessages", "Messages that wait in the stream only.", func(s actor.Stats) int64 { return int64(s.Spilled) })
	gauge("cachedAddresses", "Addresses whose state is in memory.", func(s actor.Stats) int64 { return int64(s.CachedAddresses) })
	if failed != nil {
		return fmt.Errorf("set metrics up: %w", failed)
	}
	_, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for p, s := range stats() {
			label := metric.WithAttributes(attribute.String("partition", strconv.Itoa(p)))
			for _, c := range columns {
				o.ObserveInt64(c.instrument, c.value(s), label)
			}
		}
		return nil
	}, instruments...)
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	return nil
}

func checkpointAge(at int64) int64 {
	if at == 0 {
		return 0
	}
	return time.Now().UnixMilli() - at
}

// watchEndpoints reports the connections of the catalog's endpoints.
func (m *meters) watchEndpoints(c *catalog) error {
	opened, err := m.meter.Int64ObservableCounter("jetfn_endpoint_connectionsOpened",
		metric.WithDescription("Connections made."))
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	reused, err := m.meter.Int64ObservableCounter("jetfn_endpoint_connectionsReused",
		metric.WithDescription("Calls that found an idle connection."))
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	_, err = m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for name, s := range c.connections() {
			label := metric.WithAttributes(attribute.String("endpoint", name))
			o.ObserveInt64(opened, int64(s.ConnectionsOpened), label)
			o.ObserveInt64(reused, int64(s.ConnectionsReused), label)
		}
		return nil
	}, opened, reused)
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	return nil
}

// watchIngresses reports what existing streams lost before it was read.
func (m *meters) watchIngresses(missed func() map[string]uint64) error {
	lost, err := m.meter.Int64ObservableCounter("jetfn_ingress_recordsMissed",
		metric.WithDescription("Records of an existing stream that were removed before they were read."))
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	_, err = m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for id, n := range missed() {
			o.ObserveInt64(lost, int64(n), metric.WithAttributes(attribute.String("ingress", id)))
		}
		return nil
	}, lost)
	if err != nil {
		return fmt.Errorf("set metrics up: %w", err)
	}
	return nil
}
