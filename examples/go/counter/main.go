// Command counter limits how often something may happen: a count that is
// forgotten when nothing came for a minute.
//
//	go run ./examples/go/counter
//	curl -H 'Content-Type: text/plain' -d login http://127.0.0.1:8080/v1/call/example/limit/ann
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

const (
	window = time.Minute
	most   = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	functions, err := Functions()
	if err != nil {
		return err
	}
	app, err := jetfn.New(jetfn.WithFunctions(functions), jetfn.WithBanner(os.Stdout))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// Functions are the functions of the application.
func Functions() (*sdk.Registry, error) {
	count := sdk.NewValue("count", sdk.Int32(), sdk.AfterWrite(window))
	return sdk.NewRegistry([]sdk.Function{{
		Type:   "example/limit",
		States: []sdk.State{count},
		Invoke: func(ctx sdk.Context, _ sdk.Message) error {
			if count.Get(ctx) >= most {
				return ctx.Reply(sdk.Bool().Of(false))
			}
			count.Set(ctx, count.Get(ctx)+1)
			return ctx.Reply(sdk.Bool().Of(true))
		},
	}})
}
