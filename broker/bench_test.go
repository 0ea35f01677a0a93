package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// window bounds the writes of a benchmark that are under way.
const window = 1000

// drain waits for the writes under way.
func drain(slots chan struct{}) {
	for range window {
		slots <- struct{}{}
	}
}

func benchApp(b *testing.B) *broker.App {
	b.Helper()
	srv := brokertest.StartServer(b, "app")
	return brokertest.Open(b, brokertest.Connect(b, srv), broker.Config{App: "app"})
}

// BenchmarkOutbox stores sends of 200 bytes in the mailboxes of 64 partitions.
func BenchmarkOutbox(b *testing.B) {
	app := benchApp(b)
	outbox := app.Ports(0).Outbox
	slots := make(chan struct{}, window)
	send := actor.OutboundSend{Envelope: actor.Envelope{Target: address("ns", "fn", "id"), Value: actor.Value{Type: "a/b", Data: make([]byte, 200)}}}
	b.ReportAllocs()
	for b.Loop() {
		send.Number++
		send.To = int(send.Number % 64)
		slots <- struct{}{}
		outbox.Publish(send, func(r actor.WriteResult) {
			if r.Outcome != actor.Stored {
				b.Errorf("Publish = %+v", r)
			}
			<-slots
		})
	}
	drain(slots)
}

// BenchmarkEgress stores egress messages of 200 bytes, one by one.
func BenchmarkEgress(b *testing.B) {
	app := benchApp(b)
	sink := app.Ports(0).Egress
	marked := make(chan uint64)
	sink.Mark(nil, 0, func(r actor.WriteResult) { go func() { marked <- r.Seq }() })
	mark := <-marked
	slots := make(chan struct{}, window)
	m := actor.SinkMessage{Source: address("ns", "fn", "id"), Egress: &actor.EgressMessage{ID: actor.TypeName{Namespace: "ns", Name: "out"}, Key: "k", Value: actor.Value{Type: "a/b", Data: make([]byte, 200)}}}
	b.ReportAllocs()
	for b.Loop() {
		m.ID.Commit++
		slots <- struct{}{}
		sink.Publish(m, mark, func(r actor.WriteResult) {
			if r.Outcome != actor.Stored {
				b.Errorf("Publish = %+v", r)
			}
			<-slots
		})
	}
	drain(slots)
}

// BenchmarkFeed delivers outside messages of 200 bytes.
func BenchmarkFeed(b *testing.B) {
	app := benchApp(b)
	slots := make(chan struct{}, window)
	outbox := app.Ports(0).Outbox
	const stored = 50_000
	for i := range stored {
		slots <- struct{}{}
		send := actor.OutboundSend{To: i % 64, Number: uint64(i + 1), Envelope: actor.Envelope{Target: address("ns", "fn", fmt.Sprintf("id-%d", i%1000)), Value: actor.Value{Type: "a/b", Data: make([]byte, 200)}}}
		outbox.Publish(send, func(actor.WriteResult) { <-slots })
	}
	drain(slots)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		err := app.Feed(b.Context(), actor.SourceMailbox, "w", 1, nil, func(_ context.Context, _ int, d actor.Delivery) error {
			if done++; done >= b.N || d.Seq == stored {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			b.Fatal(err)
		}
	}
}

// BenchmarkOutside stores outside messages of 150 bytes, 1,024 in flight, as
// publishers over TCP do: through the gate, and into the stream directly.
func BenchmarkOutside(b *testing.B) {
	for name, gate := range map[string]bool{"gathered": true, "direct": false} {
		b.Run(name, func(b *testing.B) {
			srv, err := broker.StartServer(broker.ServerConfig{StoreDir: b.TempDir(), Port: -1, App: "app", SyncAlways: true})
			if err != nil {
				b.Fatal(err)
			}
			defer srv.Shutdown()
			app := brokertest.Open(b, brokertest.Connect(b, srv), broker.Config{App: "app", Gate: gate})
			if gate {
				brokertest.Gather(b, app)
			}
			nc, err := nats.Connect(srv.Addr())
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1024))
			if err != nil {
				b.Fatal(err)
			}
			data := make([]byte, 150)
			i := 0
			for b.Loop() {
				i++
				if _, err := js.PublishAsync(fmt.Sprintf("app.fn.ns.fn.id-%d", i%1000), data, jetstream.WithStallWait(time.Minute)); err != nil {
					b.Fatal(err)
				}
			}
			<-js.PublishAsyncComplete()
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "msg/s")
			s, err := js.Stream(b.Context(), "APP_MAILBOX")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(i)/float64(s.CachedInfo().State.LastSeq), "msg/stored")
		})
	}
}
