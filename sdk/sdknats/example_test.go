package sdknats_test

import (
	"context"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdknats"
)

// withNATS runs a server while use does.
func withNATS(use func(url string)) {
	dir, err := os.MkdirTemp("", "jetfn-example-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := broker.StartServer(broker.ServerConfig{StoreDir: dir, Host: "127.0.0.1", Port: -1, App: "example"})
	if err != nil {
		panic(err)
	}
	defer server.Shutdown()
	use("nats://" + server.Addr())
}

// A program that serves functions and listens nowhere. Workers find it by
// themselves.
func ExampleServe() {
	withNATS(func(url string) {
		greet := func(ctx sdk.Context, name string) error { return ctx.Reply(sdk.String().Of("Hello " + name)) }
		registry, err := sdk.NewRegistry([]sdk.Function{{Type: "example/greeter", Invoke: sdk.Match(sdk.On(sdk.String(), greet))}})
		if err != nil {
			fmt.Println(err)
			return
		}
		nc, err := nats.Connect(url)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer nc.Close()
		ctx, stop := context.WithCancel(context.Background())
		err = sdknats.Serve(ctx, nc, registry, sdknats.WithName("greeters"), sdknats.WithReady(func() {
			fmt.Println("takes calls at", sdknats.Subject(sdknats.DefaultPrefix, sdk.TypeName{Namespace: "example", Name: "greeter"}))
			stop() // a real program goes on until it is told to end
		}))
		fmt.Println("ended with", err)
	})
	// Output:
	// takes calls at jetfn-functions.example.greeter
	// ended with <nil>
}
