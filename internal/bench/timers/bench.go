package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/sdk"
)

// bench is one run: a worker, and its functions in this process.
type bench struct {
	cfg       config
	dir       string
	temporary bool
	functions *httptest.Server
	address   string // of the worker
	worker    *worker
	client    *http.Client
	result    result
	peak      int64 // RSS of the worker that was killed

	got              atomic.Int64
	spread, together lagList // of the timers over a time, and of those at once
	meant            lagList // of those over a time, to what their setter had in mind
	burstAt          atomic.Int64
	dues             dues
}

func newBench(ctx context.Context, cfg config) (*bench, error) {
	b := &bench{cfg: cfg, dir: cfg.keep, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	b.result = result{Timers: cfg.timers, Sync: cfg.sync, OverS: cfg.over.Seconds(), Burst: cfg.burst}
	if b.dir == "" {
		dir, err := os.MkdirTemp("", "jetfn-timers-")
		if err != nil {
			return nil, err
		}
		b.dir, b.temporary = dir, true
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.address = ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, err
	}
	registry, err := sdk.NewRegistry([]sdk.Function{
		{Type: "bench/setter", Invoke: b.setTimers},
		{Type: "bench/bell", Invoke: b.ring},
		{Type: "bench/other", Invoke: func(ctx sdk.Context, m sdk.Message) error { return ctx.Reply(m) }},
	})
	if err != nil {
		return nil, err
	}
	b.functions = httptest.NewServer(sdk.Handler(registry))
	module := "kind: io.statefun.endpoints.v2/http\nspec:\n  functions: bench/*\n  urlPathTemplate: " + b.functions.URL + "\n  transport: {type: io.statefun.transports.v1/async}\n"
	return b, os.WriteFile(filepath.Join(b.dir, "module.yaml"), []byte(module), 0o600)
}

func (b *bench) close() {
	if b.worker != nil {
		b.worker.kill()
	}
	b.functions.Close()
	if b.temporary {
		_ = os.RemoveAll(b.dir)
	}
}

// setTimers sets as many as "<count> <first> <step in microseconds>" says.
func (b *bench) setTimers(ctx sdk.Context, m sdk.Message) error {
	text, err := sdk.String().From(m)
	if err != nil {
		return err
	}
	var count int
	var first, step int64
	if _, err := fmt.Sscan(text, &count, &first, &step); err != nil {
		return err
	}
	now := time.Now()
	for i := range count {
		due := first + int64(i)*step/1000
		delay := time.UnixMilli(due).Sub(now)
		if delay < 0 {
			delay = 0
		}
		ctx.SendAfter(delay, sdk.To("bench/bell", ctx.Self().ID+"-"+strconv.Itoa(i)), sdk.Int64().Of(due))
	}
	return nil
}

// ring notes how late a timer is.
func (b *bench) ring(ctx sdk.Context, m sdk.Message) error {
	meant, err := sdk.Int64().From(m)
	if err != nil {
		return err
	}
	switch lag := time.Since(time.UnixMilli(meant)); {
	case meant == b.burstAt.Load():
		b.together.add(lag)
	default:
		b.meant.add(lag)
		if due, ok := b.dues.of(ctx.Self().ID); ok {
			b.spread.add(time.Since(due))
		}
	}
	b.got.Add(1)
	return nil
}

func (b *bench) count() int { return int(b.got.Load()) }

// start runs a worker and waits until it is ready.
func (b *bench) start(ctx context.Context) error {
	if b.worker != nil {
		b.peak = max(b.peak, b.result.SetRSS, b.worker.last)
	}
	w, err := startWorker(ctx, b.cfg.binary, b.dir,
		"run", filepath.Join(b.dir, "module.yaml"), "--data", filepath.Join(b.dir, "data"), "--http", b.address, "--nats-listen", "127.0.0.1:0", "--sync", b.cfg.sync)
	if err != nil {
		return err
	}
	b.worker = w
	return b.until(ctx, 10*time.Minute, "the worker is ready", func() (bool, error) {
		status, _, err := b.get(ctx, "/readyz")
		return err == nil && status == http.StatusOK, nil
	})
}

// setAll has the timers set, and waits until all are.
func (b *bench) setAll(ctx context.Context, first, last, burstAt time.Time) error {
	b.burstAt.Store(burstAt.UnixMilli())
	step := last.Sub(first).Microseconds() / int64(b.cfg.timers)
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(32)
	order := func(id string, count int, at time.Time, step int64) {
		group.Go(func() error {
			return b.send(each, "bench/setter/"+id, fmt.Sprintf("%d %s %d", count, millis(at), step))
		})
	}
	for n := 0; n < b.cfg.timers; n += b.cfg.each {
		at := first.Add(time.Duration(int64(n)*step) * time.Microsecond)
		order("s"+strconv.Itoa(n/b.cfg.each), min(b.cfg.each, b.cfg.timers-n), at, step)
	}
	for n := 0; n < b.cfg.burst; n += b.cfg.each {
		order("b"+strconv.Itoa(n/b.cfg.each), min(b.cfg.each, b.cfg.burst-n), burstAt, 0)
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return b.until(ctx, 10*time.Minute, "all timers are set", func() (bool, error) {
		n, err := b.pending(ctx)
		return n+b.count() >= b.cfg.timers+b.cfg.burst, err
	})
}

// pending sums up the timers of all partitions.
func (b *bench) pending(ctx context.Context) (sum int, err error) {
	_, body, err := b.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "jetfn_partition_timersPending{") {
			_, number, _ := strings.Cut(line, "} ")
			n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err != nil {
				return 0, err
			}
			sum += int(n)
		}
	}
	return sum, nil
}

func (b *bench) arrived(ctx context.Context, want int, limit time.Duration) error {
	return b.until(ctx, limit, fmt.Sprintf("%d timers have arrived", want), func() (bool, error) { return b.count() >= want, nil })
}

func (b *bench) until(ctx context.Context, limit time.Duration, what string, holds func() (bool, error)) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	told := time.Now()
	for end := time.Now().Add(limit); time.Now().Before(end); {
		switch ok, err := holds(); {
		case err != nil:
			return err
		case ok:
			return nil
		case b.worker.ended():
			return errors.New("the worker has ended: " + b.worker.log())
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			say("waiting until %s; %d have arrived, RSS %d MiB", what, b.count(), b.worker.rss()>>20)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("waited %v until %s", limit, what)
}

func (b *bench) send(ctx context.Context, address, text string) error {
	status, body, err := b.do(ctx, http.MethodPost, "/v1/send/"+address, text)
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("send to %s: %d %s", address, status, body)
	}
	return err
}

// call measures a call of another address.
func (b *bench) call(ctx context.Context, lags *lagList) {
	began := time.Now()
	status, _, err := b.do(ctx, http.MethodPost, "/v1/call/bench/other/probe", "x")
	if err == nil && status == http.StatusOK {
		lags.add(time.Since(began))
	}
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (b *bench) get(ctx context.Context, path string) (int, string, error) {
	return b.do(ctx, http.MethodGet, path, "")
}

func (b *bench) do(ctx context.Context, method, path, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+b.address+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "text/plain")
	w, err := b.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(w.Body)
	if closeErr := w.Body.Close(); err == nil {
		err = closeErr
	}
	return w.StatusCode, string(text), err
}

// files is what the worker's files take.
func (b *bench) files() (sum int64) {
	_ = filepath.WalkDir(b.dir, func(_ string, d fs.DirEntry, err error) error { // what vanishes meanwhile takes nothing
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}
