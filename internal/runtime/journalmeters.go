package runtime

import (
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/telemetry"
)

// journalMeters measure what is appended to journals. Generations use it one
// after the other.
type journalMeters struct {
	sizes, latencies *telemetry.Family
	byPartition      map[int]journalMeter
}

type journalMeter struct{ size, latency *telemetry.Histogram }

func newJournalMeters(m *telemetry.Metrics) *journalMeters {
	return &journalMeters{
		sizes:       m.Histogram("jetfn_partition_commitSize", []float64{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 8 << 20}),
		latencies:   m.Histogram("jetfn_partition_commitLatency", []float64{1, 2, 5, 10, 25, 100, 500, 5000}),
		byPartition: map[int]journalMeter{},
	}
}

// measured returns j with its appends measured.
func (m *journalMeters) measured(j actor.Journal, partition int) actor.Journal {
	meter, ok := m.byPartition[partition]
	if !ok {
		label := attribute.NewSet(attribute.String("partition", strconv.Itoa(partition)))
		meter = journalMeter{size: m.sizes.New(label), latency: m.latencies.New(label)}
		m.byPartition[partition] = meter
	}
	return measuredJournal{j, meter}
}

type measuredJournal struct {
	actor.Journal
	meter journalMeter
}

// Append implements actor.Journal.
func (j measuredJournal) Append(data []byte, after uint64, done func(actor.WriteResult)) {
	began := time.Now()
	j.Journal.Append(data, after, func(r actor.WriteResult) {
		if r.Outcome == actor.Stored {
			j.meter.size.Record(float64(len(data)))
			j.meter.latency.RecordTime(time.Since(began))
		}
		done(r)
	})
}
