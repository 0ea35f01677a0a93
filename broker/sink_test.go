package broker_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func mustMark(t *testing.T, s actor.Sink, after uint64) uint64 {
	t.Helper()
	r := actortest.Await(t, func(done func(actor.WriteResult)) { s.Mark([]byte("m"), after, done) })
	if r.Outcome != actor.Stored {
		t.Fatalf("Mark = %+v", r)
	}
	return r.Seq
}

func mustPublish(t *testing.T, s actor.Sink, m actor.SinkMessage, mark uint64) uint64 {
	t.Helper()
	r := actortest.Await(t, func(done func(actor.WriteResult)) { s.Publish(m, mark, done) })
	if r.Outcome != actor.Stored {
		t.Fatalf("Publish = %+v", r)
	}
	return r.Seq
}

func stored(t *testing.T, js jetstream.JetStream, stream string, seq uint64) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEgressMessagesCarryWhatTheirReadersNeed(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", EgressPrefix: map[actor.TypeName]string{
		{Namespace: "own", Name: "out"}: "orders.done", {Namespace: "all", Name: "*"}: "shop",
	}})
	s := app.Ports(5).Egress
	mark := mustMark(t, s, 0)
	id := actor.SinkID{Partition: 5, Epoch: 2, Commit: 7, Index: 3}
	wantID := app.Incarnation() + "-5-2-7-3"
	for name, c := range map[string]struct {
		m       actor.EgressMessage
		subject string
		headers map[string]string
	}{
		"bare":   {actor.EgressMessage{ID: actor.TypeName{Namespace: "ns", Name: "o.ut"}}, "app.egress.ns.o=2Eut", nil},
		"full":   {actor.EgressMessage{ID: actor.TypeName{Namespace: "ns", Name: "out"}, Key: "k 1\n", Topic: "t", Value: actor.Value{Type: "a/b", Data: []byte("x")}}, "app.egress.ns.out.k=201=0A", map[string]string{"Jetfn-Type": "a/b", "Jetfn-Key": "k 1%0A", "Jetfn-Topic": "t"}},
		"own":    {actor.EgressMessage{ID: actor.TypeName{Namespace: "own", Name: "out"}}, "orders.done", nil},
		"keyed":  {actor.EgressMessage{ID: actor.TypeName{Namespace: "own", Name: "out"}, Key: "k"}, "orders.done.k", map[string]string{"Jetfn-Key": "k"}},
		"all":    {actor.EgressMessage{ID: actor.TypeName{Namespace: "all", Name: "x"}, Key: "k"}, "shop.x.k", map[string]string{"Jetfn-Key": "k"}},
		"a long": {actor.EgressMessage{ID: actor.TypeName{Namespace: "ns", Name: "out"}, Key: strings.Repeat("ü", 2000)}, "app.egress.ns.out." + strings.Repeat("=C3=BC", 166) + "=C3", map[string]string{"Jetfn-Key": strings.Repeat("ü", 2000)}},
	} {
		id.Index++
		wantID = strings.TrimRight(wantID, "0123456789") + string(rune('0'+id.Index))
		seq := mustPublish(t, s, actor.SinkMessage{ID: id, Source: address("ns", "fn", "a/b"), Trace: actor.Trace{Parent: trace, State: "k=v"}, Egress: &c.m}, mark)
		got := stored(t, js, "APP_EGRESS", seq)
		if got.Subject != c.subject || string(got.Data) != string(c.m.Value.Data) {
			t.Errorf("%s: stored at %s with %q, want %s with %q", name, got.Subject, got.Data, c.subject, c.m.Value.Data)
		}
		want := nats.Header{"Jetfn-Id": {wantID}, "Nats-Msg-Id": {wantID}, "Jetfn-Source": {"ns/fn/a/b"}, "traceparent": {trace}, "tracestate": {"k=v"}}
		for k, v := range c.headers {
			want[k] = []string{v}
		}
		for k := range got.Header {
			if strings.HasPrefix(k, "Nats-Expected") {
				delete(got.Header, k)
			}
		}
		if diff := cmp.Diff(want, got.Header); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", name, diff)
		}
	}
}

func TestDeadLettersAreRecordsForPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	s := app.Ports(5).DeadLetters
	mark := mustMark(t, s, 0)
	m := actor.SinkMessage{
		ID: actor.SinkID{Partition: 5, Epoch: 2, Commit: 7}, Source: address("ns", "fn", "a/b c"), Time: 1700000000999,
		DeadLetter: &actor.DeadLetter{
			Envelope: actor.Envelope{Target: address("ns", "fn", "a/b c"), Caller: address("ns", "g", "x"), Value: actor.Value{Type: "a/b", Data: []byte("hi<>")}, Trace: actor.Trace{Parent: trace}},
			Reason:   actor.ReasonStatus, Error: `500: "no"`, HTTPStatus: 500, Endpoint: "http://h/", Attempts: 10, FirstAt: 1700000000001, LastAt: 1700000000100,
		},
	}
	got := stored(t, js, "APP_DLQ", mustPublish(t, s, m, mark))
	want := `{"id":"` + app.Incarnation() + `-5-2-7-0","address":"ns/fn/a/b c","caller":"ns/g/x","type":"a/b","value":"aGk8Pg==","reason":"status","error":"500: \"no\"","httpStatus":500,"attempts":10,"firstAt":"2023-11-14T22:13:20.001Z","lastAt":"2023-11-14T22:13:20.100Z","endpoint":"http://h/","traceId":"0af7651916cd43dd8448eb211c80319c"}`
	if string(got.Data) != want || got.Subject != "app.dlq.ns.fn.a=2Fb=20c" {
		t.Errorf("dead letter at %s:\n%s\nwant\n%s", got.Subject, got.Data, want)
	}
	m.ID.Index = 1
	m.DeadLetter = &actor.DeadLetter{Envelope: actor.Envelope{Target: address("ns", "fn", strings.Repeat("x", 3800))}, Reason: actor.ReasonBadAddress, Error: "too long"}
	got = stored(t, js, "APP_DLQ", mustPublish(t, s, m, mark))
	want = `"firstAt":"2023-11-14T22:13:20.999Z","lastAt":"2023-11-14T22:13:20.999Z","traceId":""}`
	if !strings.HasSuffix(string(got.Data), want) || got.Subject != "app.dlq.ns.fn."+strings.Repeat("x", 1000) {
		t.Errorf("dead letter at %s:\n%s", got.Subject, got.Data)
	}
	m.ID.Index = 2
	m.DeadLetter = &actor.DeadLetter{Reason: actor.ReasonBadAddress, Envelope: actor.Envelope{Value: actor.Value{Data: make([]byte, 1<<20)}}}
	got = stored(t, js, "APP_DLQ", mustPublish(t, s, m, mark))
	var record struct {
		Value      []byte `json:"value"`
		ValueBytes int    `json:"valueBytes"`
	}
	if err := json.Unmarshal(got.Data, &record); err != nil || len(record.Value) != 0 || record.ValueBytes != 1<<20 || got.Subject != "app.dlq.=.=.=" {
		t.Errorf("dead letter of 1 MiB at %s: %s, %v", got.Subject, got.Data, err)
	}
}

func TestAFullEgressStreamRefuses(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", EgressMaxBytes: 4096})
	s := app.Ports(0).Egress
	mark := mustMark(t, s, 0)
	for i := range 100 {
		r := actortest.Await(t, func(done func(actor.WriteResult)) {
			s.Publish(actortest.Egress(actor.SinkID{Commit: 1, Index: i}), mark, done)
		})
		if r.Outcome == actor.Stored {
			continue
		}
		if r.Outcome != actor.Refused || !strings.Contains(r.Err.Error(), "maximum bytes exceeded") || i == 0 {
			t.Errorf("Publish %d = %+v, want Refused for maximum bytes", i, r)
		}
		return
	}
	t.Error("100 messages went into a stream of 4 KiB")
}

