package bench

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/internal/runtime"
)

// snapshot is what all parts have used so far.
type snapshot struct {
	worker, function, generator usage
	stored                      map[string]uint64
	machine                     time.Duration // busy time of all processors
	syncs                       int64
	syncsKnown                  bool
}

func (r *run) snapshot(ctx context.Context, order string) (s snapshot, err error) {
	if s.worker, err = r.worker.ask(order); err != nil {
		return s, err
	}
	if r.function != nil {
		if s.function, err = r.function.ask(order); err != nil {
			return s, err
		}
	}
	s.generator = ownUsage()
	s.machine = machineCPU()
	s.syncs, s.syncsKnown = r.syncs.count()
	s.stored, err = storedMessages(ctx, r.js)
	return s, err
}

// result puts together what two snapshots say.
func (r *run) result(before, after snapshot, invocations uint64, ended int64) *Result {
	const micro, second = 1e3, 1e9
	seconds := float64(ended-r.ledger.from) / second
	per := func(n float64) float64 { return n / max(1, float64(invocations)) }
	out := &Result{
		Function: r.cfg.Function, Keys: r.cfg.Keys, Rate: r.cfg.Rate, Payload: r.cfg.Payload, Sync: string(r.cfg.Sync),
		Partitions: r.cfg.Partitions, Workers: r.cfg.Workers, Version: r.cfg.Version,
		Duration: seconds, Invocations: invocations, PerSecond: float64(invocations) / seconds,
		AllocsPerInvocation: per(float64(after.worker.Mallocs - before.worker.Mallocs)),
		HeapPerInvocation:   per(float64(after.worker.AllocBytes - before.worker.AllocBytes)),
		GCs:                 after.worker.GCs - before.worker.GCs,
		RSS:                 after.worker.RSS, PeakRSS: after.worker.PeakRSS,
		Start: milliseconds(r.started), BytesPerInv: -1, Limits: []Limit{},
	}
	if r.cfg.Rate == 0 {
		out.InFlight = r.cfg.InFlight
	}
	part := func(name string, before, after usage) {
		p := Part{Name: name, CPUPerInvocation: per(float64(after.CPU-before.CPU) / micro), RSS: after.RSS}
		out.Parts = append(out.Parts, p)
		out.CPUPerInvocation += p.CPUPerInvocation
	}
	part("worker", before.worker, after.worker)
	if r.function != nil {
		part("function", before.function, after.function)
	}
	part("generator", before.generator, after.generator)
	if after.machine > 0 {
		ours := out.CPUPerInvocation * micro * float64(invocations)
		out.OtherCores = max(0, (float64(after.machine-before.machine)-ours)/second/seconds)
	}
	if after.worker.Written >= 0 {
		out.BytesPerInv = per(float64(after.worker.Written - before.worker.Written))
	}
	total := uint64(0)
	for name, n := range after.stored {
		if d := n - before.stored[name]; d > 0 {
			total += d
			out.Streams = append(out.Streams, Count{Stream: name, Messages: d, PerInv: per(float64(d))})
		}
	}
	slices.SortFunc(out.Streams, func(a, b Count) int { return strings.Compare(a.Stream, b.Stream) })
	out.MessagesPerInv = per(float64(total))
	calls := func(s *snapshot) uint64 { return s.worker.Calls + s.function.Calls }
	out.CallsPerInv = per(float64(calls(&after) - calls(&before)))
	out.countSyncs(before, after, total)
	return out
}

// countSyncs takes the kernel's count. Without it, a server that syncs always
// does so at most once for each message that it stores.
func (r *Result) countSyncs(before, after snapshot, stored uint64) {
	switch {
	case after.syncsKnown:
		r.Fsyncs, r.FsyncsFrom = after.syncs-before.syncs, "counted"
	case r.Sync == string(runtime.SyncAlways):
		r.Fsyncs, r.FsyncsFrom = int64(stored), "at most: one for each stored message, fewer for batches"
	default:
		r.Fsyncs, r.FsyncsFrom = -1, "not counted"
	}
}
