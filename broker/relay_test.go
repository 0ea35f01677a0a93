package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/groupsync"
)

// anySyncer says that all is synced.
func anySyncer(t *testing.T) *groupsync.Syncer {
	t.Helper()
	s := groupsync.New(func() error { return nil }, nil)
	t.Cleanup(s.Close)
	return s
}

// relayed is an application whose ingress records come in through a relay.
func relayed(t *testing.T, js jetstream.JetStream, cfg broker.Config) (app *broker.App, end func()) {
	t.Helper()
	cfg.App, cfg.Gate, cfg.Syncer = "app", true, anySyncer(t)
	app = brokertest.Open(t, js.Conn(), cfg)
	return app, brokertest.Gather(t, app)
}

// told is what a publisher to an ingress may be told.
type told struct {
	Stream    string
	Seq       uint64
	Duplicate bool
	Error     struct {
		Code    int
		ErrCode int `json:"err_code"`
	}
}

// ask publishes m over nc and returns the answer.
func ask(t *testing.T, nc *nats.Conn, m *nats.Msg) told {
	t.Helper()
	answer, err := nc.RequestMsg(m, patience)
	if err != nil {
		t.Fatalf("publish to %s: %v", m.Subject, err)
	}
	var got told
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		t.Fatalf("answer %q to a publish to %s: %v", answer.Data, m.Subject, err)
	}
	return got
}

func record(key string, headers ...string) *nats.Msg {
	h := nats.Header{}
	for i := 0; i < len(headers); i += 2 {
		h[headers[i]] = []string{headers[i+1]}
	}
	return &nats.Msg{Subject: "app.ingress.ns.in." + key, Header: h, Data: []byte("x")}
}

func TestAnIngressRecordIsAcknowledgedOnceItIsSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app, breaks := openSynced(t, js)
		gatherInBubble(t, app, js.Conn())
		start := time.Now()
		limited, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := js.Conn().RequestWithContext(limited, "app.ingress.ns.in.k", nil); err != nil {
			t.Error(err)
		}
		if at := time.Since(start); at < syncTime || at > 3*syncTime {
			t.Errorf("answered after %v, a sync takes %v", at, syncTime)
		}
		breaks()
		if _, err := js.Conn().RequestWithContext(limited, "app.ingress.ns.in.k", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the answer to what can't be synced is %v, want none", err)
		}
	})
}

func TestARelayAnswersAsTheStreamWould(t *testing.T) {
	t.Parallel()
	answers := func(t *testing.T, js jetstream.JetStream) []told {
		t.Helper()
		var all []told
		for _, m := range []*nats.Msg{
			record("a", "Nats-Msg-Id", "1"),
			record("b"),
			record("a", "Nats-Msg-Id", "1"),
			record("a", "Nats-Expected-Stream", "OTHER"),
			record("a", "Nats-Expected-Last-Sequence", "1"),
			record("a", "Nats-Expected-Last-Sequence", "2"),
			record("a", "Nats-Expected-Last-Subject-Sequence", "7"),
			record("a", "Nats-Rollup", "all"),
			record("a", "Nats-Batch-Id", "x", "Nats-Batch-Sequence", "1"),
			record("two.tokens"),
		} {
			all = append(all, ask(t, js.Conn(), m))
		}
		return all
	}
	direct, through := brokertest.Start(t), brokertest.Start(t)
	brokertest.Open(t, direct.Conn(), broker.Config{App: "app", Partitions: 4})
	relayed(t, through, broker.Config{Partitions: 4})
	want, got := answers(t, direct), answers(t, through)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-stream +relay):\n%s", diff)
	}
	if !got[2].Duplicate || got[3].Error.Code == 0 || got[4].Error.Code == 0 || got[5].Seq != 3 {
		t.Errorf("answers: %+v", got)
	}
}

