//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startPipeline runs e2e/forward and e2e/count, served by the test.
func startPipeline(t *testing.T, opts ...option) (*app, *nats.Conn, jetstream.JetStream) {
	t.Helper()
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline())), opts...)
	nc, js := a.connect(t)
	return a, nc, js
}

// publish publishes text and wants it stored. It tries again while jetfn is
// down, so it may store text twice unless it has an id.
func publish(t *testing.T, js jetstream.JetStream, subject, text string, opts ...jetstream.PublishOpt) (ack *jetstream.PubAck) {
	t.Helper()
	eventually(t, 20*time.Second, "publish to "+subject, func() (err error) {
		// Long enough for what is stored to be acknowledged on a busy machine,
		// or it would be stored twice.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ack, err = js.Publish(ctx, subject, []byte(text), opts...)
		return err
	})
	return ack
}

// counts waits until the egress has total messages, and a moment for more.
func counts(t *testing.T, js jetstream.JetStream, total int) map[string][]string {
	t.Helper()
	eventually(t, 20*time.Second, "the egress", func() error {
		_, n, err := emitted(t.Context(), js)
		if err == nil && n < total {
			err = fmt.Errorf("%d of %d messages", n, total)
		}
		return err
	})
	time.Sleep(500 * time.Millisecond)
	byKey, n, err := emitted(t.Context(), js)
	if err != nil || n != total {
		t.Fatalf("%d messages at the egress, %v; want %d: %v", n, err, total, byKey)
	}
	return byKey
}

