package runtime

import (
	"os"
	"runtime/debug"
)

// collectAt is how much the heap grows until it is collected, in per cent. At
// Go's default of 100 the collector took an eighth of a loaded worker's time,
// at 200 a twentieth, at 400 hardly less; the price is a quarter more memory
// under load, and none without.
const collectAt = 200

// TuneCollector has this process collect its garbage as suits a worker, unless
// the environment says how in GOGC. The process should be a worker and nothing
// else. A limit in GOMEMLIMIT holds in any case.
func TuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
}
