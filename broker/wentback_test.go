package broker_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// ending is an application of one partition on a server that can be stopped.
type ending struct {
	t    *testing.T
	dir  string
	port int
	srv  *broker.Server
	app  *broker.App
	js   jetstream.JetStream
}

func startEnding(t *testing.T) *ending {
	t.Helper()
	e := &ending{t: t, dir: t.TempDir(), port: -1}
	e.start()
	t.Cleanup(func() { e.srv.Shutdown() })
	_, port, err := net.SplitHostPort(e.srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if e.port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	nc, err := broker.Connect(t.Context(), broker.ConnectConfig{URLs: []string{e.srv.Addr()}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if e.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	e.app = brokertest.Open(t, nc, broker.Config{App: "app", Partitions: 1, PublishTimeout: time.Second})
	return e
}

func (e *ending) start() {
	e.t.Helper()
	srv, err := broker.StartServer(broker.ServerConfig{StoreDir: e.dir, Port: e.port, App: "embedded"})
	if err != nil {
		e.t.Fatal(err)
	}
	e.srv = srv
}

// send stores n messages or more, also while the connection is being made again.
func (e *ending) send(n int) {
	e.t.Helper()
	for range n {
		for {
			_, err := e.app.Send(e.t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}})
			if err == nil {
				break
			}
			if e.t.Context().Err() != nil {
				e.t.Fatal(err)
			}
		}
	}
}

func (e *ending) state() jetstream.StreamState {
	e.t.Helper()
	s, err := e.js.Stream(e.t.Context(), "APP_MAILBOX")
	if err != nil {
		e.t.Fatal(err)
	}
	return s.CachedInfo().State
}

// anchor is the message at the end.
func (e *ending) anchor() actor.Anchor {
	e.t.Helper()
	last := e.state().LastSeq
	d, err := e.app.Ports(0).Inbox.Fetch(e.t.Context(), actor.SourceMailbox, last)
	if err != nil {
		e.t.Fatal(err)
	}
	return actor.Anchor{Seq: last, Stored: d.Time}
}

func (e *ending) wantBack(at actor.Anchor, want bool) {
	e.t.Helper()
	if back, err := e.app.WentBack(e.t.Context(), actor.SourceMailbox, at); err != nil || back != want {
		e.t.Errorf("WentBack(%+v) = %v, %v, want %v", at, back, err, want)
	}
}

func (e *ending) trim(before uint64) {
	e.t.Helper()
	if err := e.app.Ports(0).Inbox.Trim(e.t.Context(), actor.SourceMailbox, before); err != nil {
		e.t.Errorf("Trim(%d) = %v", before, err)
	}
}

func TestInputsAreRemovedAfterAReconnectIfTheStreamIsTheSame(t *testing.T) {
	t.Parallel()
	e := startEnding(t)
	e.send(10)
	e.wantBack(e.anchor(), false)
	e.srv.Shutdown()
	e.start()
	e.send(1)
	e.trim(5)
	if first := e.state().FirstSeq; first != 5 {
		t.Errorf("the first message is at %d, want 5", first)
	}
}

func TestNothingIsRemovedFromAStreamThatLostItsEndUntilItIsReadAnew(t *testing.T) {
	t.Parallel()
	e := startEnding(t)
	e.send(5)
	e.srv.Shutdown()
	live, saved := filepath.Join(e.dir, "jetstream", "$G", "streams", "APP_MAILBOX"), filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	e.start()
	e.send(5)
	at := e.anchor()
	e.wantBack(at, false)
	failed := make(chan error, 1)
	read := make(chan uint64, 100)
	go func() {
		failed <- e.app.Feed(t.Context(), actor.SourceMailbox, "worker", 1, nil, func(_ context.Context, _ int, d actor.Delivery) error {
			read <- d.Seq
			return nil
		})
	}()
	for seq := range read {
		if seq == at.Seq {
			break
		}
	}
	e.srv.Shutdown()
	if err := os.RemoveAll(live); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(live, os.DirFS(saved)); err != nil {
		t.Fatal(err)
	}
	e.start()
	e.send(7) // as long as it was, and longer
	e.trim(at.Seq)
	if s := e.state(); s.FirstSeq != 1 || s.Msgs < 12 {
		t.Errorf("the stream holds %d messages from %d on, want all, 12 or more", s.Msgs, s.FirstSeq)
	}
	if err := <-failed; !errors.Is(err, actor.ErrWentBack) {
		t.Errorf("Feed = %v, want ErrWentBack", err)
	}
	e.wantBack(at, true)
	e.trim(3)
	if s := e.state(); s.FirstSeq != 3 {
		t.Errorf("the first message is at %d, want 3", s.FirstSeq)
	}
}

func TestWhatIsNewIsFoundThoughWhatCameAtTheEndWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 1})
		var stored [7]int64 // by sequence
		send := func() {
			seq := publish(t, js, "app.fn.ns.fn.a", "x")
			d, err := app.Ports(0).Inbox.Fetch(t.Context(), actor.SourceMailbox, seq)
			if err != nil {
				t.Fatal(err)
			}
			stored[seq] = d.Time
			time.Sleep(time.Second)
		}
		for range 5 {
			send()
		}
		stream, err := js.Stream(t.Context(), "APP_MAILBOX")
		if err != nil {
			t.Fatal(err)
		}
		want := func(what string, at actor.Anchor, want bool) {
			t.Helper()
			if back, err := app.WentBack(t.Context(), actor.SourceMailbox, at); err != nil || back != want {
				t.Errorf("%s: WentBack = %v, %v, want %v", what, back, err, want)
			}
		}
		remove := func(seq uint64) {
			t.Helper()
			if err := stream.DeleteMsg(t.Context(), seq); err != nil {
				t.Fatal(err)
			}
		}
		remove(5)
		want("removed at the end", actor.Anchor{Seq: 5, Stored: stored[5]}, false)
		send()
		want("removed, with one behind", actor.Anchor{Seq: 5, Stored: stored[5]}, false)
		want("4 is new, and 5 was", actor.Anchor{Seq: 5, Stored: stored[3]}, true)
		want("no time is known", actor.Anchor{Seq: 5}, false)
		remove(4)
		want("4 and 5 were new, nothing of them is left", actor.Anchor{Seq: 5, Stored: stored[3]}, false)
	})
}