func TestAPlainNATSClientInvokesAFunctionAndReadsItsEgress(t *testing.T) {
	t.Parallel()
	a, nc, _ := startPipeline(t)
	live, err := nc.SubscribeSync("t.egress.e2e.counts.*")
	if err != nil {
		t.Fatal(err)
	}

	reply, err := nc.Request("t.fn.e2e.count.c1", []byte("hello"), patience) // as `nats request` does
	if err != nil {
		t.Fatal(err)
	}
	var ack struct {
		Stream string `json:"stream"`
		Seq    uint64 `json:"seq"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil || ack.Stream != "T_MAILBOX" || ack.Seq == 0 {
		t.Errorf("answer to a publish = %s, %v; want a PubAck of T_MAILBOX", reply.Data, err)
	}
	if err := nc.Publish("t.fn.e2e.count.c1", []byte("again")); err != nil { // as `nats pub` does
		t.Fatal(err)
	}
	a.waitCount(t, "c1", 2)

	for n, want := range []string{"1 hello", "2 again"} {
		m, err := live.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "t.egress.e2e.counts.c1" || string(m.Data) != want {
			t.Errorf("egress message %d = %s %q, want %q", n, m.Subject, m.Data, want)
		}
		wantHeader(t, m.Header, "Jetfn-Source", "e2e/count/c1")
		wantHeader(t, m.Header, "Jetfn-Key", "c1")
		wantHeader(t, m.Header, "Jetfn-Topic", "topic")
		wantHeader(t, m.Header, "Jetfn-Type", "") // it was unwrapped
		if m.Header.Get("Jetfn-Id") == "" {
			t.Errorf("egress message %d has no Jetfn-Id: %v", n, m.Header)
		}
	}
}

func wantHeader(t *testing.T, h nats.Header, name, want string) {
	t.Helper()
	if got := h.Get(name); got != want {
		t.Errorf("header %s = %q, want %q", name, got, want)
	}
}

func TestTheWorkerIsOneConsumerOfTheMailbox(t *testing.T) {
	t.Parallel()
	a, _, js := startPipeline(t)
	stream, err := js.Stream(t.Context(), "T_MAILBOX")
	if err != nil {
		t.Fatal(err)
	}
	// Catching up after a start may take consumers of its own for a moment.
	eventually(t, 10*time.Second, "one consumer", func() error {
		var consumers []*jetstream.ConsumerInfo
		list := stream.ListConsumers(t.Context())
		for c := range list.Info() {
			consumers = append(consumers, c)
		}
		if err := list.Err(); err != nil {
			return err
		}
		if len(consumers) != 1 {
			return fmt.Errorf("%d consumers", len(consumers))
		}
		if state := consumers[0]; !strings.Contains(a.output.String(), state.Name) {
			return fmt.Errorf("consumer %s is not named after the worker", state.Name)
		}
		return nil
	})
}

func TestAnIngressMessageReachesEachTargetOnce(t *testing.T) {
	t.Parallel()
	fs := functions{"e2e/left": count, "e2e/right": count}
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, fs))+`
---
kind: io.jetfn.nats.v1/ingress
spec:
  id: e2e/in
  targets: [e2e/left, e2e/right]
`)
	_, js := a.connect(t)
	for n := range 40 {
		if n == 20 {
			a.kill()
			a.restart(t)
		}
		publish(t, js, fmt.Sprintf("t.ingress.e2e.in.k%d", n%4), strconv.Itoa(n), jetstream.WithMsgID(strconv.Itoa(n)))
	}
	byKey := counts(t, js, 80)
	for key, got := range byKey {
		seen := map[string]int{}
		for _, line := range got {
			_, n, _ := strings.Cut(line, " ")
			seen[n]++
		}
		for n, times := range seen {
			if times != 2 {
				t.Errorf("message %s of %s came %d times, want once for each target", n, key, times)
			}
		}
		for _, target := range []string{"e2e/left", "e2e/right"} {
			if n, err := a.long(t, target, key, "seen"); err != nil || n != 10 {
				t.Errorf("%s/%s has seen %d, %v; want 10", target, key, n, err)
			}
		}
	}
	publish(t, js, "t.ingress.e2e.in", "no key")
	eventually(t, 10*time.Second, "the dead letter of a message without a key", func() error {
		if d := deadLetters(t, js); len(d) != 2 && len(d) != 1 || d[0].Reason != "bad-address" {
			return fmt.Errorf("dead letters = %+v", d)
		}
		return nil
	})
}

func TestADurableConsumerOnTheEgressResumesAfterARestart(t *testing.T) {
	t.Parallel()
	a, _, js := startPipeline(t)
	stream, err := js.Stream(t.Context(), "T_EGRESS")
	if err != nil {
		t.Fatal(err)
	}
	c, err := stream.CreateOrUpdateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "reader", FilterSubject: "t.egress.e2e.counts.>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 20; n++ {
		publish(t, js, "t.fn.e2e.count.c", "x")
	}
	next := 1
	read := func(n int) {
		t.Helper()
		for range n {
			var m jetstream.Msg
			eventually(t, 20*time.Second, fmt.Sprintf("message %d", next), func() (err error) { // the client reconnects meanwhile
				m, err = c.Next(jetstream.FetchMaxWait(2 * time.Second))
				return err
			})
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := string(m.Data()), fmt.Sprintf("%d x", next); got != want {
				t.Fatalf("the durable consumer read %q, want %q", got, want)
			}
			next++
		}
	}
	read(10)
	// A drained stop, since that is what keeps a reader's acknowledgements: a
	// server that is killed may have forgotten the last ones.
	if code := a.terminate(t); code != 0 {
		t.Errorf("exit code after SIGTERM = %d", code)
	}
	a.restart(t)
	for n := 1; n <= 5; n++ {
		a.send(t, "e2e/count", "c", "x")
	}
	read(15)
	if m, err := c.Next(jetstream.FetchMaxWait(time.Second)); err == nil {
		t.Errorf("the durable consumer read %q after the last message", m.Data())
	}
}

func TestMessageIdsDeduplicateAcrossAKill(t *testing.T) {
	t.Parallel()
	a, _, js := startPipeline(t)
	const subject = "t.fn.e2e.count.d"
	if ack := publish(t, js, subject, "x", jetstream.WithMsgID("once")); ack.Duplicate {
		t.Error("the first publish is called a duplicate")
	}
	if ack := publish(t, js, subject, "x", jetstream.WithMsgID("once")); !ack.Duplicate {
		t.Error("the second publish is not called a duplicate")
	}
	a.waitCount(t, "d", 1)
	time.Sleep(2 * time.Second) // for a checkpoint, which trims what was consumed
	a.kill()
	a.restart(t)
	if ack := publish(t, js, subject, "x", jetstream.WithMsgID("once")); !ack.Duplicate {
		t.Error("a publish after the restart is not called a duplicate")
	}
	publish(t, js, subject, "y", jetstream.WithMsgID("other"))
	if got := counts(t, js, 2)["d"]; !slices.Equal(got, []string{"1 x", "2 y"}) {
		t.Errorf("egress = %v, want 1 x, 2 y", got)
	}
}

func TestOutsidersMayNotPublishWhereJetfnTalksToItself(t *testing.T) {
	t.Parallel()
	a, _, _ := startPipeline(t)
	denied := make(chan error, 10)
	nc, _ := a.connect(t, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	for _, subject := range []string{
		"t.mbox.3.int.e2e.count.x", "t.mbox.3.ext.e2e.count.x", "t.journal.3", "t.mark.egress.3", "t.mark.dlq.3",
	} {
		if err := nc.Publish(subject, []byte("forged")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
				t.Errorf("publish to %s: %v, want a permissions violation", subject, err)
			}
		case <-time.After(patience):
			t.Errorf("publish to %s was not refused", subject)
		}
	}
	// The same client may do the rest.
	if _, err := nc.Request("t.fn.e2e.count.ok", []byte("x"), patience); err != nil {
		t.Errorf("publish to t.fn…: %v", err)
	}
	a.waitCount(t, "ok", 1)
}
