package broker_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// wantRefused checks an error of JetStream.
func wantRefused(t *testing.T, what string, err error, code jetstream.ErrorCode) {
	t.Helper()
	if api := (*jetstream.APIError)(nil); !errors.As(err, &api) || api.ErrorCode != code {
		t.Errorf("%s = %v, want JetStream error %d", what, err, code)
	}
}

func TestOutsideMessagesAreRefusedAsLongAsOnlyTheReserveIsLeft(t *testing.T) {
	for name, synced := range map[string]bool{"each message is synced": false, "many share a sync": true} {
		t.Run(name, func(t *testing.T) { refusedForTheReserve(t, synced) })
	}
}

func refusedForTheReserve(t *testing.T, synced bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var room atomic.Int64
		room.Store(math.MaxInt64)
		js := brokertest.Start(t)
		cfg := broker.Config{Room: room.Load}
		if synced {
			cfg.Syncer = anySyncer(t)
		}
		app, _ := gatedInBubble(t, js, cfg)
		publish(t, js, "app.fn.ns.fn.a", "x", "Nats-Msg-Id", "1")
		publish(t, js, "app.ingress.shop.orders.k", "kept")

		room.Store(0)
		time.Sleep(2 * time.Second)
		_, err := js.PublishMsg(t.Context(), outsideMessage("a", "y", "Nats-Msg-Id", "2"))
		wantRefused(t, "publish", err, 10023)
		_, err = js.Publish(t.Context(), "app.ingress.shop.orders.k", []byte("refused"))
		wantRefused(t, "publish to an ingress", err, 10077)
		_, err = app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}})
		if !errors.Is(err, broker.ErrRefused) || !strings.Contains(err.Error(), "no storage left") {
			t.Errorf("Send = %v, want ErrRefused and why", err)
		}
		if ack, err := js.PublishMsg(t.Context(), outsideMessage("a", "x", "Nats-Msg-Id", "1")); err != nil || !ack.Duplicate {
			t.Errorf("publish of what is stored already = %+v, %v, want a duplicate", ack, err)
		}

		room.Store(1 << 20)
		time.Sleep(3 * time.Second)
		if ack, err := js.PublishMsg(t.Context(), outsideMessage("a", "y", "Nats-Msg-Id", "2")); err != nil || ack.Duplicate {
			t.Errorf("publish when there is room again = %+v, %v", ack, err)
		}
		publish(t, js, "app.ingress.shop.orders.k", "taken")
		info := streamInfo(t, js, "APP_INGRESS")
		if info.State.Msgs != 2 || info.Config.MaxBytes > 0 || info.Config.Discard != jetstream.DiscardOld {
			t.Errorf("the ingress stream has %d records, %+v, want two and no limit", info.State.Msgs, info.Config)
		}
	})
}

func streamInfo(t *testing.T, js jetstream.JetStream, name string) *jetstream.StreamInfo {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo()
}

func TestABurstTakesNoMoreThanThereIsRoomFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		gatedInBubble(t, js, broker.Config{Room: func() int64 { return 10_000 }})
		var taken int
		var futures []jetstream.PubAckFuture
		for i := range 100 { // before it is looked again
			f, err := js.PublishMsgAsync(outsideMessage("a", strconv.Itoa(i)))
			if err != nil {
				t.Fatal(err)
			}
			futures = append(futures, f)
		}
		for _, f := range futures {
			select {
			case <-f.Ok():
				taken++
			case err := <-f.Err():
				wantRefused(t, "publish", err, 10023)
			}
		}
		if taken < 5 || taken > 50 {
			t.Errorf("%d of 100 messages were taken, want about 30", taken)
		}
	})
}

func TestAnIngressStreamThatTookNothingTakesRecordsAtTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var room atomic.Int64
		js := brokertest.Start(t)
		_, end := gatedInBubble(t, js, broker.Config{Room: room.Load})
		_, err := js.Publish(t.Context(), "app.ingress.shop.orders.k", []byte("x"))
		wantRefused(t, "publish without room", err, 10077)
		end()
		room.Store(math.MaxInt64)
		gatedInBubble(t, js, broker.Config{Room: room.Load})
		publish(t, js, "app.ingress.shop.orders.k", "x")
	})
}

func TestTheReserveIsATwentiethAndBounded(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int64]int64{20 << 20: 1 << 20, 1 << 30: 1 << 30 / 20, 1 << 40: 64 << 20} {
		if got := broker.Reserve(limit); got != want {
			t.Errorf("Reserve(%d) = %d, want %d", limit, got, want)
		}
	}
}

func TestAServersRoomIsWhatIsLeftWithoutTheReserve(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	app := brokertest.Open(t, brokertest.Connect(t, srv), broker.Config{App: "app", Partitions: 1})
	before := srv.Room()
	if _, limit := srv.Stored(); before > limit-broker.Reserve(limit) || before < limit/2 {
		t.Errorf("Room = %d of %d", before, limit)
	}
	const size = 100_000
	if _, err := app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b", Data: make([]byte, size)}}); err != nil {
		t.Fatal(err)
	}
	if took := before - srv.Room(); took < size || took > 2*size {
		t.Errorf("a message of %d bytes took %d of the room", size, took)
	}
}
