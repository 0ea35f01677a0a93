package actortest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jetfn/jetfn/actor"
)

// TestMailbox runs the suite of actor.Outbox and actor.Inbox together. Open is
// called once a test and returns the ports of a partition; there must be at
// least four.
func TestMailbox(t *testing.T, open func(t *testing.T) func(partition int) actor.Ports) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(int) actor.Ports){
		"a send is delivered as it was published":      sendDelivered,
		"pipelined sends are stored in order":          sendsInOrder,
		"a message that is not there is not found":     missingMessage,
		"trimming removes a partition's messages only": trimOwn,
		"identical sends are stored each":              identicalSends,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func outbound(to int, number uint64) actor.OutboundSend {
	return actor.OutboundSend{
		From: 1, To: to, Number: number, Epoch: 2, Commit: 40 + number, Delivered: (number - 1) / 2, First: number/3 + 1,
		Envelope: actor.Envelope{
			Target: address(fmt.Sprintf("target %d", number)), Caller: address("caller/x"),
			Value: actor.Value{Type: "a/b", Data: []byte{1, 0, 255}},
			Trace: actor.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"},
		},
	}
}

func publish(t *testing.T, o actor.Outbox, s actor.OutboundSend) uint64 {
	t.Helper()
	return wantStored(t, "Publish", Await(t, func(done func(actor.WriteResult)) { o.Publish(s, done) }))
}

func sendDelivered(t *testing.T, open func(int) actor.Ports) {
	t.Helper()
	send := outbound(3, 7)
	seq := publish(t, open(1).Outbox, send)
	d, err := open(3).Inbox.Fetch(t.Context(), actor.SourceMailbox, seq)
	if err != nil {
		t.Fatalf("Fetch = %v", err)
	}
	if d.Time == 0 {
		t.Error("the delivery has no time")
	}
	send.Envelope.StoredAt = d.Time
	d.Time = 0
	equal(t, "delivery", d, actor.Delivery{
		Source: actor.SourceMailbox, Seq: seq, Internal: true, From: 1, Number: 7, Delivered: 3, Epoch: 2, First: 3,
		Inputs: []actor.Input{{Envelope: send.Envelope}},
	})
}

func sendsInOrder(t *testing.T, open func(int) actor.Ports) {
	t.Helper()
	o := open(1).Outbox
	results := AwaitAll(t, 500, func(i int, done func(actor.WriteResult)) {
		o.Publish(outbound(i%4, uint64(i+1)), done)
	})
	last := uint64(0)
	for i, r := range results {
		seq := wantStored(t, "pipelined Publish", r)
		if seq <= last {
			t.Fatalf("send %d is stored at %d, its predecessor at %d", i, seq, last)
		}
		last = seq
	}
}

func missingMessage(t *testing.T, open func(int) actor.Ports) {
	t.Helper()
	for _, source := range []actor.Source{actor.SourceMailbox, actor.SourceIngress} {
		if d, err := open(1).Inbox.Fetch(t.Context(), source, 99); !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("Fetch(%s, 99) = %v, %v, want ErrNotFound", source, d, err)
		}
		if err := open(1).Inbox.Trim(t.Context(), source, 99); err != nil {
			t.Errorf("Trim(%s, 99) of nothing = %v, want nil", source, err)
		}
	}
}

func trimOwn(t *testing.T, open func(int) actor.Ports) {
	t.Helper()
	o := open(1).Outbox
	var seqs []uint64
	for i, to := range []int{0, 2, 0, 2, 0} {
		seqs = append(seqs, publish(t, o, outbound(to, uint64(i+1))))
	}
	if err := open(2).Inbox.Trim(t.Context(), actor.SourceMailbox, seqs[3]); err != nil {
		t.Fatalf("Trim = %v", err)
	}
	want := []bool{true, false, true, true, true}
	for i, to := range []int{0, 2, 0, 2, 0} {
		_, err := open(to).Inbox.Fetch(t.Context(), actor.SourceMailbox, seqs[i])
		if there := err == nil; there != want[i] || err != nil && !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("Fetch of message %d after the trim = %v, want there: %v", i, err, want[i])
		}
	}
}

func identicalSends(t *testing.T, open func(int) actor.Ports) {
	t.Helper()
	o := open(1).Outbox
	one := publish(t, o, outbound(2, 1))
	two := publish(t, o, outbound(2, 1))
	if two <= one {
		t.Errorf("the second copy is at %d, want above %d", two, one)
	}
}
