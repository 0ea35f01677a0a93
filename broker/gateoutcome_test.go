package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

func TestAPackOfUnknownOutcomeIsSettledBeforeItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app, _ := gatedInBubble(t, js, broker.Config{})
		changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.NoAck = true })
		var futures []jetstream.PubAckFuture
		for i := range 20 {
			f, err := js.PublishMsgAsync(outsideMessage("a", strconv.Itoa(i)))
			if err != nil {
				t.Fatal(err)
			}
			futures = append(futures, f)
		}
		time.Sleep(12 * time.Second)
		for i, f := range futures {
			select {
			case ack := <-f.Ok():
				t.Errorf("message %d is acknowledged with %+v before it is known where it is", i, ack)
			case err := <-f.Err():
				t.Errorf("message %d = %v before its outcome is known", i, err)
			default:
			}
		}
		changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.NoAck = false })
		for i, f := range futures {
			if ack := <-f.Ok(); ack.Duplicate || ack.Sequence == 0 {
				t.Errorf("acknowledgement %d = %+v", i, ack)
			}
		}
		var got []string
		for _, inputs := range inOrder(texts(t, app, js)) {
			got = append(got, inputs...)
		}
		want := make([]string, 20)
		for i := range want {
			want[i] = strconv.Itoa(i)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

func TestAGateThatCanNotFindOutEndsAndAnswersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app := gateless(t, js, broker.Config{})
		opened, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- app.Gather(t.Context(), func() { close(opened) }) }()
		<-opened
		changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.NoAck = true })
		start := time.Now()
		answer, err := js.Conn().SubscribeSync("answer")
		if err != nil {
			t.Fatal(err)
		}
		m := outsideMessage("a", "over NATS")
		m.Reply = "answer"
		if err := js.Conn().PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // its pack is on its way
		_, err = app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}})
		if took := time.Since(start); took < 20*time.Second || took > 30*time.Second || err == nil {
			t.Errorf("Send = %v after %v, want an error after 20 to 30s", err, took)
		}
		if err := <-ended; err == nil {
			t.Error("Gather = nil, want an error")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := answer.NextMsgWithContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answer over NATS: %v, want none", err)
		}
		if _, err := js.PublishMsg(t.Context(), outsideMessage("a", "later")); !errors.Is(err, jetstream.ErrNoStreamResponse) {
			t.Errorf("publish after the end = %v, want ErrNoStreamResponse", err)
		}
	})
}

func TestRefusalsOfTheStreamReachThePublisher(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := gated(t, js, broker.Config{})
	changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 1, jetstream.DiscardNew })
	publish(t, js, "app.fn.ns.fn.a", "x", "Nats-Msg-Id", "1")
	for range 2 { // its id must not be taken for known
		_, err := js.PublishMsg(t.Context(), outsideMessage("a", "y", "Nats-Msg-Id", "2"))
		if api := (*jetstream.APIError)(nil); !errors.As(err, &api) || api.ErrorCode != 10077 || api.Description != "maximum messages exceeded" {
			t.Errorf("publish to a full mailbox = %v, want maximum messages exceeded", err)
		}
	}
	_, err := app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}})
	if !errors.Is(err, broker.ErrRefused) {
		t.Errorf("Send to a full mailbox = %v, want ErrRefused", err)
	}
}

func TestPublishersAreHeldBackWhenTooMuchWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := brokertest.Start(t)
		app, _ := gatedInBubble(t, js, broker.Config{GateBytes: 10_000})
		changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.NoAck = true })
		var futures []jetstream.PubAckFuture
		for i := range 100 {
			f, err := js.PublishMsgAsync(outsideMessage("a", strconv.Itoa(i)))
			if err != nil {
				t.Fatal(err)
			}
			futures = append(futures, f)
		}
		time.Sleep(time.Second)
		var waiting []jetstream.PubAckFuture
		for _, f := range futures {
			select {
			case err := <-f.Err():
				if api := (*jetstream.APIError)(nil); !errors.As(err, &api) || api.Code != 429 {
					t.Errorf("publish = %v, want error 429", err)
				}
			default:
				waiting = append(waiting, f)
			}
		}
		if len(waiting) == 0 || len(waiting) > 50 {
			t.Errorf("messages taken = %d, want about 25", len(waiting))
		}
		_, err := app.Send(t.Context(), broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}})
		if !errors.Is(err, broker.ErrRefused) {
			t.Errorf("Send when too much waits = %v, want ErrRefused", err)
		}
		changeMailbox(t, js, func(c *jetstream.StreamConfig) { c.NoAck = false })
		for _, f := range waiting {
			<-f.Ok()
		}
		if _, err := js.PublishMsg(t.Context(), outsideMessage("a", "later")); err != nil {
			t.Errorf("publish when there is room again = %v", err)
		}
	})
}

