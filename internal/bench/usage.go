package bench

import (
	"runtime"
	"time"
)

// usage is what a process has used since its start.
type usage struct {
	CPU        time.Duration `json:"cpu"`
	RSS        int64         `json:"rss"`     // now
	PeakRSS    int64         `json:"peakRss"` // the most it ever was
	Written    int64         `json:"written"` // bytes that went to the disk's cache, in whole pages; -1: unknown
	Mallocs    uint64        `json:"mallocs"`
	AllocBytes uint64        `json:"allocBytes"`
	GCs        uint32        `json:"gcs"`
	Calls      uint64        `json:"calls"` // of the function, in this process
}

// ownUsage is this process's.
func ownUsage() usage {
	u := usage{Written: -1}
	u.readOS()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Mallocs, u.AllocBytes, u.GCs = m.Mallocs, m.TotalAlloc, m.NumGC
	return u
}
