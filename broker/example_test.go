package broker_test

import (
	"context"
	"fmt"
	"os"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
)

// An embedded server, an application on it, and a message that comes in and
// is delivered to its partition.
func Example() {
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// partition 0 gets mailbox message 1 for greeter/person/Gordon: io.statefun.types/string
}

func example(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "jetfn")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	srv, err := broker.StartServer(broker.ServerConfig{StoreDir: dir, Port: -1, App: "jetfn"})
	if err != nil {
		return err
	}
	defer srv.Shutdown()
	nc, err := srv.Connect("example")
	if err != nil {
		return err
	}
	defer nc.Close()
	app, err := broker.Open(ctx, nc, broker.Config{App: "jetfn", Partitions: 1})
	if err != nil {
		return err
	}
	defer app.Close()

	value, _ := actor.TextValue([]byte("hello"))
	target := actor.Address{Type: actor.TypeName{Namespace: "greeter", Name: "person"}, ID: "Gordon"}
	if _, err := app.Send(ctx, broker.SendRequest{Target: target, Value: value}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return app.Feed(ctx, actor.SourceMailbox, "worker-1", 1, nil, func(_ context.Context, partition int, d actor.Delivery) error {
		e := d.Inputs[0].Envelope
		fmt.Printf("partition %d gets %s message %d for %s: %s\n", partition, d.Source, d.Seq, e.Target, e.Value.Type)
		stop()
		return nil
	})
}
