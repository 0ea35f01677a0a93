package jspub_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/groupsync"
	"github.com/jetfn/jetfn/internal/jspub"
)

var errBroken = errors.New("broken disk")

// openSynced is open with a disk whose syncs take a second. From the moment
// that breaks is called they fail.
func openSynced(t *testing.T) (p *jspub.Publisher, stream jetstream.Stream, breaks func()) {
	t.Helper()
	js := brokertest.Start(t)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "S", Subjects: []string{"s.>"}, AllowAtomicPublish: true, AllowBatchPublish: true, MaxMsgSize: 500,
	})
	if err != nil {
		t.Fatal(err)
	}
	broken := make(chan struct{})
	syncer := groupsync.New(func() error {
		time.Sleep(time.Second)
		select {
		case <-broken:
			return errBroken
		default:
			return nil
		}
	}, nil)
	if p, err = jspub.NewSynced(js.Conn(), 0, syncer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(syncer.Close)
	t.Cleanup(p.Close)
	return p, stream, func() { close(broken) }
}

func TestAnAcknowledgementIsPassedOnWhenItsMessageIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := openSynced(t)
		start := time.Now()
		told := make(chan string, 4)
		for i, m := range []*nats.Msg{
			{Subject: "s.a"},
			{Subject: "s.b"},
			{Subject: "s.c", Data: make([]byte, 501)},
			{Subject: "s.a", Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"7"}}},
		} {
			p.Publish(m, func(a jspub.Ack) { told <- fmt.Sprintf("%d is %d after %v", i, a.Outcome, time.Since(start)) })
			synctest.Wait()
		}
		want := []string{ // a sync that began after the first acknowledgement is for that one alone
			fmt.Sprintf("0 is %d after 1s", actor.Stored), fmt.Sprintf("1 is %d after 2s", actor.Stored),
			fmt.Sprintf("2 is %d after 2s", actor.Refused), fmt.Sprintf("3 is %d after 2s", actor.Rejected),
		}
		for _, w := range want {
			if got := <-told; got != w {
				t.Errorf("write %s, want %s", got, w)
			}
		}
	})
}

func TestWhatIsStoredAndNotSyncedIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, breaks := openSynced(t)
		if ack := do(t, p, "s.a", nil); ack.Outcome != actor.Stored {
			t.Fatalf("publish = %+v", ack)
		}
		breaks()
		if ack := do(t, p, "s.a", nil); ack.Outcome != actor.Unknown || !errors.Is(ack.Err, errBroken) {
			t.Errorf("publish = %+v", ack)
		}
		if ack := do(t, p, "s.a", nil, "Nats-Expected-Last-Subject-Sequence", "7"); ack.Outcome != actor.Unknown || !errors.Is(ack.Err, errBroken) {
			t.Errorf("what is in the way may be gone: %+v", ack)
		}
		if ack := do(t, p, "s.a", make([]byte, 501)); ack.Outcome != actor.Refused {
			t.Errorf("refused publish = %+v", ack)
		}
	})
}

func TestABatchThatIsStoredAndNotSyncedIsUnknown(t *testing.T) {
	t.Parallel()
	p, stream, breaks := openSynced(t)
	breaks()
	for name, w := range map[string]*jspub.Writer{"fast": p.NewFastWriter(stream), "atomic": p.NewWriter(stream, true)} {
		for i, r := range writeAll(t, w, 100, func(i int) *jspub.Write { return numbered(i) }) {
			if r.Outcome != actor.Unknown || !errors.Is(r.Err, errBroken) {
				t.Fatalf("%s: write %d = %+v", name, i, r)
			}
		}
	}
}
