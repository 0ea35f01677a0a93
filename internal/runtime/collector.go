package runtime

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// collectAt is how much the heap grows until it is collected, in per cent. At
// Go's default of 100 the collector took an eighth of a loaded worker's time,
// at 200 a twentieth, at 400 hardly less; the price is a quarter more memory
// under load, and none without.
const collectAt = 200

// A heap that stays large, such as one with a million delayed messages, grows
// by collectRoom bytes only, but by collectLeast per cent at least: garbage
// would take twice as much as it otherwise.
const (
	collectRoom  = 192 << 20
	collectLeast = 25
)

// TuneCollector has this process collect its garbage as suits a worker, unless
// the environment says how in GOGC. The process should be a worker and nothing
// else. A limit in GOMEMLIMIT holds in any case.
func TuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
		(&collector{percent: collectAt}).watch()
	}
}

// collector adapts the percentage to the heap after every collection.
type collector struct{ percent int }

// watch is called again by the next collection, which finds that nobody needs
// what it leaves behind.
func (c *collector) watch() {
	type marker struct{ _ *byte }
	runtime.AddCleanup(&marker{}, func(c *collector) {
		c.adapt(liveHeap())
		c.watch()
	}, c)
}

// adapt sets the percentage for a heap of that many live bytes.
func (c *collector) adapt(live uint64) {
	if next := collectPercent(live); next != c.percent {
		c.percent = next
		debug.SetGCPercent(next)
	}
}

// collectPercent is how much a heap of that many live bytes may grow, in steps
// that small changes don't leave.
func collectPercent(live uint64) int {
	const step = 5
	percent := uint64(collectAt)
	if live > 0 {
		percent = min(percent, collectRoom*100/live/step*step)
	}
	return int(max(percent, collectLeast))
}

// liveHeap is what the last collection has left.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
