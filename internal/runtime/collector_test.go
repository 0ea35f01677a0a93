package runtime_test

import (
	"runtime/debug"
	"testing"

	"github.com/jetfn/jetfn/internal/runtime"
)

func TestTheCollectorIsTunedUnlessTheEnvironmentDoes(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	t.Setenv("GOGC", "77")
	runtime.TuneCollector()
	if now := debug.SetGCPercent(100); now != 100 {
		t.Errorf("with GOGC set the collector runs at %d %%, want it left alone", now)
	}
	t.Setenv("GOGC", "")
	runtime.TuneCollector()
	if now := debug.SetGCPercent(100); now != 200 {
		t.Errorf("without GOGC the collector runs at %d %%, want 200", now)
	}
}

func TestALargeHeapGrowsByLess(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 200, 10 << 20: 200, 96 << 20: 200, 192 << 20: 100, 640 << 20: 30, 4 << 30: 25} {
		if got := runtime.CollectPercent(live); got != want {
			t.Errorf("a heap of %d MiB grows by %d %%, want %d", live>>20, got, want)
		}
	}
}
