// Command greeter is the smallest application: a function that remembers how
// often it has seen whom. Run it, and talk to it:
//
//	go run ./examples/go/greeter
//	curl -H 'Content-Type: text/plain' -d hello http://127.0.0.1:8080/v1/call/example/greeter/Ann
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "greeter:", err)
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
	seen := sdk.NewValue("seen", sdk.Int64())
	return sdk.NewRegistry([]sdk.Function{{
		Type:   "example/greeter",
		States: []sdk.State{seen},
		Invoke: func(ctx sdk.Context, _ sdk.Message) error {
			n := seen.Get(ctx) + 1
			seen.Set(ctx, n)
			return ctx.Reply(sdk.String().Of(fmt.Sprintf("Hello %s, visit %d", ctx.Self().ID, n)))
		},
	}})
}
