package runtime

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// meters are all that a worker measures.
type meters struct {
	*telemetry.Telemetry
	tally    *tally
	journals *journalMeters

	recoveries   atomic.Int64
	recoveryTime atomic.Int64 // milliseconds
}

func newMeters(m *telemetry.Telemetry) (*meters, error) {
	t, err := newTally(m.Metrics)
	return &meters{Telemetry: m, tally: t, journals: newJournalMeters(m.Metrics)}, err
}

// recovered notes how long it took until the partitions were ready.
func (m *meters) recovered(took time.Duration) {
	m.recoveries.Add(1)
	m.recoveryTime.Store(took.Milliseconds())
}

// partitionColumns are the metrics of partitions but for histograms.
func partitionColumns() map[string]func(actor.Stats) int64 {
	return map[string]func(actor.Stats) int64{
		"epoch":            func(s actor.Stats) int64 { return int64(s.Epoch) },
		"commits":          func(s actor.Stats) int64 { return int64(s.Commits) },
		"accepted":         func(s actor.Stats) int64 { return int64(s.Accepted) },
		"invocations":      func(s actor.Stats) int64 { return int64(s.Invocations) },
		"messages":         func(s actor.Stats) int64 { return int64(s.Messages) },
		"retries":          func(s actor.Stats) int64 { return int64(s.Retries) },
		"deadLetters":      func(s actor.Stats) int64 { return int64(s.DeadLetters) },
		"stateConflicts":   func(s actor.Stats) int64 { return int64(s.StateConflicts) },
		"drops":            func(s actor.Stats) int64 { return int64(s.Drops) },
		"applyLag":         func(s actor.Stats) int64 { return int64(s.Unapplied) },
		"checkpointAge":    func(s actor.Stats) int64 { return checkpointAge(s.CheckpointAt) },
		"timersPending":    func(s actor.Stats) int64 { return int64(s.Timers) },
		"egressPending":    func(s actor.Stats) int64 { return int64(s.EgressPending) },
		"residentMessages": func(s actor.Stats) int64 { return int64(s.Resident) },
		"spilledMessages":  func(s actor.Stats) int64 { return int64(s.Spilled) },
		"cachedAddresses":  func(s actor.Stats) int64 { return int64(s.CachedAddresses) },
	}
}

// watchPartitions reports what stats returns whenever metrics are read.
func (m *meters) watchPartitions(stats func() map[int]actor.Stats) error {
	columns := partitionColumns()
	names := make([]string, 0, len(columns))
	for name := range columns {
		names = append(names, "jetfn_partition_"+name)
	}
	return m.Watch(func(_ context.Context, r *telemetry.Report) {
		for p, s := range stats() {
			label := metric.WithAttributes(attribute.String("partition", strconv.Itoa(p)))
			for name, value := range columns {
				r.Tell("jetfn_partition_"+name, value(s), label)
			}
		}
	}, names...)
}

func checkpointAge(at int64) int64 {
	if at == 0 {
		return 0
	}
	return time.Now().UnixMilli() - at
}

// watchEndpoints reports the connections of the catalog's endpoints.
func (m *meters) watchEndpoints(c *catalog) error {
	const opened, reused = "jetfn_endpoint_connectionsOpened", "jetfn_endpoint_connectionsReused"
	return m.Watch(func(_ context.Context, r *telemetry.Report) {
		for name, s := range c.connections() {
			label := metric.WithAttributes(attribute.String("endpoint", name))
			r.Tell(opened, int64(s.ConnectionsOpened), label)
			r.Tell(reused, int64(s.ConnectionsReused), label)
		}
	}, opened, reused)
}

// watchIngresses reports what existing streams lost before it was read.
func (m *meters) watchIngresses(missed func() map[string]uint64) error {
	const lost = "jetfn_ingress_recordsMissed"
	return m.Watch(func(_ context.Context, r *telemetry.Report) {
		for id, n := range missed() {
			r.Tell(lost, int64(n), metric.WithAttributes(attribute.String("ingress", id)))
		}
	}, lost)
}
