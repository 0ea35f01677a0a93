package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// restart ends srv and starts another one in its place.
func restart(t *testing.T, srv *broker.Server, dir string) *broker.Server {
	t.Helper()
	_, port, err := net.SplitHostPort(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	srv.Shutdown()
	again, err := broker.StartServer(broker.ServerConfig{StoreDir: dir, Port: number, App: "embedded"})
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestFeedAndWritesGoOnAfterTheServerCameBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv, err := broker.StartServer(broker.ServerConfig{StoreDir: dir, Port: -1, App: "embedded"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Shutdown() }()
	nc, err := broker.Connect(t.Context(), broker.ConnectConfig{URLs: []string{srv.Addr()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	app := brokertest.Open(t, nc, broker.Config{App: "app", Partitions: 4})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	send := func() {
		r := broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}}
		for ctx.Err() == nil {
			_, err := app.Send(ctx, r)
			if err == nil {
				return
			}
			if !errors.Is(err, broker.ErrUnknown) {
				t.Errorf("Send while the server is away = %v, want ErrUnknown", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	send()
	next := uint64(1)
	err = app.Feed(ctx, actor.SourceMailbox, "worker", 1, nil, func(_ context.Context, _ int, d actor.Delivery) error {
		if d.Seq != next {
			return fmt.Errorf("delivery %d where %d was due", d.Seq, next)
		}
		next++
		switch d.Seq {
		case 1:
			srv = restart(t, srv, dir)
			app.Ports(0).Journal.Append([]byte("x"), 7, func(r actor.WriteResult) {
				if r.Outcome == actor.Stored || r.Outcome == actor.Refused {
					t.Errorf("Append while the server is away = %+v, want Unknown or Rejected", r)
				}
			})
			send()
		case 2:
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("Feed = %v at %d", err, next)
	}
	r := actortest.Await(t, func(done func(actor.WriteResult)) { app.Ports(0).Journal.Append([]byte("x"), 0, done) })
	if r.Outcome != actor.Stored {
		t.Errorf("Append after the server came back = %+v", r)
	}
}
