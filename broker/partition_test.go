package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestServerAndCoreAgreeOnThePartitionOfEveryID(t *testing.T) {
	t.Parallel()
	ids := []string{"a", "Gordon", "a.b", "a b", "*", ">", "grüße", "日本語", "=", "%", "a/b", "\x00\xff", "_-", strings.Repeat("x", 3000)}
	for i := range 300 {
		ids = append(ids, fmt.Sprintf("id-%d", i))
	}
	for _, partitions := range []int{1, 7, 64} {
		t.Run(fmt.Sprintf("%d partitions", partitions), func(t *testing.T) {
			t.Parallel()
			js := brokertest.Start(t)
			app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: partitions})
			for _, id := range ids {
				a := actor.Address{Type: actor.TypeName{Namespace: "n.s", Name: "fn"}, ID: id}
				ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "app.fn." + a.Key()})
				if err != nil {
					t.Fatalf("publish to %q: %v", id, err)
				}
				want := fmt.Sprintf("app.mbox.%d.ext.%s", actor.PartitionOf(id, partitions), a.Key())
				if got := storedSubject(t, js, ack.Stream, ack.Sequence); got != want {
					t.Errorf("id %q is stored at %q, want %q", id, got, want)
				}
				in, err := js.Publish(t.Context(), "app.ingress.n.s."+actor.Escape(id), nil)
				if err != nil {
					t.Fatalf("publish ingress key %q: %v", id, err)
				}
				want = fmt.Sprintf("app.inbox.%d.n.s.%s", actor.PartitionOf(id, partitions), actor.Escape(id))
				if got := storedSubject(t, js, in.Stream, in.Sequence); got != want {
					t.Errorf("key %q is stored at %q, want %q", id, got, want)
				}
			}
			if app.Partitions() != partitions {
				t.Errorf("Partitions() = %d, want %d", app.Partitions(), partitions)
			}
		})
	}
}

func storedSubject(t *testing.T, js jetstream.JetStream, stream string, seq uint64) string {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return m.Subject
}
