package broker_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestPopTakesEachRecordOnceInOrder(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	first := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	second := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	out := actor.TypeName{Namespace: "io.statefun.playground", Name: "egress"}
	if _, ok, err := first.PopEgress(t.Context(), out, "greetings"); ok || err != nil {
		t.Errorf("PopEgress of nothing = %v, %v, want false", ok, err)
	}
	for i := range 6 {
		publish(t, js, "app.egress.io=2Estatefun=2Eplayground.egress.greetings", strconv.Itoa(i))
		publish(t, js, "app.egress.io=2Estatefun=2Eplayground.egress.other", "other")
	}
	for i := range 6 {
		app := []*broker.App{first, second}[i%2]
		data, ok, err := app.PopEgress(t.Context(), out, "greetings")
		if err != nil || !ok || string(data) != strconv.Itoa(i) {
			t.Errorf("PopEgress %d = %q, %v, %v", i, data, ok, err)
		}
	}
	if data, ok, err := first.PopEgress(t.Context(), out, "greetings"); ok || err != nil {
		t.Errorf("PopEgress at the end = %q, %v, %v, want false", data, ok, err)
	}
}

func TestEachRecordIsPoppedByOneReader(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	out := actor.TypeName{Namespace: "ns", Name: "out"}
	const records = 40
	for i := range records {
		publish(t, js, "app.egress.ns.out.k", strconv.Itoa(i))
	}
	var mu sync.Mutex
	popped := map[string]int{}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				data, ok, err := app.PopEgress(t.Context(), out, "k")
				if err != nil {
					t.Errorf("PopEgress = %v", err)
					return
				}
				if !ok {
					return
				}
				mu.Lock()
				popped[string(data)]++
				mu.Unlock()
			}
		})
	}
	readers.Wait()
	if len(popped) != records {
		t.Errorf("records popped = %d, want %d", len(popped), records)
	}
	for s, n := range popped {
		if n != 1 {
			t.Errorf("record %s popped %d times, want once", s, n)
		}
	}
}

func TestTailShowsEgressMessagesButNoMarkers(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	publish(t, js, "app.egress.ns.old", "before")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := app.Ports(0).Egress
	mark := mustMark(t, s, 0)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	go func() {
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.Publish(actortest.Egress(actor.SinkID{Commit: 1, Index: i}), mark, func(actor.WriteResult) {})
				s.Mark(nil, mark+1000, func(actor.WriteResult) {})
			}
		}
	}()
	count := 0
	err := app.TailEgress(ctx, func(subject string, h nats.Header, data []byte) error {
		if subject != "app.egress.ns.out.key=201" || h.Get("Jetfn-Type") != "a/b" || string(data) != "x" {
			t.Errorf("tail shows %s %v %q", subject, h, data)
		}
		if count++; count == 3 {
			cancel()
		}
		return nil
	})
	if err != nil || count < 3 {
		t.Errorf("TailEgress = %v after %d messages", err, count)
	}
}
