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
