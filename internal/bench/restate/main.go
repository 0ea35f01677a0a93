// Command restate runs the keyed counter of jetfn bench on a Restate server:
// a virtual object written with Restate's Go SDK, called over HTTP.
//
//	cd internal/bench/restate && go run . -server …/restate-server -inflight 1024
//
// It is a module of its own, so that jetfn doesn't depend on Restate.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	server            string
	serve             string
	keys, inFlight    int
	payload           int
	rate              float64
	duration, warmup  time.Duration
	partitions, limit int
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "restate-server", "Restate's server")
	flag.StringVar(&o.serve, "serve", "", "be the function, at this address")
	flag.IntVar(&o.keys, "keys", 1000, "number of objects")
	flag.IntVar(&o.inFlight, "inflight", 1024, "calls in flight")
	flag.IntVar(&o.payload, "payload", 150, "bytes of a call")
	flag.Float64Var(&o.rate, "rate", 0, "calls a second; 0: closed loop")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure")
	flag.DurationVar(&o.warmup, "warmup", 2*time.Second, "how long to run before")
	flag.IntVar(&o.partitions, "partitions", 24, "partitions; Restate's default is 24")
	flag.IntVar(&o.limit, "concurrency", 4096, "limit of concurrent invocations; Restate's default of 1000 is below 1,024 calls in flight")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:forbidigo // this is main
	defer stop()
	if err := run(ctx, o); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "restate: %v\n", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, o options) error {
	if o.serve != "" {
		return serve(ctx, o.serve)
	}
	result, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