func TestARelayTakesNoFastBatchesAndAnswersNowhereInside(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app, _ := relayed(t, js, broker.Config{Partitions: 1})
	nc := js.Conn()
	sub, err := nc.SubscribeSync("answers.>")
	if err != nil {
		t.Fatal(err)
	}
	inside, err := nc.SubscribeSync("app.inbox.>")
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"app.inbox.0.ns.in.forged", "answers.id.1000.fail.1.0.$FI", "answers.last"} {
		if err := nc.PublishMsg(&nats.Msg{Subject: "app.ingress.ns.in.k", Reply: reply, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`"err_code":10205`, `"seq":2`} {
		m, err := sub.NextMsg(patience)
		if err != nil || !strings.Contains(string(m.Data), want) {
			t.Fatalf("answered %+v, %v, want %s", m, err, want)
		}
	}
	for range 2 {
		if m, err := inside.NextMsg(patience); err != nil || m.Subject != "app.inbox.0.ns.in.k" {
			t.Errorf("%+v, %v was handed on", m, err)
		}
	}
	if got := read(t, app, actor.SourceIngress, 1, 2, toNobody); len(got) != 2 {
		t.Errorf("%d records are stored", len(got))
	}
}

func toNobody(actor.TypeName, uint64) ([]actor.TypeName, string, bool) { return nil, "", false }

func TestBeyondWhatARelayMayHoldRecordsAreRefused(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	var holds atomic.Bool
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	syncer := groupsync.New(func() error {
		if holds.Load() {
			<-held
		}
		return nil
	}, nil)
	t.Cleanup(syncer.Close)
	t.Cleanup(release) // else a test that fails would never end
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 1, Gate: true, GateBytes: 4000, Syncer: syncer})
	brokertest.Gather(t, app)
	answers, err := js.Conn().SubscribeSync("answers")
	if err != nil {
		t.Fatal(err)
	}
	publish := func() {
		t.Helper()
		m := record("k")
		m.Reply, m.Data = "answers", make([]byte, 1000)
		if err := js.Conn().PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want string) {
		t.Helper()
		if m, err := answers.NextMsg(patience); err != nil || !strings.Contains(string(m.Data), want) {
			t.Fatalf("answer %+v, %v, want %s", m, err, want)
		}
	}
	holds.Store(true)
	for range 4 {
		publish()
	}
	next(`"code":429`) // three have room
	holds.Store(false)
	release()
	for i := range 3 {
		next(fmt.Sprintf(`"seq":%d`, i+1))
	}
	publish()
	next(`"seq":4`)
}

func TestTheIngressFollowsTheModeItIsOpenedIn(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	for round, relay := range []bool{false, true, true, false} {
		cfg := broker.Config{App: "app", Partitions: 4}
		want, end := "app.ingress.>", func() {}
		if relay {
			cfg.Gate, cfg.Syncer, want = true, anySyncer(t), "app.inbox.>"
		}
		app := brokertest.Open(t, js.Conn(), cfg)
		if relay {
			end = brokertest.Gather(t, app)
		}
		if got := ask(t, js.Conn(), record("k")); got.Seq != uint64(round)+1 {
			t.Errorf("answer in round %d: %+v", round, got)
		}
		stream, err := js.Stream(t.Context(), "APP_INGRESS")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(stream.CachedInfo().Config.Subjects, " "); got != want {
			t.Errorf("subjects in round %d = %s, want %s", round, got, want)
		}
		for i, r := range read(t, app, actor.SourceIngress, 1, round+1, toNobody) {
			if r.Partition != actor.PartitionOf("k", 4) {
				t.Errorf("record %d of round %d is for partition %d", i, round, r.Partition)
			}
		}
		end()
	}
}

func TestWhatARelayHasTakenIsAnsweredWhenItEnds(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	_, end := relayed(t, js, broker.Config{Partitions: 4})
	nc, err := js.Conn().Opts.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answers, err := nc.SubscribeSync("answers")
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	for range n {
		if err := nc.PublishRequest("app.ingress.ns.in.k", "answers", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	end()
	if _, err := nc.Request("app.ingress.ns.in.k", nil, patience); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("after its end a publish = %v, want %v", err, nats.ErrNoResponders)
	}
	for i := range n {
		if m, err := answers.NextMsg(patience); err != nil || !strings.Contains(string(m.Data), `"seq"`) || strings.Contains(string(m.Data), "error") {
			t.Fatalf("answer %d: %+v, %v", i, m, err)
		}
	}
}
