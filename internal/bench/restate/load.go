package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"
)

// result has the names of jetfn bench.
type result struct {
	Function    string             `json:"function"`
	Keys        int                `json:"keys"`
	InFlight    int                `json:"inflight"`
	Rate        float64            `json:"rate"`
	Payload     int                `json:"payload"`
	Sync        string             `json:"sync"`
	Partitions  int                `json:"partitions"`
	Duration    float64            `json:"duration_s"`
	Invocations int64              `json:"invocations"`
	PerSecond   float64            `json:"inv_per_s"`
	Latency     map[string]float64 `json:"latency_ms"`
	Verified    bool               `json:"verified"`
}

// load calls objects and checks their answers.
type load struct {
	o      options
	url    string
	client *http.Client

	mu      sync.Mutex
	counts  []map[uint64]bool // seen, by key
	window  bool
	done    int64
	latency *hdrhistogram.Histogram
}

func measure(ctx context.Context, o options) (*result, error) {
	s, err := start(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	const (
		figures = 3
		settle  = 3 * time.Second
	)
	ready := time.Now()
	transport := &http.Transport{MaxIdleConns: 2 * o.inFlight, MaxIdleConnsPerHost: 2 * o.inFlight, DisableCompression: true}
	l := &load{
		o: o, url: s.ingress + "/Counter/", client: &http.Client{Transport: transport},
		counts: make([]map[uint64]bool, o.keys), latency: hdrhistogram.New(1, int64(time.Hour/time.Microsecond), figures),
	}
	for i := range l.counts {
		l.counts[i] = map[uint64]bool{}
	}
	for range o.keys { // one by one, so that the server is ready
		if err := l.call(ctx, time.Now()); err != nil {
			return nil, err
		}
		if time.Since(ready) > settle {
			break
		}
	}
	calling, stop := context.WithCancel(ctx)
	group, failed := errgroup.WithContext(ctx)
	if o.rate > 0 {
		group.Go(func() error { return l.openLoop(calling, failed, group) })
	} else {
		for range o.inFlight {
			group.Go(func() error { return l.closedLoop(calling, failed) })
		}
	}
	wait(failed, o.warmup)
	l.open(true)
	began := time.Now()
	wait(failed, o.duration)
	l.open(false)
	seconds := time.Since(began).Seconds()
	stop()
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return l.result(seconds)
}

func (l *load) result(seconds float64) (*result, error) {
	const perMilli = 1000
	r := &result{
		Function: "restate", Keys: l.o.keys, InFlight: l.o.inFlight, Rate: l.o.rate, Payload: l.o.payload, Sync: "always", Partitions: l.o.partitions,
		Duration: seconds, Invocations: l.done, PerSecond: float64(l.done) / seconds, Latency: map[string]float64{}, Verified: true,
	}
	if l.o.rate > 0 {
		r.InFlight = 0
	}
	for name, q := range map[string]float64{"p50": 50, "p90": 90, "p99": 99, "p999": 99.9, "max": 100} {
		r.Latency[name] = float64(l.latency.ValueAtQuantile(q)) / perMilli
	}
	for key, seen := range l.counts {
		for n := range len(seen) {
			if !seen[uint64(n)+1] {
				return nil, fmt.Errorf("key %d was called %d times, but no answer counts %d", key, len(seen), n+1)
			}
		}
	}
	return r, nil
}

func (l *load) open(window bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.window = window
}

func (l *load) closedLoop(calling, ctx context.Context) error {
	for calling.Err() == nil && ctx.Err() == nil {
		if err := l.call(ctx, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// openLoop starts calls at a fixed rate; a latency counts from when its call
// was due.
func (l *load) openLoop(calling, ctx context.Context, group *errgroup.Group) error {
	interval := time.Duration(float64(time.Second) / l.o.rate)
	for due := time.Now(); ; due = due.Add(interval) {
		wait(calling, time.Until(due))
		if calling.Err() != nil || ctx.Err() != nil {
			return nil //nolint:nilerr // the run is over
		}
		group.Go(func() error { return l.call(ctx, due) })
	}
}

func (l *load) call(ctx context.Context, due time.Time) error {
	key := rand.IntN(l.o.keys)
	payload := bytes.Repeat([]byte{'x'}, l.o.payload)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"k"+strconv.Itoa(key)+"/add", bytes.NewReader(payload))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	if err != nil {
		return err
	}
	return l.answered(key, answer, time.Since(due))
}

func (l *load) answered(key int, answer []byte, took time.Duration) error {
	var count uint64
	if _, err := fmt.Sscanf(string(answer), "k"+strconv.Itoa(key)+" %d", &count); err != nil {
		return fmt.Errorf("answer %.40q: %w", answer, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts[key][count] {
		return fmt.Errorf("key %d counted %d twice", key, count)
	}
	l.counts[key][count] = true
	if l.window {
		l.done++
		return l.latency.RecordValue(took.Microseconds())
	}
	return nil
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
