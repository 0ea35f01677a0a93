package runtime

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/jetfn/jetfn/actor"
)

// journalMeters measure what is appended to journals.
type journalMeters struct {
	size, latency metric.Int64Histogram
}

func newJournalMeters(m metric.Meter) (*journalMeters, error) {
	size, err := m.Int64Histogram("jetfn_partition_commitSize",
		metric.WithDescription("Bytes of a record appended to the journal."),
		metric.WithExplicitBucketBoundaries(256, 1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 8<<20))
	if err != nil {
		return nil, fmt.Errorf("set metrics up: %w", err)
	}
	latency, err := m.Int64Histogram("jetfn_partition_commitLatency",
		metric.WithDescription("Milliseconds until a record appended to the journal was durable."),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 25, 100, 500, 5000))
	if err != nil {
		return nil, fmt.Errorf("set metrics up: %w", err)
	}
	return &journalMeters{size: size, latency: latency}, nil
}

// measured returns j with its appends measured, as long as ctx lives.
func (m *journalMeters) measured(ctx context.Context, j actor.Journal, partition int) actor.Journal {
	label := metric.WithAttributeSet(attribute.NewSet(attribute.String("partition", strconv.Itoa(partition))))
	record := func(size int, took time.Duration) {
		m.size.Record(ctx, int64(size), label)
		m.latency.Record(ctx, took.Milliseconds(), label)
	}
	return measuredJournal{j, record}
}

type measuredJournal struct {
	actor.Journal
	record func(size int, took time.Duration)
}

// Append implements actor.Journal.
func (j measuredJournal) Append(data []byte, after uint64, done func(actor.WriteResult)) {
	began := time.Now()
	j.Journal.Append(data, after, func(r actor.WriteResult) {
		if r.Outcome == actor.Stored {
			j.record(len(data), time.Since(began))
		}
		done(r)
	})
}
