// Command timers measures a worker with many delayed messages: how long it
// takes to set them, what memory they take, how long a worker that was killed
// takes to be ready with them, how late they arrive when they are due evenly
// over a time, and when all that are left are due at once.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // main
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "timers:", err)
		os.Exit(1)
	}
}

// result is what was measured.
type result struct {
	Timers       int     `json:"timers"`
	Sync         string  `json:"sync"`
	SetS         float64 `json:"set_s"`         // from the first message to the last timer's record
	SetRSS       int64   `json:"set_rss"`       // then, in bytes
	JournalBytes int64   `json:"journal_bytes"` // what the worker's files take then
	RecoveryS    float64 `json:"recovery_s"`    // from the start of a worker to its readiness
	RecoveryRSS  int64   `json:"recovery_rss"`
	PeakRSS      int64   `json:"peak_rss"`
	OverS        float64 `json:"over_s"` // time over which they were due
	Lag          lags    `json:"lag_ms"`
	LagMeant     lags    `json:"lag_meant_ms"` // to the time that the function had in mind when it set them
	Burst        int     `json:"burst"`        // due at once
	BurstS       float64 `json:"burst_s"`
	BurstLag     lags    `json:"burst_lag_ms"`
	CallsAlone   lags    `json:"calls_alone_ms"` // of another address, before the burst
	CallsBurst   lags    `json:"calls_burst_ms"` // during it
	Late         int     `json:"late"`           // whose time was over when they were set
}

type config struct {
	binary, sync string
	timers       int
	burst        int
	each         int // timers that one call sets
	lead, over   time.Duration
	watch        time.Duration
	keep         string
}

func run(ctx context.Context, args []string) error {
	var cfg config
	set := flag.NewFlagSet("timers", flag.ContinueOnError)
	set.StringVar(&cfg.binary, "jetfn", "bin/jetfn", "the jetfn to measure")
	set.IntVar(&cfg.timers, "timers", 1_000_000, "how many are due over a time")
	set.IntVar(&cfg.burst, "burst", 50_000, "how many are due at once afterwards")
	set.IntVar(&cfg.each, "each", 1000, "how many one call sets")
	set.DurationVar(&cfg.lead, "lead", 4*time.Minute, "time until the first one is due; all must be set and the worker started again by then")
	set.DurationVar(&cfg.over, "over", 5*time.Minute, "time over which they are due")
	set.DurationVar(&cfg.watch, "watch", 0, "measure those alone that are due in the first part of that time, and end (default: all)")
	set.StringVar(&cfg.sync, "sync", "interval", "always or interval")
	set.StringVar(&cfg.keep, "data", "", "data directory (default: a temporary one)")
	if err := set.Parse(args); err != nil {
		return err
	}
	path, err := filepath.Abs(cfg.binary) // the worker starts in another directory
	if err != nil {
		return err
	}
	cfg.binary = path
	b, err := newBench(ctx, cfg)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.measure(ctx); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(b.result)
}

// measure goes through all parts.
func (b *bench) measure(ctx context.Context) error {
	if err := b.start(ctx); err != nil {
		return err
	}
	began := time.Now()
	first := began.Add(b.cfg.lead)
	last, want := first.Add(b.cfg.over), b.cfg.timers
	seen := last
	if w := b.cfg.watch; w > 0 && w < b.cfg.over {
		seen, want = first.Add(w), int(float64(want)*w.Seconds()/b.cfg.over.Seconds())
	}
	burstAt := seen.Add(15 * time.Second)
	if err := b.setAll(ctx, first, last, burstAt); err != nil {
		return err
	}
	b.result.SetS = time.Since(began).Seconds()
	b.result.SetRSS, b.result.JournalBytes = b.worker.rss(), b.files()
	say("%d timers are set after %.1f s, RSS %d MiB, files %d MiB", b.cfg.timers+b.cfg.burst, b.result.SetS, b.result.SetRSS>>20, b.result.JournalBytes>>20)

	b.worker.kill()
	again := time.Now()
	if err := b.start(ctx); err != nil {
		return err
	}
	b.result.RecoveryS, b.result.RecoveryRSS = time.Since(again).Seconds(), b.worker.rss()
	say("ready again after %.1f s, RSS %d MiB", b.result.RecoveryS, b.result.RecoveryRSS>>20)
	if err := b.dues.read(ctx, b, seen); err != nil {
		return err
	}
	if left := time.Until(first); left < 0 {
		return fmt.Errorf("the first timer was due %v ago; raise -lead", -left)
	}

	if err := b.arrived(ctx, want, time.Until(seen)+2*time.Minute); err != nil {
		return err
	}
	b.result.Lag, b.result.LagMeant = b.spread.summary(), b.meant.summary()
	say("all have arrived: %+v", b.result.Lag)
	if err := b.burst(ctx, burstAt); err != nil { // those over a time go on meanwhile
		return err
	}
	b.result.PeakRSS = max(b.peak, b.worker.peak())
	return nil
}

// burst watches the timers that are due at once, and calls another address
// meanwhile.
func (b *bench) burst(ctx context.Context, at time.Time) error {
	if time.Until(at) < 5*time.Second {
		return errors.New("the timers over a time took too long")
	}
	var alone, busy lagList
	for time.Until(at) > 0 && ctx.Err() == nil {
		b.call(ctx, &alone)
	}
	say("%d timers are due", b.cfg.burst)
	for end := at.Add(3 * time.Minute); b.together.count() < b.cfg.burst; {
		if time.Now().After(end) {
			return fmt.Errorf("%d of the timers that are due at once have arrived, want %d", b.together.count(), b.cfg.burst)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.call(ctx, &busy)
	}
	b.result.BurstS = time.Since(at).Seconds()
	b.result.BurstLag, b.result.CallsAlone, b.result.CallsBurst = b.together.summary(), alone.summary(), busy.summary()
	return nil
}

func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
