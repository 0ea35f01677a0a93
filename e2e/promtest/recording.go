package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// recording is a run: what was scraped, as series. It is a storage.Queryable.
type recording struct {
	from, to time.Time
	scrapes  int
	names    map[string]bool
	series   map[string]*recorded
}

type recorded struct {
	labels  labels.Labels
	samples []chunks.Sample
}

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// read reads the scrapes in a directory.
func read(dir string) (*recording, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) < 2 {
		return nil, errors.Join(err, fmt.Errorf("%d scrapes in %q, at least 2 are needed", len(files), dir))
	}
	slices.Sort(files)
	r := &recording{from: time.Unix(1_700_000_000, 0), names: map[string]bool{}, series: map[string]*recorded{}, scrapes: len(files)}
	r.to = r.from
	for i, file := range files {
		r.to = r.from.Add(time.Duration(i) * step)
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for name, family := range families {
			for _, m := range family.GetMetric() {
				r.take(name, m)
			}
		}
	}
	return r, nil
}

// take adds what was scraped of one metric.
func (r *recording) take(name string, m *dto.Metric) {
	h := m.GetHistogram()
	if h == nil {
		r.add(name, m, m.GetCounter().GetValue()+m.GetGauge().GetValue()+m.GetUntyped().GetValue())
		return
	}
	r.add(name+"_sum", m, h.GetSampleSum())
	r.add(name+"_count", m, float64(h.GetSampleCount()))
	for _, b := range h.GetBucket() {
		r.add(name+"_bucket", m, float64(b.GetCumulativeCount()), "le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
	}
	r.add(name+"_bucket", m, float64(h.GetSampleCount()), "le", "+Inf")
}

func (r *recording) add(name string, m *dto.Metric, v float64, more ...string) {
	set := []string{labels.MetricName, name, "instance", "localhost:8080", "job", "jetfn"}
	for _, l := range m.GetLabel() {
		set = append(set, l.GetName(), l.GetValue())
	}
	all := labels.FromStrings(append(set, more...)...)
	r.names[name] = true
	s := r.series[all.String()]
	if s == nil {
		s = &recorded{labels: all}
		r.series[all.String()] = s
	}
	if n := len(s.samples); n > 0 && s.samples[n-1].T() == r.to.UnixMilli() {
		return // +Inf was there already
	}
	s.samples = append(s.samples, sample{r.to.UnixMilli(), v})
}

// Querier implements storage.Queryable.
func (r *recording) Querier(int64, int64) (storage.Querier, error) { return querier{r}, nil }

type querier struct{ run *recording }

// Select implements storage.Querier.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, s := range q.run.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			found = append(found, storage.NewListSeries(s.labels, s.samples))
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{list: found, at: -1}
}

// LabelValues implements storage.Querier.
func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier.
func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (querier) Close() error { return nil }

type seriesSet struct {
	list []storage.Series
	at   int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.list) }
func (s *seriesSet) At() storage.Series                { return s.list[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
