package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run found.
type Result struct {
	Function    string  `json:"function"`
	Keys        int     `json:"keys"`
	InFlight    int     `json:"inflight"` // zero: open loop
	Rate        float64 `json:"rate"`     // zero: closed loop
	Payload     int     `json:"payload"`
	Sync        string  `json:"sync"`
	Partitions  int     `json:"partitions"`
	Workers     int     `json:"workers"`
	Duration    float64 `json:"duration_s"`
	Invocations uint64  `json:"invocations"` // whose records came within the duration
	PerSecond   float64 `json:"inv_per_s"`
	// Latency runs from a publish's acknowledgement to its record's delivery;
	// in the open loop, plus how late the publish was.
	Latency Quantiles `json:"latency_ms"`
	// PublishLatency runs from when a publish was due to its acknowledgement,
	// TotalLatency from there to the record's delivery.
	PublishLatency Quantiles `json:"publish_latency_ms"`
	TotalLatency   Quantiles `json:"total_latency_ms"`
	Limit          *Limit    `json:"limit"`
	Ratio          float64   `json:"ratio"`
	Limits         []Limit   `json:"limits"`

	CPUPerInvocation float64 `json:"cpu_us_per_inv"` // of all parts
	Parts            []Part  `json:"parts"`
	// OtherCores is how many processors others kept busy meanwhile, the kernel
	// included: figures of a busy machine are to be taken with care.
	OtherCores          float64  `json:"other_cores"`
	AllocsPerInvocation float64  `json:"allocs_per_inv"`     // the worker's
	HeapPerInvocation   float64  `json:"heap_bytes_per_inv"` // allocated by the worker
	GCs                 uint32   `json:"gcs"`                // of the worker
	RSS                 int64    `json:"rss_bytes"`          // the worker's at the end
	PeakRSS             int64    `json:"peak_rss_bytes"`     // the worker's
	IdleRSS             int64    `json:"idle_rss_bytes"`     // the worker's before the first message
	Start               float64  `json:"start_ms"`           // from the worker's exec until it is ready
	FirstReply          float64  `json:"first_reply_ms"`     // from there until the first record
	Drain               float64  `json:"drain_ms"`           // from the last publish to the last record
	DrainPerSecond      float64  `json:"drain_per_s"`        // records of the backlog; zero: there was none
	Backlog             uint64   `json:"backlog"`            // messages that had no record when the publishing ended, and got one
	Refused             uint64   `json:"refused"`            // messages of the open loop that the worker would not store, and said so
	CallsPerInv         float64  `json:"calls_per_inv"`      // of the function: fewer than one where messages share a call
	Fsyncs              int64    `json:"fsyncs"`             // within the duration; -1: not known
	FsyncsFrom          string   `json:"fsyncs_from"`        // how they were counted
	MessagesPerInv      float64  `json:"msgs_per_inv"`       // stored in all streams
	BytesPerInv         float64  `json:"bytes_per_inv"`      // written by the worker, in whole pages; -1: not known
	Verified            bool     `json:"verified"`
	Version             string   `json:"version"`
	Streams             []Count  `json:"streams"`
	Samples             []Sample `json:"samples,omitempty"`
}

// Quantiles of latencies, in milliseconds.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Limit is what the machine can do without jetfn.
type Limit struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"per_s"`
}

// Part is one process.
type Part struct {
	Name             string  `json:"name"`
	CPUPerInvocation float64 `json:"cpu_us_per_inv"`
	RSS              int64   `json:"rss_bytes"`
}

// Count is how many messages a stream stored within the duration.
type Count struct {
	Stream   string  `json:"stream"`
	PerInv   float64 `json:"msgs_per_inv"`
	Messages uint64  `json:"msgs"`
}

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	const perMilli = 1000
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / perMilli }
	return Quantiles{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / perMilli}
}

// WriteText writes r for people.
func (r *Result) WriteText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(label, format string, args ...any) {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", label, fmt.Sprintf(format, args...)) // Flush tells
	}
	load := fmt.Sprintf("%d in flight", r.InFlight)
	if r.Rate > 0 {
		load = fmt.Sprintf("%g/s", r.Rate)
	}
	row("workload", "%s function, %d keys, %s, %d bytes, sync %s, %d partitions", r.Function, r.Keys, load, r.Payload, r.Sync, r.Partitions)
	row("throughput", "%.0f inv/s (%d in %.1f s)", r.PerSecond, r.Invocations, r.Duration)
	for _, q := range []struct {
		name string
		Quantiles
	}{{"latency ms", r.Latency}, {"publish ms", r.PublishLatency}, {"total ms", r.TotalLatency}} {
		row(q.name, "p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.1f", q.P50, q.P90, q.P99, q.P999, q.Max)
	}
	for _, l := range r.Limits {
		row("limit", "%s: %.0f/s (%.2f)", l.Name, l.PerSecond, r.PerSecond/l.PerSecond)
	}
	if r.Limit != nil {
		row("ratio", "%.2f of %s", r.Ratio, r.Limit.Name)
	}
	cpu := make([]string, len(r.Parts))
	for i, p := range r.Parts {
		cpu[i] = fmt.Sprintf("%s %.1f", p.Name, p.CPUPerInvocation)
	}
	row("CPU", "%.1f µs/inv (%s); others kept %.1f processors busy", r.CPUPerInvocation, strings.Join(cpu, ", "), r.OtherCores)
	row("allocations", "%.1f/inv, %.0f bytes/inv, %d collections", r.AllocsPerInvocation, r.HeapPerInvocation, r.GCs)
	row("memory", "RSS %d MiB, peak %d MiB, idle %d MiB", r.RSS>>20, r.PeakRSS>>20, r.IdleRSS>>20)
	row("calls", "%.2f/inv", r.CallsPerInv)
	row("written", "%.2f messages/inv, %.0f bytes/inv", r.MessagesPerInv, r.BytesPerInv)
	for _, s := range r.Streams {
		row("", "%s %.2f messages/inv", s.Stream, s.PerInv)
	}
	row("fsyncs", "%d (%s)", r.Fsyncs, r.FsyncsFrom)
	row("start", "ready after %.0f ms, first record %.1f ms later", r.Start, r.FirstReply)
	row("end", "backlog %d, drained in %.0f ms (%.0f/s)", r.Backlog, r.Drain, r.DrainPerSecond)
	if r.Refused > 0 {
		row("refused", "%d messages, since more waited to be stored than the worker may hold", r.Refused)
	}
	for _, s := range r.Samples {
		row("sample", "%.0f s: backlog %d, RSS %d MiB, disk %d MiB, mailbox %d MiB, journal %d MiB, egress %d MiB",
			s.At, s.Backlog, s.RSS>>20, s.Disk>>20, s.Mailbox>>20, s.Journal>>20, s.Egress>>20)
	}
	row("verified", "%t", r.Verified)
	row("version", "%s", r.Version)
	return table.Flush()
}
