package broker_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// gated is an application of one partition with an open gate.
func gated(t *testing.T, js jetstream.JetStream, cfg broker.Config) *broker.App {
	t.Helper()
	app := gateless(t, js, cfg)
	brokertest.Gather(t, app)
	return app
}

func gateless(t *testing.T, js jetstream.JetStream, cfg broker.Config) *broker.App {
	t.Helper()
	cfg.App, cfg.Gate = "app", true
	if cfg.Partitions == 0 {
		cfg.Partitions = 1
	}
	return brokertest.Open(t, js.Conn(), cfg)
}

// gatedInBubble is gated with a connection of its own, whose end is the
// gate's: inside of a bubble the client library can't drain.
func gatedInBubble(t *testing.T, js jetstream.JetStream, cfg broker.Config) (app *broker.App, end func()) {
	t.Helper()
	nc, err := js.Conn().Opts.Connect()
	if err != nil {
		t.Fatal(err)
	}
	own, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	app = gateless(t, own, cfg)
	return app, gatherInBubble(t, app, nc)
}

// gatherInBubble is brokertest.Gather, but for its end, which closes the
// application's connection.
func gatherInBubble(t *testing.T, app *broker.App, nc *nats.Conn) (end func()) {
	t.Helper()
	opened, ended := make(chan struct{}), make(chan error, 1)
	ctx := context.WithoutCancel(t.Context())
	go func() { ended <- app.Gather(ctx, func() { close(opened) }) }()
	<-opened
	end = sync.OnceFunc(func() {
		nc.Close()
		if err := <-ended; err == nil {
			t.Error("Gather = nil when its connection was closed, want an error")
		}
	})
	t.Cleanup(end)
	return end
}

func mailbox(t *testing.T, js jetstream.JetStream) *jetstream.StreamInfo {
	t.Helper()
	s, err := js.Stream(t.Context(), "APP_MAILBOX")
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

func changeMailbox(t *testing.T, js jetstream.JetStream, change func(*jetstream.StreamConfig)) {
	t.Helper()
	cfg := mailbox(t, js).Config
	change(&cfg)
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// texts are all inputs of the mailbox, by the place that acknowledges them.
func texts(t *testing.T, app *broker.App, js jetstream.JetStream) map[uint64][]string {
	t.Helper()
	out := map[uint64][]string{}
	info := mailbox(t, js)
	if info.State.Msgs == 0 {
		return out
	}
	for _, r := range read(t, app, actor.SourceMailbox, 1, int(info.State.Msgs), nil) {
		for _, in := range r.Delivery.Inputs {
			out[r.Delivery.Seq] = append(out[r.Delivery.Seq], textOf(t, in))
		}
	}
	return out
}

func textOf(t *testing.T, in actor.Input) string {
	t.Helper()
	if in.Problem != nil || in.Envelope.Value.Type != "a/b" {
		t.Fatalf("input = %+v", in)
	}
	return string(in.Envelope.Value.Data)
}

func outsideMessage(id, data string, headers ...string) *nats.Msg {
	h := nats.Header{"Jetfn-Type": {"a/b"}}
	for i := 0; i < len(headers); i += 2 {
		h[headers[i]] = []string{headers[i+1]}
	}
	return &nats.Msg{Subject: "app.fn.ns.fn." + id, Data: []byte(data), Header: h}
}

func TestMessagesThatComeTogetherAreStoredTogetherInOrder(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := gated(t, js, broker.Config{Partitions: 4})
	const publishers, each = 4, 2000
	acks := make([][]jetstream.PubAckFuture, publishers)
	var all sync.WaitGroup
	for p := range publishers {
		all.Go(func() {
			for i := range each {
				ack, err := js.PublishMsgAsync(outsideMessage(fmt.Sprintf("id%d", i%7), fmt.Sprintf("%d %d", p, i)), jetstream.WithStallWait(time.Minute))
				if err != nil {
					t.Errorf("publish: %v", err)
					return
				}
				acks[p] = append(acks[p], ack)
			}
		})
	}
	all.Wait()
	at := map[string]uint64{}
	for p := range acks {
		for i, ack := range acks[p] {
			select {
			case a := <-ack.Ok():
				if a.Stream != "APP_MAILBOX" || a.Duplicate {
					t.Fatalf("acknowledgement of %d %d = %+v", p, i, a)
				}
				at[fmt.Sprintf("%d %d", p, i)] = a.Sequence
			case err := <-ack.Err():
				t.Fatalf("publish %d %d: %v", p, i, err)
			case <-time.After(patience):
				t.Fatalf("publish %d %d is not answered", p, i)
			}
		}
	}
	stored := map[string]uint64{}
	last := map[string]int{}
	for seq, inputs := range inOrder(texts(t, app, js)) {
		for _, text := range inputs {
			publisher, number, _ := strings.Cut(text, " ")
			i, err := strconv.Atoi(number)
			if err != nil {
				t.Fatal(err)
			}
			stored[text] = seq
			key := publisher + " " + strconv.Itoa(i%7)
			if before, ok := last[key]; ok && i != before+7 {
				t.Fatalf("publisher %s: %d after %d at one address", publisher, i, before)
			}
			last[key] = i
		}
	}
	if diff := cmp.Diff(stored, at); diff != "" {
		t.Errorf("acknowledged at (-stored +acknowledged):\n%s", diff)
	}
	if n := mailbox(t, js).State.LastSeq; len(stored) != publishers*each || n > publishers*each/2 {
		t.Errorf("%d messages are stored in %d, want %d in half as many", len(stored), n, publishers*each)
	}
}

// inOrder goes through m by rising key.
func inOrder(m map[uint64][]string) func(func(uint64, []string) bool) {
	return func(yield func(uint64, []string) bool) {
		for seq, found := uint64(1), 0; found < len(m); seq++ {
			if inputs, ok := m[seq]; ok {
				found++
				if !yield(seq, inputs) {
					return
				}
			}
		}
	}
}

func TestAMessageOfAPackIsReadAgain(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := gated(t, js, broker.Config{})
	var sends sync.WaitGroup
	receipts := make([]broker.Receipt, 300)
	for i := range receipts {
		sends.Go(func() {
			r, err := app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b", Data: []byte(strconv.Itoa(i))}})
			if err != nil {
				t.Errorf("Send = %v", err)
			}
			receipts[i] = r
		})
	}
	sends.Wait()
	inbox := app.Ports(0).Inbox
	packed := 0
	for i, r := range receipts {
		d, err := inbox.Fetch(t.Context(), actor.SourceMailbox, r.Seq)
		if err != nil || d.Dedup || len(d.Inputs) <= r.Index || textOf(t, d.Inputs[r.Index]) != strconv.Itoa(i) {
			t.Fatalf("Fetch of message %d at %+v = %+v, %v", i, r, d, err)
		}
		if len(d.Inputs) > 1 {
			packed++
		}
		d.Inputs[r.Index] = actor.Input{} // it is ours, not the next reader's
		if again, err := inbox.Fetch(t.Context(), actor.SourceMailbox, r.Seq); err != nil || textOf(t, again.Inputs[r.Index]) != strconv.Itoa(i) {
			t.Fatalf("Fetch of message %d once more = %+v, %v", i, again, err)
		}
	}
	if packed == 0 {
		t.Error("no message is in a pack with others")
	}
}

func TestTheMailboxFollowsTheModeItIsOpenedIn(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	var want []string
	for round, gate := range []bool{false, true, true, false, true, false} {
		app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 1, Gate: gate})
		end := func() {}
		if gate {
			end = brokertest.Gather(t, app)
		}
		if _, err := js.PublishMsg(t.Context(), outsideMessage("a", strconv.Itoa(round))); err != nil {
			t.Fatalf("publish in round %d: %v", round, err)
		}
		want = append(want, strconv.Itoa(round))
		var got []string
		for _, inputs := range inOrder(texts(t, app, js)) {
			got = append(got, inputs...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d (-want +got):\n%s", round, diff)
		}
		wantSubjects := "app.fn.> app.mbox.>"
		if gate {
			wantSubjects = "app.mbox.>"
		}
		if got := strings.Join(mailbox(t, js).Config.Subjects, " "); got != wantSubjects {
			t.Errorf("subjects in round %d = %s, want %s", round, got, wantSubjects)
		}
		end()
	}
	changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "mine") })
	wantOpenError(t, js, broker.Config{App: "app", Gate: true}, "APP_MAILBOX", "subjects", "mine")
}

