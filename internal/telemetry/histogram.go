package telemetry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// scale is how many parts of its unit a histogram's sum counts, so that it can
// be an integer.
const scale = 1000

// Histogram counts values in buckets. It is safe for many goroutines, and
// recording takes two atomic additions.
type Histogram struct {
	bounds []float64
	label  attribute.Set
	counts []atomic.Uint64 // one more than bounds
	sum    atomic.Int64    // times scale
}

// Record counts a value.
func (h *Histogram) Record(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(v * scale))
}

// RecordTime counts a duration in milliseconds.
func (h *Histogram) RecordTime(d time.Duration) { h.Record(float64(d) / float64(time.Millisecond)) }

// Count is how many values there were.
func (h *Histogram) Count() (n uint64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Sum is that of all values.
func (h *Histogram) Sum() float64 { return float64(h.sum.Load()) / scale }

// Quantile is about the value below which the share q of all values is; zero
// if there are none. Values beyond the last bound count as that bound.
func (h *Histogram) Quantile(q float64) float64 {
	rank, below, low := q*float64(h.Count()), 0.0, 0.0
	for i := range h.counts {
		n := float64(h.counts[i].Load())
		if i == len(h.bounds) {
			break
		}
		if n > 0 && below+n >= rank {
			return low + (h.bounds[i]-low)*(rank-below)/n
		}
		below, low = below+n, h.bounds[i]
	}
	if below == 0 && h.Count() == 0 {
		return 0
	}
	return low
}

// Family is a histogram with each of its labels' values.
type Family struct {
	metric Metric
	bounds []float64

	mu   sync.Mutex
	list []*Histogram
}

// New returns the family's histogram with these labels, which the caller
// keeps: each may be asked for once.
func (f *Family) New(label attribute.Set) *Histogram {
	h := &Histogram{bounds: f.bounds, label: label, counts: make([]atomic.Uint64, len(f.bounds)+1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, h)
	return h
}

// data is a snapshot.
func (f *Family) data(begun time.Time) metricdata.Metrics {
	f.mu.Lock()
	list := f.list
	f.mu.Unlock()
	points := make([]metricdata.HistogramDataPoint[float64], len(list))
	now := time.Now()
	for i, h := range list {
		p := metricdata.HistogramDataPoint[float64]{
			Attributes: h.label, StartTime: begun, Time: now, Bounds: h.bounds,
			BucketCounts: make([]uint64, len(h.counts)), Sum: float64(h.sum.Load()) / scale,
		}
		for j := range h.counts {
			p.BucketCounts[j] = h.counts[j].Load()
			p.Count += p.BucketCounts[j]
		}
		points[i] = p
	}
	return metricdata.Metrics{
		Name: f.metric.Name, Description: f.metric.Meaning, Unit: f.metric.Unit,
		Data: metricdata.Histogram[float64]{DataPoints: points, Temporality: metricdata.CumulativeTemporality},
	}
}

// histograms are all families; readers of OpenTelemetry's SDK ask them.
type histograms struct {
	begun time.Time

	mu   sync.Mutex
	list []*Family
}

var _ sdkmetric.Producer = (*histograms)(nil)

func (s *histograms) add(m Metric, bounds []float64) *Family {
	f := &Family{metric: m, bounds: bounds}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, f)
	return f
}

// Produce implements sdkmetric.Producer.
func (s *histograms) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	scope := metricdata.ScopeMetrics{Scope: instrumentation.Scope{Name: scopeName}}
	for _, f := range list {
		if m := f.data(s.begun); len(m.Data.(metricdata.Histogram[float64]).DataPoints) > 0 {
			scope.Metrics = append(scope.Metrics, m)
		}
	}
	return []metricdata.ScopeMetrics{scope}, nil
}
