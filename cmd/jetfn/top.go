package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jetfn/jetfn/gateway"
)

// firstLook is how long a terminal is blank at most.
const firstLook = 500 * time.Millisecond

// topCommand is jetfn top.
type topCommand struct {
	Interval   time.Duration `default:"2s" help:"Time between two looks."`
	Partitions int           `default:"8" help:"Show so many partitions, those that are most behind first; 0: all."`
	Once       bool          `help:"Show one table; the default where the output is no terminal."`
	serverFlags
}

// Run shows what functions and partitions do until ctx ends.
func (t *topCommand) Run(ctx context.Context, c console) error {
	if t.Interval <= 0 {
		return usage{fmt.Errorf("--interval %v is no time to wait", t.Interval)}
	}
	var s *screen
	if !t.Once && t.Output != outputJSON {
		s = screenOf(c.out)
	}
	err := t.watch(ctx, c, s)
	if s != nil && ctx.Err() != nil {
		return nil //nolint:nilerr // it is how one leaves
	}
	return err
}

// watch shows one table, or on a screen one after the other.
func (t *topCommand) watch(ctx context.Context, c console, s *screen) error {
	var before gateway.Top
	if err := t.do(ctx, http.MethodGet, "/v1/top", nil, nil, &before); err != nil {
		return err
	}
	wait := t.Interval
	if s != nil {
		wait = min(wait, firstLook)
	}
	for ; ; wait = t.Interval {
		select {
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the interrupt
		case <-time.After(wait):
		}
		var now gateway.Top
		if err := t.do(ctx, http.MethodGet, "/v1/top", nil, nil, &now); err != nil {
			return err
		}
		switch {
		case t.Output == outputJSON:
			return json.NewEncoder(c.out).Encode(rated(&before, &now))
		case s == nil:
			t.show(c.out, 0, &before, &now)
			return nil
		}
		var page strings.Builder
		width, _ := s.size()
		t.show(&page, width, &before, &now)
		s.show(page.String())
		before = now
	}
}

// ratedTop is a Top with what happened within the interval.
type ratedTop struct {
	gateway.Top

	Rates []functionRate `json:"rates"` // in the order of the functions
}

// functionRate is what a function did per second.
type functionRate struct {
	Type       string  `json:"type"`
	InPerS     float64 `json:"inPerS"`
	DonePerS   float64 `json:"donePerS"`
	CallsPerS  float64 `json:"callsPerS"`
	FailsPerS  float64 `json:"failuresPerS"`
	LatencyMs  float64 `json:"latency"`   // mean of a call; 0: there was none
	Throughput float64 `json:"batchSize"` // messages a call
}

func rated(before, now *gateway.Top) ratedTop {
	out := ratedTop{Top: *now, Rates: []functionRate{}}
	seconds := float64(now.At-before.At) / 1000
	old := map[string]gateway.TopFunction{}
	for _, f := range before.Functions {
		old[f.Type] = f
	}
	for _, f := range now.Functions {
		b := old[f.Type]
		if b.In > f.In { // it began anew
			b = gateway.TopFunction{}
		}
		r := functionRate{Type: f.Type}
		if seconds > 0 {
			per := func(n int64) float64 { return float64(n) / seconds }
			r.InPerS, r.DonePerS, r.CallsPerS, r.FailsPerS = per(f.In-b.In), per(f.Done-b.Done), per(f.Calls-b.Calls), per(f.Failures-b.Failures)
		}
		if n := f.Calls - b.Calls; n > 0 {
			r.LatencyMs, r.Throughput = (f.Latency-b.Latency)/float64(n), float64(f.Done-b.Done)/float64(n)
		}
		out.Rates = append(out.Rates, r)
	}
	return out
}

// show writes the table, as wide as width allows; zero: as it takes.
func (t *topCommand) show(w io.Writer, width int, before, now *gateway.Top) {
	r := rated(before, now)
	printf(w, "%s  worker %s  calls in flight %d of %d\n\n", time.UnixMilli(now.At).Format(time.TimeOnly), now.Worker, now.Inflight, now.Max)
	var table columns
	table.row("FUNCTION", "IN/S", "DONE/S", "CALLS/S", "LATENCY", "P99", "BACKLOG", "OLDEST", "IN FLIGHT", "FAILED", "RETRYING", "DEAD", "STATE")
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	per := func(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }
	for i, f := range now.Functions {
		rate, state := r.Rates[i], "active"
		if f.Paused {
			state = "paused"
		}
		table.row(f.Type, per(rate.InPerS), per(rate.DonePerS), per(rate.CallsPerS), milliseconds(rate.LatencyMs), milliseconds(f.P99),
			strconv.Itoa(f.Backlog), age(f.BacklogAge), number(f.Inflight), number(f.Failures), strconv.Itoa(f.Retrying), number(f.DeadLetters), state)
	}
	table.write(w, width, "CALLS/S", "RETRYING", "OLDEST", "P99", "IN/S", "STATE", "LATENCY", "IN FLIGHT")
	printf(w, "\n")
	showPartitions(w, width, now.Parts, t.Partitions)
}

func milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
}

func age(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return (time.Duration(ms) * time.Millisecond).Round(100 * time.Millisecond).String()
}
