package sim

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Tally adds up how many worlds went.
type Tally struct {
	Seeds                         int
	Failed                        []uint64 // seeds
	Hits                          map[Fault]int
	Steps, Calls, Commits, Owners int
}

func (t *Tally) add(r *Result) {
	t.Seeds++
	t.Steps += r.Steps
	t.Calls += r.Calls
	t.Commits += r.Commits
	t.Owners += r.Owners
	for f := range r.Hits {
		t.Hits[f]++
	}
	if len(r.Failures) > 0 {
		t.Failed = append(t.Failed, r.Seed)
	}
}

// Search runs seeds from start on, on several threads. It stops after n seeds,
// when ctx is done, or after as many failures as stop says. The function each
// is called after every world, by one thread at a time.
func Search(ctx context.Context, start uint64, n, threads, stop int, each func(*Result, *Tally)) *Tally {
	var mu sync.Mutex
	tally := &Tally{Hits: map[Fault]int{}}
	next, end := start, start+uint64(n)
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= end || ctx.Err() != nil || len(tally.Failed) >= stop {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var g errgroup.Group
	for range threads {
		g.Go(func() error {
			for seed, ok := take(); ok; seed, ok = take() {
				r := Run(ctx, MakePlan(seed), nil, false)
				mu.Lock()
				tally.add(r)
				each(r, tally)
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // its functions return nil
	return tally
}
