package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// letter is a dead letter of the function ns/<name> with an index of its own.
func letter(partition, index int, name, id string) actor.SinkMessage {
	return actor.SinkMessage{
		ID: actor.SinkID{Partition: partition, Epoch: 1, Commit: uint64(1 + index/3), Index: index % 3}, Time: 1_700_000_000_000, Trace: actor.Trace{Parent: trace, State: "k=v"},
		DeadLetter: &actor.DeadLetter{
			Envelope: actor.Envelope{
				Target: address("ns", name, id), Caller: address("ns", "from", "c/d"), Value: actor.Value{Type: "a/b", Data: []byte(id)},
				Trace: actor.Trace{Parent: trace, State: "k=v"},
			},
			Reason: actor.ReasonStatus, Error: "status 500: boom", HTTPStatus: 500, Attempts: 3, FirstAt: 1_700_000_000_001, LastAt: 1_700_000_000_002,
		},
	}
}

func sinkID(app *broker.App, m *actor.SinkMessage) string {
	return fmt.Sprintf("%s-%d-%d-%d-%d", app.Incarnation(), m.ID.Partition, m.ID.Epoch, m.ID.Commit, m.ID.Index)
}

func ids(letters []broker.StoredLetter) []string {
	out := make([]string, len(letters))
	for i := range letters {
		out[i] = letters[i].ID
	}
	return out
}

func TestDeadLettersAreFoundByIDByFunctionAndByPage(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	var all, odd []string
	for p := range 2 {
		sink := app.Ports(p).DeadLetters
		mark := mustMark(t, sink, 0)
		for i := range 40 {
			name := []string{"even", "odd"}[i%2]
			m := letter(p, i, name, strconv.Itoa(i))
			mustPublish(t, sink, m, mark)
			all = append(all, sinkID(app, &m))
			if i%2 == 1 {
				odd = append(odd, sinkID(app, &m))
			}
		}
	}
	for _, limit := range []int{1, 7, 39, 40, 1000} {
		for function, want := range map[actor.TypeName][]string{{}: all, {Namespace: "ns", Name: "odd"}: odd, {Namespace: "ns", Name: "none"}: nil} {
			var got []string
			for after := uint64(0); ; {
				page, more, err := app.Letters(t.Context(), function, after, limit)
				if err != nil || len(page) > limit || more && len(page) == 0 {
					t.Fatalf("Letters(%v, %d, %d) = %d letters, %v, %v", function, after, limit, len(page), more, err)
				}
				got = append(got, ids(page)...)
				if !more {
					break
				}
				after = page[len(page)-1].Seq
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("letters of %v by pages of %d (-want +got):\n%s", function, limit, diff)
			}
		}
	}
	got, err := app.Letter(t.Context(), all[50])
	if err != nil {
		t.Fatal(err)
	}
	e, err := got.Envelope()
	if want := letter(1, 10, "even", "10").DeadLetter.Envelope; err != nil || !cmp.Equal(e, want) {
		t.Errorf("the letter's envelope is %+v, %v, want %+v", e, err, want)
	}
}

func TestDeadLettersAreDroppedOneByOneAndByFunction(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	sink := app.Ports(0).DeadLetters
	mark := mustMark(t, sink, 0)
	var all []string
	var last uint64
	for i := range 20 {
		m := letter(0, i, []string{"even", "odd"}[i%2], strconv.Itoa(i))
		last = mustPublish(t, sink, m, mark)
		all = append(all, sinkID(app, &m))
	}
	seq, err := app.LetterSeq(t.Context(), all[4])
	if err != nil {
		t.Fatal(err)
	}
	if err := app.DropLetter(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	if err := app.DropLetter(t.Context(), seq); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("DropLetter of a dropped one = %v, want ErrNotFound", err)
	}
	if _, err := app.Letter(t.Context(), all[4]); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("Letter of a dropped one = %v, want ErrNotFound", err)
	}
	n, err := app.DropLetters(t.Context(), actor.TypeName{Namespace: "ns", Name: "odd"}, last-4) // the last two of them stay
	if err != nil || n != 8 {
		t.Errorf("DropLetters = %d, %v, want 8", n, err)
	}
	page, _, err := app.Letters(t.Context(), actor.TypeName{Namespace: "ns", Name: "odd"}, 0, 100)
	if err != nil || !slices.Equal(ids(page), []string{all[17], all[19]}) {
		t.Errorf("letters left = %v, %v, want the last two", ids(page), err)
	}
	if n, err := app.DropLetters(t.Context(), actor.TypeName{}, last); err != nil || n != 11 {
		t.Errorf("DropLetters of all = %d, %v, want 11", n, err)
	}
	if m, err := sink.LastMark(t.Context()); err != nil || m.Seq != mark {
		t.Errorf("LastMark after that = %+v, %v, want the one at %d", m, err, mark)
	}
}

