package runtime_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/internal/runtime"
)

// TestMessagesThatComeTogetherAreOneStoredMessage goes through stops and
// starts, between which the ids stay known.
func TestMessagesThatComeTogetherAreOneStoredMessage(t *testing.T) {
	t.Parallel()
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir(), Partitions: 1}
	const n = 400
	for round := range 3 {
		w := start(t, cfg)
		js, err := jetstream.New(dial(t, w.NATS))
		if err != nil {
			t.Fatal(err)
		}
		before := lastStored(t, js)
		var acks []jetstream.PubAckFuture
		for i := range n {
			m := &nats.Msg{Subject: "jetfn.fn.example.greeter.Ada", Header: nats.Header{"Nats-Msg-Id": {itoa(i)}}, Data: []byte("hello")}
			ack, err := js.PublishMsgAsync(m)
			if err != nil {
				t.Fatal(err)
			}
			acks = append(acks, ack)
		}
		for i, f := range acks {
			select {
			case ack := <-f.Ok():
				if ack.Duplicate != (round > 0) {
					t.Fatalf("acknowledgement %d in round %d = %+v", i, round, ack)
				}
			case err := <-f.Err():
				t.Fatalf("publish %d in round %d: %v", i, round, err)
			case <-time.After(patience):
				t.Fatalf("publish %d in round %d is not answered", i, round)
			}
		}
		if stored := lastStored(t, js) - before; stored > n/4 || round > 0 && stored > 0 {
			t.Errorf("round %d: %d messages are stored in %d", round, n, stored)
		}
		eventually(t, "Ada is greeted once for each message", func() bool { return w.seen("example/greeter/Ada") == itoa(n) })
		w.stop()
	}
}

func lastStored(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), "JETFN_MAILBOX")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.LastSeq
}
