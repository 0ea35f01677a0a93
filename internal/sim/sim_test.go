package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortSeeds is for each run of the tests; make simulate and make simulate-ci
// run more.
const shortSeeds = 300

func TestEveryPromiseIsKeptInEveryWorld(t *testing.T) {
	t.Parallel()
	tally := sim.Search(t.Context(), 1, shortSeeds, 2, 3, func(r *sim.Result, _ *sim.Tally) {
		for _, f := range r.Failures {
			t.Errorf("seed %d: %s", r.Seed, f)
		}
		if len(r.Failures) > 0 {
			t.Logf("go run ./internal/sim/cmd -seed %d", r.Seed)
		}
	})
	if tally.Seeds != shortSeeds || tally.Commits < 10*shortSeeds {
		t.Errorf("%d worlds had %d commits, want %d worlds with more", tally.Seeds, tally.Commits, shortSeeds)
	}
	for _, f := range sim.Faults() {
		if tally.Hits[f] == 0 {
			t.Errorf("the fault %s happened in none of %d worlds", f, tally.Seeds)
		}
	}
}

func TestASeedReplaysExactly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		one := sim.Run(t.Context(), sim.MakePlan(seed), nil, true)
		two := sim.Run(t.Context(), sim.MakePlan(seed), nil, true)
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatalf("seed %d (-first +second):\n%s", seed, diff)
		}
	}
}

func TestMasksReadBackAndTakeFaultsOut(t *testing.T) {
	t.Parallel()
	mask, err := sim.ParseMask("1,5", "lost,crash")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mask.Flags(), " -drop 1,5 -off lost,crash"; got != want {
		t.Errorf("Flags = %q, want %q", got, want)
	}
	for _, bad := range []string{"x", "1,,y"} {
		if _, err := sim.ParseMask(bad, ""); err == nil {
			t.Errorf("ParseMask(%q) succeeded, want an error", bad)
		}
	}
	if _, err := sim.ParseMask("", "nonsense"); err == nil {
		t.Error("ParseMask of an unknown fault succeeded, want an error")
	}
	calm := &sim.Mask{Off: sim.Faults()}
	for seed := range uint64(20) {
		r := sim.Run(t.Context(), sim.MakePlan(seed), calm, false)
		for _, f := range []sim.Fault{sim.Crash, sim.Lost, sim.AckLost, sim.Freeze, sim.CallFails, sim.StaleRead, sim.MarkEvicted} {
			if r.Hits[f] > 0 {
				t.Errorf("seed %d: %s happened %d times although it was off", seed, f, r.Hits[f])
			}
		}
	}
}

func TestTimelineNamesOwnersAndMessages(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	r := sim.Run(t.Context(), sim.MakePlan(1), nil, true)
	if err := sim.WriteTimeline(&b, r.Timeline); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for _, want := range []string{"p0.1", "open 0, epoch 1", "m0a", "deliver", "no more faults"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, want) }) {
			t.Errorf("the timeline has no line with %q", want)
		}
	}
}
