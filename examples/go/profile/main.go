// Command profile remembers what it is told under names that it learns from
// the messages: states registered at run time.
//
//	go run ./examples/go/profile
//	curl -H 'Jetfn-Type: example/fact' -d '{"name":"colour","value":"blue"}' http://127.0.0.1:8080/v1/call/example/profile/ann
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

// Fact is something about somebody. Without a value it is a question.
type Fact struct {
	Name  string  `json:"name"`
	Value *string `json:"value,omitempty"`
}

func factType() sdk.Type[Fact] { return sdk.JSON[Fact]("example/fact") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
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
	learnt := sdk.NewStateRegistry()
	return sdk.NewRegistry([]sdk.Function{{
		Type:   "example/profile",
		States: []sdk.State{learnt},
		Invoke: sdk.Match(sdk.On(factType(), func(ctx sdk.Context, f Fact) error {
			state, err := sdk.Register(ctx, learnt, f.Name, sdk.String())
			if err != nil {
				return sdk.Never(err)
			}
			before := state.Get(ctx)
			if f.Value != nil {
				state.Set(ctx, *f.Value)
			}
			return ctx.Reply(sdk.String().Of(before))
		})),
	}})
}
