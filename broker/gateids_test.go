package broker_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestADuplicateIsAnsweredWithTheFirstOnesPlace(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := gateless(t, js, broker.Config{})
	end := brokertest.Gather(t, app)
	const n = 500
	futures := make([]jetstream.PubAckFuture, 0, 2*n)
	for i := range 2 * n { // each id twice, one after the other
		f, err := js.PublishMsgAsync(outsideMessage("a", "first", "Nats-Msg-Id", strconv.Itoa(i/2)))
		if err != nil {
			t.Fatal(err)
		}
		futures = append(futures, f)
	}
	seqs := make([]uint64, n)
	for i, f := range futures {
		ack := <-f.Ok()
		if i%2 == 0 {
			seqs[i/2] = ack.Sequence
		}
		if ack.Sequence != seqs[i/2] || ack.Duplicate != (i%2 == 1) {
			t.Fatalf("acknowledgement %d = %+v, want %d", i, ack, seqs[i/2])
		}
	}
	again := func(when string) {
		t.Helper()
		for i := 0; i < n; i += 50 {
			ack, err := js.PublishMsg(t.Context(), outsideMessage("b", "again", "Nats-Msg-Id", strconv.Itoa(i)))
			if err != nil || !ack.Duplicate || ack.Sequence != seqs[i] {
				t.Errorf("id %d %s = %+v, %v, want a duplicate of %d", i, when, ack, err, seqs[i])
			}
		}
	}
	again("afterwards")
	end()
	brokertest.Gather(t, app)
	again("at the next gate")
	count := 0
	for _, r := range read(t, app, actor.SourceMailbox, 1, int(mailbox(t, js).State.Msgs), nil) {
		count += len(r.Delivery.Inputs)
		if !r.Delivery.Dedup {
			t.Errorf("delivery %d may be trimmed, and its ids be forgotten", r.Delivery.Seq)
		}
	}
	if count != n {
		t.Errorf("messages stored = %d, want %d", count, n)
	}
}

func TestIDsOfMessagesThatNoGateTookAreKnown(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 1})
	seq := publish(t, js, "app.fn.ns.fn.a", "x", "Nats-Msg-Id", "1")
	bad := publish(t, js, "app.fn.ns", "x", "Nats-Msg-Id", "2")
	gated(t, js, broker.Config{})
	for id, want := range map[string]uint64{"1": seq, "2": bad} {
		ack, err := js.PublishMsg(t.Context(), outsideMessage("a", "x", "Nats-Msg-Id", id))
		if err != nil || !ack.Duplicate || ack.Sequence != want {
			t.Errorf("id %s = %+v, %v, want a duplicate of %d", id, ack, err, want)
		}
	}
}

func TestAnIDIsForgottenAfterTwoMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app, end := gatedInBubble(t, js, broker.Config{})
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
		end()
		app, _ = gatedInBubble(t, js, broker.Config{})
		if again := send(); !again.Duplicate || again.Seq != first.Seq {
			t.Errorf("send to the next gate = %+v, want a duplicate of %+v", again, first)
		}
		time.Sleep(2 * time.Second)
		if later := send(); later.Duplicate || later.Seq <= first.Seq {
			t.Errorf("send after the window = %+v, want a new message", later)
		}
	})
}
