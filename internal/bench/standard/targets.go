package main

import (
	"fmt"
	"strings"

	"github.com/jetfn/jetfn/internal/bench"
)

// target is what the project wants of a load.
type target struct {
	what string
	load string // its name and sync mode
	want float64
	most bool   // want is the most, not the least
	form string // of the figures
	of   func(r bench.Result) float64
	// base is the load that of is divided by, in the same round; empty: none.
	base string
}

// Loads that more than one target is about.
const (
	httpMany     = "http, 1,024 in flight"
	httpRate     = "http, 200/s"
	httpHot      = "http, hot key, 1,024 in flight"
	embeddedMany = "embedded, 4,096 in flight"
)

func targets() []target {
	perSecond := func(r bench.Result) float64 { return r.PerSecond }
	ratio := func(r bench.Result) float64 { return r.Ratio }
	p50 := func(r bench.Result) float64 { return r.Latency.P50 }
	p99 := func(r bench.Result) float64 { return r.Latency.P99 }
	return []target{
		{what: "of the HTTP limit", load: httpMany + " interval", want: 0.9, form: "%.2f", of: ratio},
		{what: "of the HTTP limit", load: httpMany + " always", want: 0.5, form: "%.2f", of: ratio},
		{what: "of the HTTP limit", load: httpMany + " group", want: 0.75, form: "%.2f", of: ratio},
		{what: "p50, ms", load: httpRate + " interval", want: 1.5, most: true, form: "%.1f", of: p50},
		{what: "p99, ms", load: httpRate + " interval", want: 5, most: true, form: "%.1f", of: p99},
		{what: "p50, ms", load: httpRate + " always", want: 3, most: true, form: "%.1f", of: p50},
		{what: "p99, ms", load: httpRate + " always", want: 8, most: true, form: "%.1f", of: p99},
		{what: "inv/s", load: httpHot + " interval", want: 68_000, form: "%.0f", of: perSecond},
		{what: "inv/s", load: embeddedMany + " interval", want: 100_000, form: "%.0f", of: perSecond},
		{what: "of asynchronous publishing", load: embeddedMany + " interval", want: 0.45, form: "%.2f", of: ratio},
		{what: "inv/s", load: embeddedMany + " always", want: 30_000, form: "%.0f", of: perSecond},
		{what: "of 1,000 keys", load: "embedded, 100,000 keys interval", want: 0.7, form: "%.2f", of: perSecond, base: embeddedMany + " interval"},
		{what: "of 1,000 keys", load: "embedded, 1,000,000 keys interval", want: 0.5, form: "%.2f", of: perSecond, base: embeddedMany + " interval"},
		{what: "start until ready, ms", load: httpMany + " always", want: 500, most: true, form: "%.0f", of: func(r bench.Result) float64 { return r.Start }},
		{what: "idle memory, MiB", load: httpMany + " always", want: 60, most: true, form: "%.0f", of: func(r bench.Result) float64 { return float64(r.IdleRSS >> 20) }},
	}
}

// reached is the table of targets, as far as their loads have run.
func reached(loads []load, results [][]bench.Result) string {
	byName := map[string][]bench.Result{}
	for i, l := range loads {
		if rs := results[i]; len(rs) > 0 {
			byName[l.name+" "+rs[0].Sync] = rs
		}
	}
	var b strings.Builder
	for _, t := range targets() {
		rs, base := byName[t.load], byName[t.base]
		if len(rs) == 0 || t.base != "" && len(base) < len(rs) {
			continue
		}
		values := make([]float64, len(rs))
		for i := range rs {
			if values[i] = t.of(rs[i]); t.base != "" {
				values[i] /= max(1, t.of(base[i]))
			}
		}
		_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.load, t.what, t.aim(), t.verdict(values))
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n| load | figure | target | |\n|---|---|---|---|\n" + b.String()
}

func (t *target) aim() string {
	sign := "≥ "
	if t.most {
		sign = "≤ "
	}
	return sign + strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", t.want), "0"), ".")
}

// verdict shows the values of all rounds, and says whether their median is
// good enough.
func (t *target) verdict(values []float64) string {
	middle := middleOf(values)
	word := "not reached"
	if middle >= t.want && !t.most || middle <= t.want && t.most {
		word = "**reached**"
	}
	return word + ": " + spreadOf(values, t.form)
}
