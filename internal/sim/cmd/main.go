// Command cmd simulates worlds. With -seeds it runs as many from -start on,
// on all cores; with -seed it replays one and prints its history.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"time"

	"github.com/jetfn/jetfn/internal/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // this is main
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

type options struct {
	seeds, stop, threads int
	start                uint64
	replay               bool
	seed                 uint64
	mask                 *sim.Mask
	quiet                bool
}

func parse(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("sim", flag.ContinueOnError)
	flags.IntVar(&o.seeds, "seeds", 1000, "how many worlds")
	flags.Uint64Var(&o.start, "start", 0, "the first seed; 0: a new one each time")
	flags.IntVar(&o.stop, "stop", 1, "stop after so many failing seeds")
	flags.IntVar(&o.threads, "threads", runtime.NumCPU(), "worlds at once")
	flags.BoolVar(&o.quiet, "quiet", false, "print the failing seeds only")
	flags.Uint64Var(&o.seed, "seed", 0, "replay this seed")
	drop := flags.String("drop", "", "with -seed: items of the plan to leave out")
	off := flags.String("off", "", "with -seed: faults to leave out")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	flags.Visit(func(f *flag.Flag) { o.replay = o.replay || f.Name == "seed" })
	if o.start == 0 {
		o.start = uint64(time.Now().Unix()) << 20
	}
	var err error
	o.mask, err = sim.ParseMask(*drop, *off)
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.replay {
		return replay(ctx, o, out)
	}
	return search(ctx, o, out)
}

// replay prints a world's history.
func replay(ctx context.Context, o *options, out io.Writer) error {
	r := sim.Run(ctx, sim.MakePlan(o.seed), o.mask, true)
	if err := sim.WriteTimeline(out, r.Timeline); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	if len(r.Failures) > 0 {
		return fmt.Errorf("seed %d failed: %s", o.seed, r.Failures[0])
	}
	_, err := fmt.Fprintf(out, "seed %d: no failure\n", o.seed)
	return err
}

func search(ctx context.Context, o *options, out io.Writer) error {
	begun, told := time.Now(), time.Now()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) } // progress only
	tally := sim.Search(ctx, o.start, o.seeds, o.threads, o.stop, func(r *sim.Result, t *sim.Tally) {
		if len(r.Failures) > 0 {
			say("seed %d failed after %d of %d worlds\n", r.Seed, t.Seeds, o.seeds)
			for _, f := range r.Failures {
				say("  %s\n", f)
			}
		}
		if time.Since(told) > 5*time.Second && !o.quiet {
			told = time.Now()
			say("%d of %d worlds, %.0f a second\n", t.Seeds, o.seeds, float64(t.Seeds)/time.Since(begun).Seconds())
		}
	})
	if !o.quiet {
		report(tally, time.Since(begun), say)
	}
	if len(tally.Failed) == 0 {
		return checkFaults(tally)
	}
	slices.Sort(tally.Failed)
	seed := tally.Failed[0]
	if o.quiet {
		return fmt.Errorf("%d of %d worlds failed", len(tally.Failed), tally.Seeds)
	}
	say("replay:     go run ./internal/sim/cmd -seed %d\n", seed)
	mask := sim.Shrink(ctx, sim.MakePlan(seed), nil, 300)
	say("in short:   go run ./internal/sim/cmd -seed %d%s\n\n", seed, mask.Flags())
	return replay(ctx, &options{seed: seed, mask: mask}, out)
}

// checkFaults sees to it that many worlds have every kind of fault in at least
// one of a hundred.
func checkFaults(t *sim.Tally) error {
	for _, f := range sim.Faults() {
		if t.Seeds >= 2000 && 100*t.Hits[f] < t.Seeds {
			return fmt.Errorf("the fault %s happened in %d of %d worlds only", f, t.Hits[f], t.Seeds)
		}
	}
	return nil
}

func report(t *sim.Tally, took time.Duration, say func(string, ...any)) {
	say("%d worlds in %v, %.0f a second; %d failed\n", t.Seeds, took.Round(time.Millisecond), float64(t.Seeds)/took.Seconds(), len(t.Failed))
	say("%d events, %d calls, %d commits, %d owners\n", t.Steps, t.Calls, t.Commits, t.Owners)
	say("seeds with each fault, in %%:\n")
	for _, f := range sim.Faults() {
		say("  %-16s %5.1f\n", f, 100*float64(t.Hits[f])/float64(max(t.Seeds, 1)))
	}
}
