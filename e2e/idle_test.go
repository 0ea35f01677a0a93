//go:build e2e && linux

package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestIdleCostsLittle runs alone: the others wait until it is done. The
// targets are 0.5 s, 60 MB and near 0 % CPU; it fails at a multiple of that,
// since the machine may be slow, or busy with other things.
func TestIdleCostsLittle(t *testing.T) {
	a := newApp(t, goodEndpoint+"---\nkind: io.jetfn.nats.v1/egress\nspec:\n  id: e2e/counts\n")
	best := time.Hour
	for range 3 { // the first start also reads the binary from disk
		start := time.Now()
		a.launch(t)
		a.waitReady(t)
		best = min(best, time.Since(start))
		if a.terminate(t) != 0 {
			t.Fatal("it did not end well")
		}
	}
	a.restart(t)
	time.Sleep(3 * time.Second)
	pid := a.cmd.Process.Pid
	rss := statusMB(t, pid, "VmRSS:")
	const window = 10 * time.Second
	before := cpuTime(t, pid)
	time.Sleep(window)
	cpu := 100 * (cpuTime(t, pid) - before).Seconds() / window.Seconds()
	t.Logf("ready after %v; idle: %.0f MB RSS, %.1f %% CPU", best.Round(time.Millisecond), rss, cpu)
	if best > 5*time.Second {
		t.Errorf("ready after %v at best, target 0.5 s", best)
	}
	if rss > 120 {
		t.Errorf("idle RSS %.0f MB, target 60", rss)
	}
	if cpu > 15 {
		t.Errorf("idle CPU %.1f %%, target near 0", cpu)
	}
}

func statusMB(t *testing.T, pid int, field string) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			var kB float64
			if _, err := fmt.Sscan(rest, &kB); err != nil {
				t.Fatal(err)
			}
			return kB / 1024
		}
	}
	t.Fatalf("no %s in /proc/%d/status", field, pid)
	return 0
}

// cpuTime is what the process has used, in user and kernel mode.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field is a name in parentheses; utime and stime are the
	// 14th and 15th, in ticks of 10 ms.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}
