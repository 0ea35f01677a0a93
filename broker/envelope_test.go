package broker_test

import (
	"encoding/hex"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func sampleEnvelope() actor.Envelope {
	return actor.Envelope{
		Target: address("ns", "fn", "grüße"), Caller: address("n2", "g", "c"),
		Value: actor.Value{Type: "a/b", Data: []byte{0, 255}}, Trace: actor.Trace{Parent: trace, State: "k=v"},
	}
}

func samplePack() []broker.PackedMessage {
	return []broker.PackedMessage{
		{Key: "ns.fn.gr=C3=BC=C3=9Fe", Data: []byte{0, 255}},
		{Key: "ns.fn.a", Type: "a/b", ContentType: "text/plain", MsgID: "order 1", Trace: actor.Trace{Parent: trace, State: "k=v"}},
	}
}

// The files were written by format 1 and must be readable, and written the
// same, as long as it lives.
func TestStoredFormatsStayTheSame(t *testing.T) {
	t.Parallel()
	for file, data := range map[string][]byte{
		"send-v1.hex":       broker.EncodeSend(actor.OutboundSend{From: 3, To: 5, Number: 300, Epoch: 2, Commit: 77, Envelope: sampleEnvelope()}),
		"pack-v1.hex":       broker.EncodePack(samplePack()...),
		"pack-delay-v1.hex": broker.EncodePack(broker.PackedMessage{Key: "ns.fn.a", Delay: "1h30m", Data: []byte("x")}),
		"timer-v1.hex":      broker.EncodeTimer(actor.Timer{DueAt: 1700000000123, Token: "tok", Envelope: sampleEnvelope()}),
	} {
		want, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatalf("%v; now %s", err, hex.EncodeToString(data))
		}
		if got := hex.EncodeToString(data); got != strings.TrimSpace(string(want)) {
			t.Errorf("%s is now\n%s\nwant\n%s", file, got, want)
		}
	}
}

func TestInternalMessagesArriveAsTheyWereSent(t *testing.T) {
	t.Parallel()
	app := brokertest.Open(t, brokertest.Start(t).Conn(), broker.Config{App: "app", Partitions: 16})
	addresses := rapid.Custom(func(t *rapid.T) actor.Address {
		return address(rapid.String().Draw(t, "ns"), rapid.String().Draw(t, "name"), string(rapid.SliceOf(rapid.Byte()).Draw(t, "id")))
	})
	rapid.Check(t, func(rt *rapid.T) {
		send := actor.OutboundSend{
			From: rapid.IntRange(0, 15).Draw(rt, "from"), To: rapid.IntRange(0, 15).Draw(rt, "to"),
			Number: rapid.Uint64Min(1).Draw(rt, "number"), Epoch: rapid.Uint64().Draw(rt, "epoch"), Commit: rapid.Uint64().Draw(rt, "commit"),
			First: rapid.Uint64().Draw(rt, "first"),
			Envelope: actor.Envelope{
				Target: addresses.Draw(rt, "target"), Caller: addresses.Draw(rt, "caller"),
				Value: actor.Value{Type: rapid.String().Draw(rt, "type"), Data: rapid.SliceOf(rapid.Byte()).Draw(rt, "data")},
				Trace: actor.Trace{Parent: rapid.String().Draw(rt, "parent"), State: rapid.String().Draw(rt, "state")},
			},
		}
		send.Delivered = rapid.Uint64Max(send.Number-1).Draw(rt, "delivered")
		r := actortest.Await(t, func(done func(actor.WriteResult)) { app.Ports(send.From).Outbox.Publish(send, done) })
		if r.Outcome != actor.Stored {
			rt.Fatalf("Publish = %+v", r)
		}
		d, err := app.Ports(send.To).Inbox.Fetch(t.Context(), actor.SourceMailbox, r.Seq)
		if err != nil {
			rt.Fatal(err)
		}
		want := actor.Delivery{Source: actor.SourceMailbox, Seq: r.Seq, Time: d.Time, Internal: true, From: send.From, Number: send.Number, Delivered: send.Delivered, Epoch: send.Epoch, First: send.First, Inputs: []actor.Input{{Envelope: send.Envelope}}}
		send.Envelope.StoredAt = d.Time
		want.Inputs[0].Envelope = send.Envelope
		if diff := cmp.Diff(want, d, cmpopts.EquateEmpty()); diff != "" {
			rt.Errorf("delivery (-want +got):\n%s", diff)
		}
	})
}

func TestAMessageOfANewerFormatStopsTheFeed(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	newer := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 2)
	seq := publish(t, js, "app.mbox.1.int.0", string(newer))
	err := app.Feed(t.Context(), actor.SourceMailbox, "w", 1, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "newer jetfn") || !strings.Contains(err.Error(), strconv.FormatUint(seq, 10)) {
		t.Errorf("Feed = %v, want an error about message %d and a newer jetfn", err, seq)
	}
}

func FuzzDecodeSend(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(broker.EncodeSend(actor.OutboundSend{From: 3, To: 5, Number: 300, Envelope: sampleEnvelope()}))
	f.Fuzz(func(t *testing.T, data []byte) {
		envelopes, err := broker.DecodeSend(data)
		if err != nil || len(envelopes) != 1 {
			return
		}
		again, err := broker.DecodeSend(broker.EncodeSend(actor.OutboundSend{Number: 1, Envelope: envelopes[0]}))
		if diff := cmp.Diff(envelopes, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("decoded again: %v (-first +second):\n%s", err, diff)
		}
	})
}

func FuzzDecodePack(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(broker.EncodePack(samplePack()...))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, err := broker.DecodePack(data)
		if err != nil {
			return
		}
		again, err := broker.DecodePack(broker.EncodePack(messages...))
		if diff := cmp.Diff(messages, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("decoded again: %v (-first +second):\n%s", err, diff)
		}
	})
}

func FuzzDecodeTimer(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(broker.EncodeTimer(actor.Timer{DueAt: 1700000000123, Token: "tok", Envelope: sampleEnvelope()}))
	f.Fuzz(func(t *testing.T, data []byte) {
		timer, err := broker.DecodeTimer(data)
		if err != nil {
			return
		}
		again, err := broker.DecodeTimer(broker.EncodeTimer(timer))
		if diff := cmp.Diff(timer, again, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("decoded again: %v (-first +second):\n%s", err, diff)
		}
	})
}

func TestAForeignKeyAmongTheTimersIsIgnoredAndADamagedOneIsAnError(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	kv, err := js.KeyValue(t.Context(), "app_timers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "1.note", "x"); err != nil {
		t.Fatal(err)
	}
	if timers, err := actortest.Timers(t.Context(), app.Ports(1).Timers); err != nil || len(timers) != 0 {
		t.Errorf("LoadAll = %v, %v, want none", timers, err)
	}
	if _, err := kv.PutString(t.Context(), "1.2.3.4", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := actortest.Timers(t.Context(), app.Ports(1).Timers); err == nil || !strings.Contains(err.Error(), "1.2.3.4") || errors.Is(err, actor.ErrNotFound) {
		t.Errorf("LoadAll = %v, want an error that names the key", err)
	}
}
