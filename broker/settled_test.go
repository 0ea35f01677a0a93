package broker_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/groupsync"
)

var errBroken = errors.New("broken disk")

const syncTime = 100 * time.Millisecond

// openSynced opens an application whose disk takes syncTime for a sync. From
// the moment that breaks is called they fail.
func openSynced(t *testing.T, js jetstream.JetStream) (app *broker.App, breaks func()) {
	t.Helper()
	broken := make(chan struct{})
	syncer := groupsync.New(func() error {
		time.Sleep(syncTime)
		select {
		case <-broken:
			return errBroken
		default:
			return nil
		}
	}, nil)
	t.Cleanup(syncer.Close)
	app = brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4, Gate: true, Syncer: syncer})
	return app, func() { close(broken) }
}

func send(ctx context.Context, app *broker.App, id string) error {
	_, err := app.Send(ctx, broker.SendRequest{Target: actor.Address{Type: actor.TypeName{Namespace: "ns", Name: "f"}, ID: id}, Value: actor.Value{Type: "a/b"}})
	return err
}

// feed hands on the ids that are delivered, and then its own error.
func feed(ctx context.Context, app *broker.App) (ids chan string, ended chan error) {
	ids, ended = make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- app.Feed(ctx, actor.SourceMailbox, "worker", 1, nil, func(_ context.Context, _ int, d actor.Delivery) error {
			for _, in := range d.Inputs {
				ids <- in.Envelope.Target.ID
			}
			return nil
		})
	}()
	return ids, ended
}

func TestTheRemovalOfDeadLettersIsSyncedBeforeItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app, breaks := openSynced(t, js)
		sink := app.Ports(0).DeadLetters
		mark := mustMark(t, sink, 0)
		for i := range 4 {
			mustPublish(t, sink, letter(0, i, "f", strconv.Itoa(i)), mark)
		}
		page, _, err := app.Letters(t.Context(), actor.TypeName{}, 0, 10)
		if err != nil || len(page) != 4 {
			t.Fatalf("Letters = %d, %v, want 4", len(page), err)
		}
		time.Sleep(time.Second)
		took := func(what string, remove func() error) {
			t.Helper()
			start := time.Now()
			if err := remove(); err != nil || time.Since(start) < syncTime {
				t.Errorf("%s = %v after %v, want nil after a sync of %v", what, err, time.Since(start), syncTime)
			}
		}
		all := func() error {
			_, err := app.DropLetters(t.Context(), actor.TypeName{Namespace: "ns", Name: "f"}, page[2].Seq)
			return err
		}
		took("DropLetter", func() error { return app.DropLetter(t.Context(), page[0].Seq) })
		took("DropLetters", all)
		mustPublish(t, sink, letter(0, 4, "f", "4"), mark)
		breaks()
		if err := app.DropLetter(t.Context(), page[3].Seq); !errors.Is(err, errBroken) {
			t.Errorf("DropLetter when the sync fails = %v, want %v", err, errBroken)
		}
		if _, err := app.DropLetters(t.Context(), actor.TypeName{}, math.MaxInt64); !errors.Is(err, errBroken) {
			t.Errorf("DropLetters when the sync fails = %v, want %v", err, errBroken)
		}
	})
}

func TestNothingIsAnsweredOrFedBeforeItIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app, _ := openSynced(t, js)
		gatherInBubble(t, app, js.Conn())
		ctx, cancel := context.WithCancel(t.Context())
		ids, ended := feed(ctx, app)
		synctest.Wait()
		start := time.Now()
		sent := make(chan time.Duration, 3)
		for _, id := range []string{"a", "b", "c"} {
			go func() {
				if err := send(ctx, app, id); err != nil {
					t.Error(err)
				}
				sent <- time.Since(start)
			}()
		}
		var got []string
		for range 3 {
			got = append(got, <-ids)
			if at := time.Since(start); at < syncTime {
				t.Errorf("fed after %v, before it can be synced", at)
			}
			if at := <-sent; at < syncTime || at > 4*syncTime {
				t.Errorf("answered after %v, a sync takes %v", at, syncTime)
			}
		}
		if slices.Sort(got); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("fed %v", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatCanNotBeSyncedIsNotRestedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app, breaks := openSynced(t, brokertest.Start(t))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		gathered := make(chan error, 1)
		go func() { gathered <- app.Gather(ctx, func() {}) }()
		ids, ended := feed(ctx, app)
		synctest.Wait()
		if err := send(ctx, app, "a"); err != nil {
			t.Fatal(err)
		}
		<-ids
		breaks()
		if err := send(ctx, app, "b"); err == nil {
			t.Error("a message counts as stored that is not synced")
		}
		select {
		case err := <-gathered:
			if !errors.Is(err, errBroken) {
				t.Errorf("the gate ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the gate goes on")
		}
		limited, end := context.WithTimeout(ctx, time.Minute)
		defer end()
		if err := app.Lease().Acquire(limited, "worker", false, nil); err == nil {
			t.Error("the lease counts as taken")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(ids) > 0 {
			t.Errorf("%s was fed", <-ids)
		}
	})
}

// largeMessages never end.
type largeMessages struct{ read atomic.Int64 }

type largeMessage struct {
	jetstream.Msg
	data []byte
}

func (m largeMessage) Data() []byte { return m.data }

func (l *largeMessages) Next(...jetstream.NextOpt) (jetstream.Msg, error) {
	l.read.Add(1)
	return largeMessage{data: make([]byte, 1<<20)}, nil
}

func TestWhatIsReadAheadOfASyncIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		syncer := groupsync.New(func() error { return nil }, nil)
		defer syncer.Close()
		from := &largeMessages{}
		synced, end := broker.Settle(t.Context(), from, syncer)
		defer end()
		synctest.Wait()
		if n := from.read.Load(); n < 2 || n > 17 {
			t.Errorf("%d messages of 1 MiB were read though nobody takes one", n)
		}
		for range 100 {
			if m, err := synced.Next(); err != nil || len(m.Data()) != 1<<20 {
				t.Fatalf("Next = %v, %v", m, err)
			}
		}
	})
}