func TestWhatAMailboxDoesNotDoIsRefused(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	gated(t, js, broker.Config{})
	for header, code := range map[[2]string]jetstream.ErrorCode{
		{"Nats-Expected-Stream", "APP_MAILBOX"}:          0,
		{"Nats-Expected-Stream", "OTHER"}:                10060,
		{"Nats-Expected-Last-Sequence", "0"}:             10003,
		{"Nats-Expected-Last-Subject-Sequence", "0"}:     10003,
		{"Nats-Expected-Last-Msg-Id", "x"}:               10003,
		{"Nats-Rollup", "sub"}:                           10111,
		{"Nats-TTL", "1h"}:                               10166,
		{"Nats-Incr", "1"}:                               10168,
		{"Nats-Schedule", "@at 2030-01-01T00:00:00Z"}:    10188,
		{"Nats-Batch-Id", "x"}:                           10174,
		{"Nats-Stream", "a republished message has one"}: 0,
	} {
		_, err := js.PublishMsg(t.Context(), outsideMessage("a", "x", header[0], header[1]))
		var got jetstream.ErrorCode
		if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
			got = api.ErrorCode
		} else if err != nil {
			t.Errorf("%v: %v", header, err)
		}
		if got != code {
			t.Errorf("%v: error %d, want %d", header, got, code)
		}
	}
	if got := mailbox(t, js).State.Msgs; got != 2 {
		t.Errorf("messages stored = %d, want 2", got)
	}
}

func TestNobodyMakesAGateWriteToInternalSubjects(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	app := brokertest.Open(t, brokertest.Connect(t, srv), broker.Config{App: "app", Partitions: 1, Gate: true})
	brokertest.Gather(t, app)
	nc, err := nats.Connect(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"app.journal.0", "app.mbox.0.int.0", "app.mark.egress.0"} {
		m := outsideMessage("a", "x")
		m.Reply = reply
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.PublishMsg(t.Context(), outsideMessage("a", "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := app.Ports(0).Journal.Last(t.Context()); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("journal's last record: %v, want none", err)
	}
	for seq, inputs := range texts(t, app, js) {
		for _, text := range inputs {
			if text != "x" {
				t.Errorf("message %d holds %q", seq, text)
			}
		}
	}
}

// publishUntilRefused keeps 64 requests in flight until one finds nobody, and
// reports the answer to each.
func publishUntilRefused(ctx context.Context, nc *nats.Conn, name string, report func(text string, taken bool)) error {
	inbox := nc.NewInbox() + "."
	answers, err := nc.SubscribeSync(inbox + "*")
	if err != nil {
		return err
	}
	next, open, refused := 0, 0, false
	for {
		for ; open < 64 && !refused; open++ {
			m := outsideMessage("id"+strconv.Itoa(next%5), name+" "+strconv.Itoa(next))
			m.Reply = inbox + strconv.Itoa(next)
			if err := nc.PublishMsg(m); err != nil {
				return err
			}
			next++
		}
		if open == 0 {
			return nil
		}
		answer, err := answers.NextMsgWithContext(ctx)
		text := name + " " + strings.TrimPrefix(answerSubject(answer), inbox)
		switch {
		case errors.Is(err, nats.ErrNoResponders), err == nil && answer.Header.Get("Status") == "503":
			refused = true
			report(text, false)
		case err != nil:
			return fmt.Errorf("%d of %d requests are not answered: %w", open, next, err)
		case !strings.HasPrefix(string(answer.Data), `{"stream":"APP_MAILBOX","seq":`):
			return fmt.Errorf("answer %q", answer.Data)
		default:
			report(text, true)
		}
		open--
	}
}

func answerSubject(m *nats.Msg) string {
	if m == nil {
		return ""
	}
	return m.Subject
}

func TestAGateThatEndsAnswersAllItTook(t *testing.T) {
	t.Parallel()
	srv := brokertest.StartServer(t, "app")
	inside := brokertest.Connect(t, srv)
	app := brokertest.Open(t, inside, broker.Config{App: "app", Partitions: 4, Gate: true})
	end := brokertest.Gather(t, app)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	acknowledged, refused := map[string]bool{}, 0
	var publishers sync.WaitGroup
	started := make(chan struct{}, 1000)
	for p := range 8 {
		nc, err := nats.Connect(srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		publishers.Go(func() {
			err := publishUntilRefused(ctx, nc, strconv.Itoa(p), func(text string, taken bool) {
				mu.Lock()
				defer mu.Unlock()
				if taken {
					acknowledged[text] = true
				} else {
					refused++
				}
				select {
				case started <- struct{}{}:
				default:
				}
			})
			if err != nil {
				t.Errorf("publisher %d: %v", p, err)
			}
		})
	}
	for range 500 {
		<-started
	}
	end()
	publishers.Wait()
	if _, err := app.Send(ctx, broker.SendRequest{Target: address("ns", "fn", "a"), Value: actor.Value{Type: "a/b"}}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Send without a gate = %v, want ErrClosed", err)
	}
	js, err := jetstream.New(inside)
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for _, inputs := range texts(t, app, js) {
		for _, text := range inputs {
			stored++
			if !acknowledged[text] {
				t.Errorf("%s is stored and was not acknowledged", text)
			}
		}
	}
	if stored != len(acknowledged) || refused < 8 {
		t.Errorf("stored %d, acknowledged %d, publishes refused %d, want at least 8", stored, len(acknowledged), refused)
	}
}
