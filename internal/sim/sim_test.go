package sim_test

import (
	"os"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestX(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	start, _ := strconv.Atoi(os.Getenv("START"))
	hits := map[sim.Fault]int{}
	steps, calls, commits, owners := 0, 0, 0, 0
	bad := 0
	for seed := uint64(start); seed < uint64(start+n); seed++ {
		r := sim.Run(t.Context(), sim.MakePlan(seed), nil, false)
		for f := range r.Hits {
			hits[f]++
		}
		steps += r.Steps
		calls += r.Calls
		commits += r.Commits
		owners += r.Owners
		if len(r.Failures) > 0 {
			bad++
			if bad < 20 {
				t.Errorf("seed %d: %v", seed, r.Failures)
			}
			if bad == 1 && os.Getenv("TL") != "" {
				r := sim.Run(t.Context(), sim.MakePlan(seed), nil, true)
				_ = sim.WriteTimeline(os.Stdout, r.Timeline)
			}
		}
	}
	t.Log(hits, steps, calls, commits, owners, "bad", bad)
}