func TestNoDeadLetterIsFoundUnderAnIDThatIsNone(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	for _, subject := range []string{"app.dlq.ns.fn.a", "app.dlq.x"} { // anybody may publish there
		if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"", "x", "other-0-1-1-0", app.Incarnation() + "-0-1-1-0", app.Incarnation() + "-0-1-1", app.Incarnation() + "-0-1-1-0-0"} {
		if _, err := app.Letter(t.Context(), id); !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("Letter(%q) = %v, want ErrNotFound", id, err)
		}
	}
	if page, more, err := app.Letters(t.Context(), actor.TypeName{}, 0, 10); err != nil || more || len(page) != 0 {
		t.Errorf("Letters = %v, %v, %v, want none", page, more, err)
	}
}

// TestManyDeadLettersAreAtHand is for what the index doesn't hold as well; how
// long it takes is for BenchmarkLetters to say.
func TestManyDeadLettersAreAtHand(t *testing.T) {
	t.Parallel()
	const count = 20_000
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	broker.LimitIndex(app, count/2) // so that the older half isn't in it
	letters := storeLetters(t, js, app, count)
	for _, i := range []int{count - 1, count / 2, count * 3 / 4, 0, 1234} {
		if got, err := app.Letter(patiently(t), letters[i]); err != nil || got.ID != letters[i] {
			t.Fatalf("Letter %d = %v, %v", i, got.ID, err)
		}
	}
	page, more, err := app.Letters(patiently(t), actor.TypeName{}, count/2, 100)
	if err != nil || !more || !slices.Equal(ids(page), letters[count/2:count/2+100]) {
		t.Errorf("a page in the middle = %d letters, %v, %v", len(page), more, err)
	}
	page, more, err = app.Letters(patiently(t), actor.TypeName{Namespace: "ns", Name: "rare"}, 0, 100)
	if err != nil || more || len(page) != count/10_000 {
		t.Errorf("letters of a rare function = %d, %v, %v, want %d", len(page), more, err, count/10_000)
	}
	if n, err := app.DropLetters(patiently(t), actor.TypeName{}, count); err != nil || n != count {
		t.Errorf("DropLetters = %d, %v, want %d", n, err, count)
	}
}

// BenchmarkLetters asks for a letter that isn't in the index, among 100,000.
func BenchmarkLetters(b *testing.B) {
	const count = 100_000
	js := brokertest.Start(b)
	app := brokertest.Open(b, js.Conn(), broker.Config{App: "app"})
	broker.LimitIndex(app, count/2)
	letters := storeLetters(b, js, app, count)
	for b.Loop() {
		if _, err := app.Letter(b.Context(), letters[b.N%1000]); err != nil {
			b.Fatal(err)
		}
	}
}

// storeLetters writes dead letters as partitions do, but without markers.
func storeLetters(tb testing.TB, js jetstream.JetStream, app *broker.App, count int) []string {
	tb.Helper()
	out := make([]string, count)
	for i := range count {
		name := "fn" + strconv.Itoa(i%7)
		if i%10_000 == 0 {
			name = "rare"
		}
		m := letter(i%64, i/64, name, strconv.Itoa(i))
		out[i] = sinkID(app, &m)
		body := fmt.Sprintf(`{"id":%q,"address":%q,"type":"a/b","value":"","reason":"status","error":"","attempts":1,"firstAt":"","lastAt":"","traceId":""}`,
			out[i], m.DeadLetter.Envelope.Target)
		err := js.Conn().PublishMsg(&nats.Msg{Subject: "app.dlq." + m.DeadLetter.Envelope.Target.Key(), Header: nats.Header{"Jetfn-Id": {out[i]}}, Data: []byte(body)})
		if err != nil {
			tb.Fatal(err)
		}
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		switch last, err := app.LastLetter(tb.Context()); {
		case err != nil:
			tb.Fatal(err)
		case last == uint64(count):
			return out
		case time.Now().After(end):
			tb.Fatalf("%d of %d letters are stored in time", last, count)
		}
	}
}
