// The suite's functions (../README.md) and some of their own, for jetfn's SDK:
// over HTTP, over NATS, or in the worker's process.
//
//	PORT=8000 jetfn-sdk http
//	NATS_URL=nats://127.0.0.1:4222 jetfn-sdk nats
//	jetfn-sdk run MODULE… --app t --http ADDR … (as jetfn run)
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdknats"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "jetfn-sdk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	registry, err := sdk.NewRegistry(append(suiteFunctions(), kitFunctions()...))
	switch {
	case err != nil:
		return err
	case len(args) == 0:
		return errors.New("say http, nats or run")
	}
	switch args[0] {
	case "http":
		return listen(ctx, registry)
	case "nats":
		return serve(ctx, registry)
	case "run":
		return embed(ctx, registry, args[1:])
	}
	return fmt.Errorf("what is %s?", args[0])
}

func listen(ctx context.Context, registry *sdk.Registry) error {
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: sdk.Handler(registry), ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	return server.ListenAndServe()
}

func serve(ctx context.Context, registry *sdk.Registry) error {
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		return err
	}
	defer nc.Close()
	return sdknats.Serve(ctx, nc, registry, sdknats.WithReady(func() { fmt.Println("ready") }))
}

// embed runs the worker with the functions inside, told by flags of jetfn run.
func embed(ctx context.Context, registry *sdk.Registry, args []string) error {
	opts := []jetfn.Option{jetfn.WithFunctions(registry), jetfn.WithLog(zerolog.New(os.Stderr))}
	for len(args) > 0 && !strings.HasPrefix(args[0], "--") {
		opts = append(opts, jetfn.WithModule(args[0]))
		args = args[1:]
	}
	for ; len(args) > 1; args = args[2:] {
		switch value := args[1]; args[0] {
		case "--app":
			opts = append(opts, jetfn.WithName(value))
		case "--http":
			opts = append(opts, jetfn.WithHTTP(value))
		case "--data":
			opts = append(opts, jetfn.WithData(value))
		case "--nats-listen":
			opts = append(opts, jetfn.WithNATSListen(value))
		case "--nats":
			opts = append(opts, jetfn.WithNATS(value))
		case "--max-per-task":
			n := 0
			if _, err := fmt.Sscan(value, &n); err != nil {
				return err
			}
			opts = append(opts, jetfn.WithMaxPerTask(n))
		default:
			return fmt.Errorf("unknown flag %s", args[0])
		}
	}
	app, err := jetfn.New(opts...)
	if err != nil {
		return err
	}
	return app.Run(ctx)
}