func TestAMessageAsLargeAsTheServerTakesIsStored(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := gated(t, js, broker.Config{})
	most := int(js.Conn().MaxPayload())
	large := map[string]*nats.Msg{
		"as a pack":      {Data: make([]byte, most-5000)},
		"without header": {Data: make([]byte, most)},
		"with header":    {Header: nats.Header{"Jetfn-Type": {"a/b"}, "Nats-Msg-Id": {"1"}, "traceparent": {trace}}, Data: make([]byte, most-200)},
		"bad address":    {Subject: "app.fn.a", Data: make([]byte, most)},
		"small":          {Data: make([]byte, 1)},
	}
	var all sync.WaitGroup
	for name, m := range large {
		if m.Subject == "" {
			m.Subject = "app.fn.ns.fn.a"
		}
		all.Go(func() {
			ack, err := js.PublishMsg(t.Context(), m)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			d, err := app.Ports(0).Inbox.Fetch(patiently(t), actor.SourceMailbox, ack.Sequence)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if in := d.Inputs[0]; len(d.Inputs) != 1 || (in.Problem != nil) != (name == "bad address") || in.Problem == nil && in.Envelope.Target != address("ns", "fn", "a") {
				t.Errorf("%s: %d inputs, problem %+v, target %s", name, len(d.Inputs), in.Problem, in.Envelope.Target)
			}
		})
	}
	all.Wait()
}

func TestAPublisherThatWantsNoAnswerIsServedAsWell(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := gated(t, js, broker.Config{})
	for i := range 50 {
		if err := js.Conn().PublishMsg(outsideMessage("a", strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.PublishMsg(t.Context(), outsideMessage("a", "50")); err != nil {
		t.Fatal(err)
	}
	i := 0
	for _, inputs := range inOrder(texts(t, app, js)) {
		for _, text := range inputs {
			if text != strconv.Itoa(i) {
				t.Fatalf("message %d = %s", i, text)
			}
			i++
		}
	}
	if i != 51 {
		t.Errorf("messages stored = %d, want 51", i)
	}
}

func TestTheGateOfAnApplicationWhoseStreamTakesMessagesDoesNotOpen(t *testing.T) {
	t.Parallel()
	if err := open(t).Gather(t.Context(), func() { t.Error("opened") }); err == nil {
		t.Error("Gather = nil, want an error")
	}
}
