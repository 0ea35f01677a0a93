// Command table measures one table of many entries: what it takes to fill it,
// and, in a process that has never seen it, to read, write and range over a
// little of it. Memory tells that the rest isn't loaded.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

const (
	perCall = 5000 // entries that one call fills in
	rangeOf = 100
)

func main() {
	entries := flag.Int64("entries", 1_000_000, "entries of the table")
	calls := flag.Int("calls", 1000, "calls of each kind")
	data := flag.String("data", "", "data directory with a filled table; empty: fill one")
	heap := flag.String("heap", "", "file for a profile of the heap, after reading")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // main's own
	defer stop()
	b := bench{out: os.Stdout, entries: *entries, calls: *calls, heap: *heap}
	if err := b.run(ctx, *data); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to do
	}
}

// bench is one measurement.
type bench struct {
	out     io.Writer
	entries int64
	calls   int
	heap    string // file for a profile; empty: none
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, format+", "+memory()+"\n", args...)
}

func (b *bench) run(ctx context.Context, data string) error {
	if data != "" {
		return b.with(ctx, data, b.use)
	}
	dir, err := os.MkdirTemp("", "jetfn-table-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := b.with(ctx, dir, b.fill); err != nil {
		return err
	}
	again := exec.CommandContext(ctx, os.Args[0], "-data", dir, "-entries", strconv.FormatInt(b.entries, 10), "-calls", strconv.Itoa(b.calls), "-heap", b.heap)
	again.Stdout, again.Stderr = b.out, os.Stderr
	if err := again.Run(); err != nil {
		return fmt.Errorf("use the table in another process: %w", err)
	}
	return nil
}

// functions are the table's: "fill <from> <to>", "get <k>", "set <k>" and
// "range <k> <n>".
func functions() (*sdk.Registry, error) {
	items := sdk.NewTable("items", sdk.Int64Key(), sdk.Int64())
	return sdk.NewRegistry([]sdk.Function{{
		Type: "bench/table", States: []sdk.State{items},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, s string) error {
			verb, rest, _ := strings.Cut(s, " ")
			var a, b int64
			if n, err := fmt.Sscan(rest, &a, &b); err != nil && n == 0 {
				return sdk.Never(err)
			}
			var sum int64
			switch verb {
			case "fill": // every other key, so that there is room between
				for k := a; k < b; k += 2 {
					items.Set(ctx, k, k)
				}
			case "get":
				sum = items.Get(ctx, a)
			case "set":
				items.Set(ctx, a, a)
			case "range":
				for range items.Range(ctx, a, a+b) {
					sum++
				}
			}
			return ctx.Reply(sdk.Int64().Of(sum))
		})),
	}})
}

// client calls the table.
type client struct{ url string }

// with runs the application while use does.
func (b *bench) with(ctx context.Context, dir string, use func(context.Context, client) error) error {
	registry, err := functions()
	if err != nil {
		return err
	}
	ready := make(chan jetfn.Addresses, 1)
	app, err := jetfn.New(jetfn.WithFunctions(registry), jetfn.WithData(dir), jetfn.WithSyncInterval(),
		jetfn.WithHTTP("127.0.0.1:0"), jetfn.WithNATSListen("127.0.0.1:0"), jetfn.WithReady(func(a jetfn.Addresses) { ready <- a }))
	if err != nil {
		return err
	}
	began := time.Now()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case a := <-ready:
		b.say("ready after %v", time.Since(began).Round(time.Millisecond))
		err = use(ctx, client{"http://" + a.HTTP + "/v1/call/bench/table/1"})
	}
	stop()
	return errors.Join(err, <-ended)
}

func (b *bench) fill(ctx context.Context, c client) error {
	began := time.Now()
	for k := int64(0); k < b.entries; k += perCall {
		if _, err := c.call(ctx, fmt.Sprintf("fill %d %d", 2*k, 2*min(k+perCall, b.entries))); err != nil {
			return err
		}
		if done := k + perCall; done%(20*perCall) == 0 && done < b.entries {
			b.say("%d entries after %v", done, time.Since(began).Round(time.Second))
		}
	}
	took := time.Since(began)
	b.say("filled %d entries, %d a call, in %v: %.0f/s", b.entries, perCall, took.Round(time.Millisecond), float64(b.entries)/took.Seconds())
	return nil
}

func (b *bench) use(ctx context.Context, c client) error {
	for i, kind := range []struct {
		name string
		text func(k int64) string
		want int64
	}{
		{"get", func(k int64) string { return fmt.Sprintf("get %d", 2*k) }, -1},
		{"set an entry that is there", func(k int64) string { return fmt.Sprintf("set %d", 2*k) }, 0},
		{"range over " + strconv.Itoa(rangeOf), func(k int64) string { return fmt.Sprintf("range %d %d", 2*k, 2*rangeOf) }, rangeOf},
		{"set a new one", func(k int64) string { return fmt.Sprintf("set %d", 2*k+1) }, 0},
	} {
		if err := b.measure(ctx, c, kind.name, kind.text, kind.want); err != nil {
			return err
		}
		if i == 0 && b.heap != "" {
			if err := b.profile(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) measure(ctx context.Context, c client, name string, text func(int64) string, want int64) error {
	calls := b.calls
	took := make([]time.Duration, 0, calls)
	began := time.Now()
	for range calls {
		k := rand.Int64N(b.entries - rangeOf)
		at := time.Now()
		got, err := c.call(ctx, text(k))
		took = append(took, time.Since(at))
		switch {
		case err != nil:
			return err
		case want >= 0 && got != want, want < 0 && got != 2*k:
			return fmt.Errorf("%s answers %d", text(k), got)
		}
	}
	slices.Sort(took)
	b.say("%s: %d calls, one after the other, %.0f/s, p50 %v, p99 %v", name, calls,
		float64(calls)/time.Since(began).Seconds(), took[calls/2].Round(10*time.Microsecond), took[calls*99/100].Round(10*time.Microsecond))
	return nil
}

// call asks the table, and returns the number that it answers.
func (c client) call(ctx context.Context, text string) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"?timeout=5m", strings.NewReader(text))
	if err != nil {
		return 0, fmt.Errorf("call: %w", err)
	}
	r.Header.Set("Content-Type", "text/plain")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, fmt.Errorf("call: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s %s", text, response.Status, body)
	}
	n, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", text, err)
	}
	return n, nil
}

// profile writes what lives on the heap.
func (b *bench) profile() error {
	f, err := os.Create(b.heap)
	if err != nil {
		return fmt.Errorf("write the heap's profile: %w", err)
	}
	if err := errors.Join(pprof.WriteHeapProfile(f), f.Close()); err != nil {
		return fmt.Errorf("write the heap's profile: %w", err)
	}
	return nil
}

// memory is what lives on the heap, and what the system has given.
func memory() string {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("heap %d MiB, resident %s", m.HeapAlloc>>20, resident())
}

func resident() string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	_, after, ok := strings.Cut(string(text), "VmRSS:")
	if !ok {
		return "unknown"
	}
	fields := strings.Fields(after)
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%d MiB", kib>>10)
}
