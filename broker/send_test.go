package broker_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestSendTellsWhereTheMessageIs(t *testing.T) {
	t.Parallel()
	app := open(t)
	to := address("ns", "fn", "grüße. *")
	want := actor.Envelope{
		Target: to, Value: actor.Value{Type: "a/b", Data: []byte{0, 255}},
		Trace: actor.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	receipt, err := app.Send(t.Context(), broker.SendRequest{Target: to, Value: want.Value, Trace: want.Trace})
	if err != nil {
		t.Fatal(err)
	}
	d, err := app.Ports(receipt.Partition).Inbox.Fetch(t.Context(), actor.SourceMailbox, receipt.Seq)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Inputs) != 1 || d.Inputs[0].Problem != nil || d.Dedup || receipt.Duplicate {
		t.Fatalf("delivery = %+v, receipt %+v", d, receipt)
	}
	if got := d.Inputs[0].Envelope; got.Target != to || got.Value.Type != "a/b" || string(got.Value.Data) != "\x00\xff" || got.Trace != want.Trace {
		t.Errorf("envelope = %+v, want %+v", got, want)
	}
}

func TestSendTellsTheDelay(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	_, err := app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: text("x"), Delay: 1500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	d := read(t, app, actor.SourceMailbox, 1, 1, nil)[0].Delivery
	if r := d.Inputs[0].Route; r == nil || r.DueAt != d.Time+1500 {
		t.Errorf("route = %+v, want one that is due 1.5 s after %d", r, d.Time)
	}
}

func TestSendWithAnIDIsStoredOnceForTwoMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := open(t)
		send := func() broker.Receipt {
			r, err := app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}, MsgID: "order 1"})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		first := send()
		time.Sleep(119 * time.Second)
		if again := send(); !again.Duplicate || again.Seq != first.Seq {
			t.Errorf("second send = %+v, want a duplicate of %+v", again, first)
		}
		time.Sleep(2 * time.Minute)
		if later := send(); later.Duplicate || later.Seq <= first.Seq {
			t.Errorf("send after the window = %+v, want a new message", later)
		}
		d, err := app.Ports(first.Partition).Inbox.Fetch(t.Context(), actor.SourceMailbox, first.Seq)
		if err != nil || !d.Dedup {
			t.Errorf("Fetch = %+v, %v, want Dedup", d, err)
		}
	})
}

func TestSendRefusesWhatCanNotBeStored(t *testing.T) {
	t.Parallel()
	app := open(t)
	for name, c := range map[string]struct {
		r    broker.SendRequest
		want error
		text string
	}{
		"empty id":  {broker.SendRequest{Target: address("ns", "fn", ""), Value: actor.Value{Type: "a/b"}}, actor.ErrBadAddress, "empty id"},
		"long id":   {broker.SendRequest{Target: address("ns", "fn", strings.Repeat("x", 4000)), Value: actor.Value{Type: "a/b"}}, actor.ErrBadAddress, "3500"},
		"too large": {broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b", Data: make([]byte, 1<<20)}}, broker.ErrTooLarge, "1048576"},
		"no type":   {broker.SendRequest{Target: address("ns", "fn", "a")}, nil, "value type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := app.Send(t.Context(), c.r)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || errors.Is(err, broker.ErrUnknown) {
				t.Errorf("Send = %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}

func TestSendWhoseAnswerIsMissingIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
		s, err := js.Stream(t.Context(), "APP_MAILBOX")
		if err != nil {
			t.Fatal(err)
		}
		cfg := s.CachedInfo().Config
		cfg.NoAck = true
		if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}})
		if !errors.Is(err, broker.ErrUnknown) || time.Since(start) != 5*time.Second {
			t.Errorf("Send = %v after %v, want ErrUnknown after 5s", err, time.Since(start))
		}
		if err := js.DeleteStream(t.Context(), "APP_MAILBOX"); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatal(err)
		}
		if _, err = app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}}); !errors.Is(err, broker.ErrUnknown) {
			t.Errorf("Send to a stream that is gone = %v, want ErrUnknown", err)
		}
		app.Close()
		if _, err = app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}}); !errors.Is(err, broker.ErrUnknown) {
			t.Errorf("Send after Close = %v, want ErrUnknown", err)
		}
	})
}
