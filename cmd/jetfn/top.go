package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/jetfn/jetfn/gateway"
)

// clearScreen moves the cursor home and clears what is below.
const clearScreen = "\x1b[H\x1b[J"

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
	var before gateway.Top
	if err := t.do(ctx, http.MethodGet, "/v1/top", nil, nil, &before); err != nil {
		return err
	}
	f, isFile := c.out.(*os.File)
	live := isFile && isatty.IsTerminal(f.Fd()) && !t.Once && t.Output != outputJSON
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(t.Interval):
		}
		var now gateway.Top
		if err := t.do(ctx, http.MethodGet, "/v1/top", nil, nil, &now); err != nil {
			return err
		}
		if t.Output == outputJSON {
			return json.NewEncoder(c.out).Encode(rated(&before, &now))
		}
		if live {
			printf(c.out, clearScreen)
		}
		if err := t.show(c.out, &before, &now); err != nil || !live {
			return err
		}
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

func (t *topCommand) show(w io.Writer, before, now *gateway.Top) error {
	r := rated(before, now)
	printf(w, "%s  worker %s  calls in flight %d of %d\n\n", time.UnixMilli(now.At).Format(time.TimeOnly), now.Worker, now.Inflight, now.Max)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(table, "FUNCTION\tIN/S\tDONE/S\tCALLS/S\tLATENCY\tP99\tBACKLOG\tOLDEST\tIN FLIGHT\tFAILED\tRETRYING\tDEAD\tSTATE\n")
	for i, f := range now.Functions {
		rate, state := r.Rates[i], "active"
		if f.Paused {
			state = "paused"
		}
		printf(table, "%s\t%.1f\t%.1f\t%.1f\t%s\t%s\t%d\t%s\t%d\t%d\t%d\t%d\t%s\n", f.Type, rate.InPerS, rate.DonePerS, rate.CallsPerS,
			milliseconds(rate.LatencyMs), milliseconds(f.P99), f.Backlog, age(f.BacklogAge), f.Inflight, f.Failures, f.Retrying, f.DeadLetters, state)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	printf(w, "\n")
	return showPartitions(w, now.Parts, t.Partitions)
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
