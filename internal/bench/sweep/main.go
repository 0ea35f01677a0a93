// Command sweep measures what it takes to free the storage of addresses that
// nobody calls any more: their state expires, and the worker finds and removes
// it, while another address is called again and again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // main
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("sweep", flag.ContinueOnError)
	keys := set.Int("keys", 1_000_000, "how many addresses get a state")
	after := set.Duration("after", 3*time.Minute, "when it expires; all should be written by then")
	limit := set.Duration("limit", 40*time.Minute, "how long to wait until all is removed")
	if err := set.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "jetfn-sweep-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	once := sdk.NewValue("once", sdk.Int64(), sdk.AfterWrite(*after))
	registry, err := sdk.NewRegistry([]sdk.Function{
		{Type: "bench/once", States: []sdk.State{once}, Invoke: func(ctx sdk.Context, _ sdk.Message) error { once.Set(ctx, 1); return nil }},
		{Type: "bench/other", Invoke: func(ctx sdk.Context, m sdk.Message) error { return ctx.Reply(m) }},
	})
	if err != nil {
		return err
	}
	ready := make(chan jetfn.Addresses, 1)
	app, err := jetfn.New(jetfn.WithFunctions(registry), jetfn.WithData(dir), jetfn.WithSyncInterval(),
		jetfn.WithHTTP("127.0.0.1:0"), jetfn.WithNATSListen("127.0.0.1:0"), jetfn.WithReady(func(a jetfn.Addresses) { ready <- a }))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	select {
	case err := <-ended:
		stop()
		return err
	case a := <-ready:
		err = measure(ctx, a, *keys, *after, *limit)
	}
	stop()
	return errors.Join(err, <-ended)
}

func measure(ctx context.Context, at jetfn.Addresses, keys int, after, limit time.Duration) error {
	nc, err := nats.Connect(at.NATS)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		return err
	}
	bucket, err := js.Stream(ctx, "KV_jetfn_state")
	if err != nil {
		return err
	}
	// A removal leaves a mark, which goes after a day. So each record is
	// written once, and once more when it is removed.
	written := func() (int, error) {
		info, err := bucket.Info(ctx)
		if err != nil {
			return 0, err
		}
		return int(info.State.LastSeq), nil
	}
	began := time.Now()
	for i := range keys {
		if _, err := js.PublishAsync("jetfn.fn.bench.once.k"+strconv.Itoa(i), nil, jetstream.WithStallWait(time.Minute)); err != nil {
			return err
		}
	}
	for n := 0; n < keys; {
		if n, err = written(); err != nil {
			return err
		}
		sleep(ctx, 100*time.Millisecond)
	}
	say("%d records after %.1f s, %d MiB of memory", keys, time.Since(began).Seconds(), rss()>>20)
	if time.Since(began) > after {
		say("the first one has expired before the last one was written")
	}
	sleep(ctx, time.Until(began.Add(after-20*time.Second)))
	alone := calls(ctx, at.HTTP, time.Now().Add(15*time.Second), func() (bool, error) { return false, nil })
	say("calls of another address before: %v; %d MiB of memory", alone, rss()>>20)
	cpu, from, told := cpuTime(), time.Now(), time.Now()
	busy := calls(ctx, at.HTTP, time.Now().Add(limit), func() (bool, error) {
		n, err := written()
		if time.Since(told) > 15*time.Second {
			told = time.Now()
			say("%.0f s after the first one expired: %d removed, %d MiB of memory, %.2f processors", time.Since(began.Add(after)).Seconds(), n-keys, rss()>>20,
				(cpuTime()-cpu).Seconds()/time.Since(from).Seconds())
			cpu, from = cpuTime(), time.Now()
		}
		return n >= 2*keys, err
	})
	n, err := written()
	if err != nil {
		return err
	}
	say("%.0f s after the first one expired: %d removed; calls of another address meanwhile: %v", time.Since(began.Add(after)).Seconds(), n-keys, busy)
	if n < 2*keys {
		return fmt.Errorf("%d records are left after %v", 2*keys-n, limit)
	}
	return ctx.Err()
}

// calls calls another address every 5 ms until a time, or until done, which is
// asked once a second; and says how long half and 99 % of them took at most.
func calls(ctx context.Context, address string, until time.Time, done func() (bool, error)) string {
	var took []time.Duration
	asked := time.Now()
	for time.Now().Before(until) && ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/call/bench/other/probe", strings.NewReader("x"))
		if err != nil {
			return err.Error()
		}
		r.Header.Set("Content-Type", "text/plain")
		began := time.Now()
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			return err.Error()
		}
		_ = w.Body.Close()
		took = append(took, time.Since(began))
		if time.Since(asked) > time.Second {
			asked = time.Now()
			if over, err := done(); err != nil || over {
				break
			}
		}
		sleep(ctx, 5*time.Millisecond)
	}
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	return fmt.Sprintf("p50 %.2f ms, p99 %.1f ms", took[len(took)/2].Seconds()*1000, took[len(took)*99/100].Seconds()*1000)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func rss() int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	var kib int64
	_, _ = fmt.Sscan(rest, &kib)
	return kib << 10
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
