// Command standard runs the standard set of benchmarks and writes their
// figures into a page.
//
//	go run ./internal/bench/standard -jetfn bin/jetfn -page docs/performance.md
//
// It runs the set several times over, so that what else happens on the machine
// hits all of them alike, and writes minimum, median and maximum between the
// page's markers.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jetfn/jetfn/internal/bench"
)

// load is one benchmark of the set.
type load struct {
	name string
	args []string
}

// set is the standard set, in the order of the targets.
func set() []load {
	http := []string{"--function", "http"}
	embedded := []string{"--function", "embedded", "--inflight", "4096"}
	with := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	return []load{
		{httpMany, with(http, "--sync", "interval")},
		{httpMany, with(http, "--sync", "always")},
		{httpMany + ", 8 partitions", with(http, "--sync", "always", "--partitions", "8")},
		{httpMany, with(http, "--sync", "group")},
		{"http, 64 in flight", with(http, "--sync", "interval", "--inflight", "64")},
		{"http, 64 in flight", with(http, "--sync", "always", "--inflight", "64")},
		{httpRate, with(http, "--sync", "interval", "--rate", "200")},
		{httpRate, with(http, "--sync", "always", "--rate", "200")},
		{httpRate, with(http, "--sync", "group", "--rate", "200")},
		{httpHot, with(http, "--sync", "interval", "--keys", "1")},
		{httpHot, with(http, "--sync", "always", "--keys", "1")},
		{embeddedMany, with(embedded, "--sync", "interval")},
		{"embedded, 100,000 keys", with(embedded, "--sync", "interval", "--keys", "100000")},
		{"embedded, 1,000,000 keys", with(embedded, "--sync", "interval", "--keys", "1000000")},
		{embeddedMany, with(embedded, "--sync", "always")},
		{embeddedMany, with(embedded, "--sync", "group")},
		{embeddedMany + ", 8 partitions", with(embedded, "--sync", "always", "--partitions", "8")},
	}
}

func main() {
	var o options
	flag.StringVar(&o.jetfn, "jetfn", "bin/jetfn", "the program")
	flag.StringVar(&o.page, "page", "docs/performance.md", "the page to write into")
	flag.IntVar(&o.rounds, "rounds", 3, "how often to run the set")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure each")
	flag.DurationVar(&o.warmup, "warmup", 2*time.Second, "how long to run each before")
	flag.DurationVar(&o.limit, "limit-time", 3*time.Second, "how long to measure each limit")
	flag.StringVar(&o.only, "only", "", "run the benchmarks whose name contains this")
	flag.StringVar(&o.note, "note", "", "a sentence about the circumstances")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // this is main
	defer stop()
	if err := run(ctx, o, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "make bench: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

type options struct {
	jetfn, page, only, note string
	rounds                  int
	duration, warmup, limit time.Duration
}

func run(ctx context.Context, o options, progress io.Writer) error {
	loads := set()
	results := make([][]bench.Result, len(loads))
	for round := range o.rounds {
		for i, l := range loads {
			if !strings.Contains(l.name, o.only) {
				continue
			}
			_, _ = fmt.Fprintf(progress, "round %d of %d: %s %s\n", round+1, o.rounds, l.name, strings.Join(l.args, " "))
			r, err := measure(ctx, o, l, progress)
			if err != nil {
				return fmt.Errorf("%s: %w", l.name, err)
			}
			results[i] = append(results[i], r)
		}
	}
	text, err := os.ReadFile(o.page)
	if err != nil {
		return err
	}
	page, err := insert(string(text), figures(o, loads, results))
	if err != nil {
		return fmt.Errorf("%s: %w", o.page, err)
	}
	return os.WriteFile(o.page, []byte(page), 0o644)
}

func measure(ctx context.Context, o options, l load, progress io.Writer) (r bench.Result, err error) {
	args := append([]string{"bench", "-o", "json", "--duration", o.duration.String(), "--warmup", o.warmup.String(), "--limit-time", o.limit.String()}, l.args...)
	command := exec.CommandContext(ctx, o.jetfn, args...)
	var out bytes.Buffer
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Stdout, command.Stderr = &out, progress
	if err := command.Run(); err != nil {
		return r, err
	}
	return r, json.Unmarshal(out.Bytes(), &r)
}

const (
	beginMark = "<!-- figures: written by make bench -->"
	endMark   = "<!-- end of figures -->"
)

// insert replaces what is between the page's markers.
func insert(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !ok || !ended {
		return "", fmt.Errorf("there are no marks %q and %q", beginMark, endMark)
	}
	return before + beginMark + "\n" + text + endMark + after, nil
}
