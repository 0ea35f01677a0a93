package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
)

func TestNothingAcknowledgedIsLostWhenTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	const payload = 100_000
	start := func() (*broker.Server, *broker.App, func()) {
		srv, err := broker.StartServer(broker.ServerConfig{StoreDir: dir, Port: -1, App: "app", SyncAlways: true})
		if err != nil {
			t.Fatal(err)
		}
		nc, err := srv.Connect("test")
		if err != nil {
			t.Fatal(err)
		}
		app, err := broker.Open(t.Context(), nc, broker.Config{App: "app"})
		if err != nil {
			t.Fatal(err)
		}
		return srv, app, func() { app.Close(); nc.Close(); srv.Shutdown() }
	}
	send := func(app *broker.App) (broker.Receipt, error) {
		return app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b", Data: make([]byte, payload)}})
	}
	srv, app, stop := start()
	receipt, err := send(app)
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 64<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	if _, err := send(app); !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrRefused) {
		t.Errorf("Send to a full disk = %v, want ErrUnknown or ErrRefused", err)
	}
	select {
	case err := <-srv.Failed():
		if !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "APP_MAILBOX") {
			t.Errorf("Failed = %v, want it to name the stream and the cause", err)
		}
	case <-time.After(patience):
		t.Error("the server did not tell that it can't write")
	}
	stop()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	_, app, stop = start()
	defer stop()
	d, err := app.Ports(receipt.Partition).Inbox.Fetch(t.Context(), actor.SourceMailbox, receipt.Seq)
	if err != nil || len(d.Inputs) != 1 || len(d.Inputs[0].Envelope.Value.Data) != payload {
		t.Errorf("Fetch of the acknowledged message = %v", err)
	}
	if _, err := send(app); err != nil {
		t.Errorf("Send with space again = %v", err)
	}
}
