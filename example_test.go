package jetfn_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

// A program with the worker in it: it stores in a directory, and is called
// over HTTP.
func ExampleNew() {
	visits := sdk.NewValue("visits", sdk.Int64())
	registry, err := sdk.NewRegistry([]sdk.Function{{
		Type: "example/greeter", States: []sdk.State{visits},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, name string) error {
			visits.Set(ctx, visits.Get(ctx)+1)
			return ctx.Reply(sdk.String().Of(fmt.Sprintf("Hello %s, visit %d.", name, visits.Get(ctx))))
		})),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "jetfn-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	greet := func(at jetfn.Addresses) {
		defer stop() // a real program goes on until it is told to end
		answer, err := http.Post("http://"+at.HTTP+"/v1/call/example/greeter/ada", "text/plain", strings.NewReader("Ada"))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		fmt.Println(string(text), err)
		http.DefaultClient.CloseIdleConnections()
	}
	app, err := jetfn.New(
		jetfn.WithFunctions(registry), jetfn.WithData(dir), jetfn.WithHTTP("127.0.0.1:0"), jetfn.WithNATSListen("127.0.0.1:0"),
		jetfn.WithReady(func(at jetfn.Addresses) { go greet(at) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := app.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Hello Ada, visit 1. <nil>
}
