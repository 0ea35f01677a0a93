package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/internal/bench"
)

// figures are the tables of the page.
func figures(o options, loads []load, results [][]bench.Result) string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	version := ""
	for _, r := range results {
		if len(r) > 0 {
			version = r[0].Version
		}
	}
	line("\nMeasured on %s with jetfn %s: %s. %s of %v each; three numbers are minimum / median / maximum, single ones medians.%s\n",
		time.Now().UTC().Format(time.DateOnly), version, machine(), rounds(o.rounds), o.duration, sentence(o.note))
	line("| load | sync | inv/s | ratio | of limit | p50 / p99 ms | others' cores |")
	line("|---|---|---|---|---|---|---|")
	for i, l := range loads {
		rs := results[i]
		if len(rs) == 0 {
			continue
		}
		line("| %s | %s | %s | %s | %s %.0f/s | %.1f / %.1f | %.1f |", l.name, rs[0].Sync,
			spread(rs, "%.0f", func(r bench.Result) float64 { return r.PerSecond }),
			spread(rs, "%.2f", func(r bench.Result) float64 { return r.Ratio }),
			rs[0].Limit.Name, median(rs, func(r bench.Result) float64 { return r.Limit.PerSecond }),
			median(rs, func(r bench.Result) float64 { return r.Latency.P50 }), median(rs, func(r bench.Result) float64 { return r.Latency.P99 }),
			median(rs, func(r bench.Result) float64 { return r.OtherCores }))
	}
	line("\n| load | sync | CPU µs/inv (parts) | calls/inv | allocations/inv | messages/inv | bytes/inv | fsyncs/inv | peak RSS MiB | ready ms |")
	line("|---|---|---|---|---|---|---|---|---|---|")
	for i, l := range loads {
		rs := results[i]
		if len(rs) == 0 {
			continue
		}
		line("| %s | %s | %.0f (%s) | %.2f | %.0f | %.2f | %.0f | %s | %.0f | %.0f |", l.name, rs[0].Sync,
			median(rs, func(r bench.Result) float64 { return r.CPUPerInvocation }), parts(rs),
			median(rs, func(r bench.Result) float64 { return r.CallsPerInv }),
			median(rs, func(r bench.Result) float64 { return r.AllocsPerInvocation }),
			median(rs, func(r bench.Result) float64 { return r.MessagesPerInv }),
			median(rs, func(r bench.Result) float64 { return r.BytesPerInv }), syncs(rs),
			median(rs, func(r bench.Result) float64 { return float64(r.PeakRSS >> 20) }),
			median(rs, func(r bench.Result) float64 { return r.Start }))
	}
	return b.String() + reached(loads, results) + "\n"
}

func rounds(n int) string {
	if n == 1 {
		return "One round"
	}
	return fmt.Sprintf("%d interleaved rounds", n)
}

func sentence(note string) string {
	if note == "" {
		return ""
	}
	return " " + note
}

// spread is the least, the middle and the greatest of a figure.
func spread(rs []bench.Result, format string, of func(bench.Result) float64) string {
	return spreadOf(values(rs, of), format)
}

func spreadOf(values []float64, format string) string {
	if len(values) == 1 {
		return fmt.Sprintf(format, values[0])
	}
	return fmt.Sprintf(format+" / "+format+" / "+format, slices.Min(values), middleOf(values), slices.Max(values))
}

func median(rs []bench.Result, of func(bench.Result) float64) float64 {
	return middleOf(values(rs, of))
}

func middleOf(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

func values(rs []bench.Result, of func(bench.Result) float64) []float64 {
	out := make([]float64, len(rs))
	for i, r := range rs {
		out[i] = of(r)
	}
	return out
}

func parts(rs []bench.Result) string {
	out := make([]string, len(rs[0].Parts))
	for i, p := range rs[0].Parts {
		out[i] = fmt.Sprintf("%s %.0f", p.Name, median(rs, func(r bench.Result) float64 { return r.Parts[i].CPUPerInvocation }))
	}
	return strings.Join(out, ", ")
}

func syncs(rs []bench.Result) string {
	if rs[0].Fsyncs < 0 {
		return "–"
	}
	text := fmt.Sprintf("%.2f", median(rs, func(r bench.Result) float64 { return float64(r.Fsyncs) / float64(max(1, r.Invocations)) }))
	if rs[0].FsyncsFrom != "counted" {
		text += " (at most)"
	}
	return text
}

// machine describes this one.
func machine() string {
	return fmt.Sprintf("%d × %s, %s memory, %s %s, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"),
		memory(), runtime.GOOS, kernel(), runtime.Version())
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOARCH
	}
	return strings.TrimSpace(string(text))
}

func memory() string {
	var kib int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kib); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%d GiB", (kib+1<<19)>>20)
}

// field is what a file says after "name:".
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for l := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