func TestConcurrentScansOfManyPartitionsAreEachComplete(t *testing.T) {
	t.Parallel()
	app := open(t)
	const partitions, each = 16, 20
	var g errgroup.Group
	counts := make([]int, partitions)
	for p := range partitions {
		g.Go(func() error {
			s := app.Ports(p).Egress
			mark := mustMark(t, s, 0)
			for i := range each {
				mustPublish(t, s, actortest.Egress(actor.SinkID{Partition: p, Epoch: 1, Commit: 1, Index: i}), mark)
			}
			fence := mustMark(t, s, mark)
			ids, err := s.Scan(t.Context(), mark, fence)
			for i, id := range ids {
				if id.Partition != p || id.Index != i {
					t.Errorf("partition %d finds %+v as its number %d", p, id, i)
				}
			}
			counts[p] = len(ids)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for p, n := range counts {
		if n != each {
			t.Errorf("partition %d finds %d messages, want %d", p, n, each)
		}
	}
}

func TestTwoJournalsDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	app := open(t)
	one, eleven := app.Ports(1).Journal, app.Ports(11).Journal
	put := func(j actor.Journal, after uint64) uint64 {
		r := actortest.Await(t, func(done func(actor.WriteResult)) { j.Append([]byte("x"), after, done) })
		if r.Outcome != actor.Stored {
			t.Fatalf("Append = %+v", r)
		}
		return r.Seq
	}
	a := put(one, 0)
	b := put(eleven, 0)
	a2 := put(one, a)
	if err := one.Purge(t.Context(), a2); err != nil {
		t.Fatal(err)
	}
	if e, err := eleven.Next(t.Context(), 0); err != nil || e.Seq != b {
		t.Errorf("Next of the other journal = %+v, %v, want record %d", e, err, b)
	}
	put(eleven, b)
}

func TestMessagesThatPileUpAreStoredInOrderWithoutIdsOfTheServer(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 8})
	const partitions, each = 8, 200
	marks := make([]uint64, partitions)
	for p := range partitions {
		marks[p] = mustMark(t, app.Ports(p).Egress, 0)
	}
	id := func(i int) actor.SinkID {
		return actor.SinkID{Partition: i % partitions, Epoch: 1, Commit: 1, Index: i / partitions}
	}
	results := actortest.AwaitAll(t, partitions*each, func(i int, done func(actor.WriteResult)) {
		app.Ports(i%partitions).Egress.Publish(actortest.Egress(id(i)), marks[i%partitions], done)
	})
	bare := 0
	for i, r := range results {
		if want := uint64(partitions + 1 + i); r.Outcome != actor.Stored || r.Seq != want {
			t.Fatalf("message %d = %+v, want it stored at %d", i, r, want)
		}
		m := stored(t, js, "APP_EGRESS", r.Seq)
		n := id(i)
		want := fmt.Sprintf("%s-%d-1-1-%d", app.Incarnation(), n.Partition, n.Index)
		if got := m.Header.Get("Jetfn-Id"); got != want || m.Header.Get("Jetfn-Source") == "" || m.Header.Get("Jetfn-Type") == "" {
			t.Fatalf("at %d there is %s with headers %v, want %s", r.Seq, got, m.Header, want)
		}
		switch m.Header.Get("Nats-Msg-Id") {
		case "":
			bare++
		case want:
		default:
			t.Fatalf("message %d has headers %v", i, m.Header)
		}
	}
	if bare == 0 || bare == len(results) {
		t.Errorf("%d of %d messages have no Nats-Msg-Id; the first has one, and most have none", bare, len(results))
	}
}

func TestEgressStopsAtANewConnectionUntilTheNextMark(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	s := brokertest.Open(t, js.Conn(), broker.Config{App: "app"}).Ports(0).Egress
	mark := mustMark(t, s, 0)
	mustPublish(t, s, actortest.Egress(actor.SinkID{Epoch: 1, Commit: 1}), mark)
	again := make(chan struct{}, 1)
	js.Conn().SetReconnectHandler(func(*nats.Conn) { again <- struct{}{} })
	if err := js.Conn().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	<-again
	r := actortest.Await(t, func(done func(actor.WriteResult)) {
		s.Publish(actortest.Egress(actor.SinkID{Epoch: 1, Commit: 2}), mark, done)
	})
	if r.Outcome != actor.Unknown {
		t.Errorf("Publish over another connection than the marker's = %+v, want Unknown", r)
	}
	mustPublish(t, s, actortest.Egress(actor.SinkID{Epoch: 1, Commit: 3}), mustMark(t, s, mark))
}
