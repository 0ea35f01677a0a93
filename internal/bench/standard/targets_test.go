package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/internal/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTargetsAreJudgedByTheMedianOfTheRounds(t *testing.T) {
	t.Parallel()
	runs := func(perSecond ...float64) (rs []bench.Result) {
		for _, n := range perSecond {
			rs = append(rs, bench.Result{Sync: "interval", PerSecond: n, Ratio: n / 200_000, Latency: bench.Quantiles{P50: n / 100, P99: n}})
		}
		return rs
	}
	loads := []load{{name: embeddedMany}, {name: "embedded, 100,000 keys"}, {name: "embedded, 1,000,000 keys"}, {name: httpRate}, {name: "no target's"}}
	got := reached(loads, [][]bench.Result{runs(120_000, 90_000, 101_000), runs(60_000, 81_000, 71_000), nil, runs(4), runs(1)})
	want := []string{
		"| http, 200/s interval | p50, ms | ≤ 1.5 | **reached**: 0.0 |",
		"| http, 200/s interval | p99, ms | ≤ 5 | **reached**: 4.0 |",
		"| embedded, 4,096 in flight interval | inv/s | ≥ 100000 | **reached**: 90000 / 101000 / 120000 |",
		"| embedded, 4,096 in flight interval | of asynchronous publishing | ≥ 0.45 | **reached**: 0.45 / 0.51 / 0.60 |",
		"| embedded, 100,000 keys interval | of 1,000 keys | ≥ 0.7 | **reached**: 0.50 / 0.70 / 0.90 |",
	}
	rows := strings.Split(strings.TrimSpace(got), "\n")[2:]
	for i := range max(len(rows), len(want)) {
		if i >= len(rows) || i >= len(want) || rows[i] != want[i] {
			t.Fatalf("rows:\n%s\nwant\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestATargetThatIsMissedSaysSo(t *testing.T) {
	t.Parallel()
	got := reached([]load{{name: embeddedMany}}, [][]bench.Result{{{Sync: "always", PerSecond: 29_999}}})
	if want := "| embedded, 4,096 in flight always | inv/s | ≥ 30000 | not reached: 29999 |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("table:\n%s\nwant it to end with %s", got, want)
	}
	if got := reached(nil, nil); got != "" {
		t.Errorf("without results there is a table: %s", got)
	}
}

func TestFiguresTakeThePlaceOfThoseInThePage(t *testing.T) {
	t.Parallel()
	got, err := insert("a\n"+beginMark+"\nold\n"+endMark+"\nz\n", "new\n")
	if want := "a\n" + beginMark + "\nnew\n" + endMark + "\nz\n"; err != nil || got != want {
		t.Errorf("page = %q, %v, want %q", got, err, want)
	}
	if _, err := insert("a page without marks", "new"); err == nil {
		t.Error("a page without marks is no error")
	}
}
