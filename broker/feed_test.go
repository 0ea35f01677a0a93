package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

var errEnough = errors.New("enough")

type routed struct {
	Partition int
	Delivery  actor.Delivery
}

// read feeds from start on until n deliveries have come.
func read(t *testing.T, app *broker.App, source actor.Source, start uint64, n int, targets broker.Targets) []routed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []routed
	err := app.Feed(ctx, source, "host.1-abc", start, targets, func(_ context.Context, p int, d actor.Delivery) error {
		got = append(got, routed{p, d})
		if len(got) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("Feed = %v after %d deliveries, want %d", err, len(got), n)
	}
	return got
}

func publish(t *testing.T, js jetstream.JetStream, subject string, data string, headers ...string) uint64 {
	t.Helper()
	h := nats.Header{}
	for i := 0; i < len(headers); i += 2 {
		h[headers[i]] = []string{headers[i+1]}
	}
	ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(data), Header: h})
	if err != nil {
		t.Fatalf("publish to %s: %v", subject, err)
	}
	return ack.Sequence
}

func TestFeedGoesOnAfterItsConsumerWasDeleted(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	const n = 3000
	for i := range n {
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: fmt.Sprintf("app.fn.ns.fn.id%d", i%7)}); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := uint64(5)
	err := app.Feed(ctx, actor.SourceMailbox, "worker", next, nil, func(ctx context.Context, _ int, d actor.Delivery) error {
		if d.Seq != next {
			return fmt.Errorf("delivery %d where %d was due", d.Seq, next)
		}
		next++
		if d.Seq == 700 || d.Seq == 2500 {
			return js.DeleteConsumer(ctx, "APP_MAILBOX", "worker")
		}
		if d.Seq == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("Feed = %v at %d, want all %d", err, next, n)
	}
}

func TestFeedGoesOnAfterAnIdleConsumerWasDeleted(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	publish(t, js, "app.fn.ns.fn.a", "1")
	count := 0
	err := app.Feed(ctx, actor.SourceMailbox, "worker", 1, nil, func(ctx context.Context, _ int, _ actor.Delivery) error {
		if count++; count == 2 {
			return errEnough
		}
		go func() { // what follows is to happen while the feed waits
			if err := js.DeleteConsumer(ctx, "APP_MAILBOX", "worker"); err != nil {
				t.Errorf("delete consumer: %v", err)
			}
			if _, err := js.Publish(ctx, "app.fn.ns.fn.a", nil); err != nil {
				t.Errorf("publish: %v", err)
			}
		}()
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("Feed = %v after %d deliveries, want both", err, count)
	}
}

func TestFeedIsOneConsumerNamedAfterTheWorker(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	publish(t, js, "app.fn.ns.fn.a", "1")
	consumers := func() []string {
		s, err := js.Stream(t.Context(), "APP_MAILBOX")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range s.ConsumerNames(t.Context()).Name() {
			names = append(names, name)
		}
		return names
	}
	ctx, cancel := context.WithCancel(t.Context())
	var during []string
	err := app.Feed(ctx, actor.SourceMailbox, "host.example-1", 1, nil, func(context.Context, int, actor.Delivery) error {
		during = consumers()
		cancel()
		return nil
	})
	if err != nil {
		t.Errorf("Feed after its context ended = %v, want nil", err)
	}
	if diff := cmp.Diff([]string{"host-example-1"}, during); diff != "" {
		t.Errorf("consumers while feeding (-want +got):\n%s", diff)
	}
	if after := consumers(); len(after) != 0 {
		t.Errorf("consumers afterwards = %v, want none", after)
	}
}

func TestFeedEndsWhenTheStreamIsGone(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app"})
	if err := js.DeleteStream(t.Context(), "APP_MAILBOX"); err != nil {
		t.Fatal(err)
	}
	err := app.Feed(t.Context(), actor.SourceMailbox, "w", 1, nil, func(context.Context, int, actor.Delivery) error { return nil })
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("Feed from a deleted stream = %v, want ErrStreamNotFound", err)
	}
}

func text(s string) actor.Value {
	v, _ := actor.TextValue([]byte(s))
	return v
}

func address(ns, name, id string) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: ns, Name: name}, ID: id}
}

func TestOutsideMessagesBecomeInputs(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	id := "grüße. *"
	good := "app.fn.ns.fn." + actor.Escape(id)
	to := address("ns", "fn", id)
	for name, c := range map[string]struct {
		subject, data string
		headers       []string
		want          actor.Input
		reason        string
		detail        string
		dedup         bool
	}{
		"plain text":    {subject: good, data: "hi", want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("hi")}}},
		"nothing":       {subject: good, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("")}}},
		"text/plain":    {subject: good, data: "hi", headers: []string{"Content-Type", "text/plain; charset=utf-8"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("hi")}}},
		"named type":    {subject: good, data: "\xff", headers: []string{"Jetfn-Type", "a/b"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: actor.Value{Type: "a/b", Data: []byte{0xff}}}}},
		"lower case":    {subject: good, data: "x", headers: []string{"jetfn-type", "a/b"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: actor.Value{Type: "a/b", Data: []byte("x")}}}},
		"vendor type":   {subject: good, data: "x", headers: []string{"Content-Type", "application/vnd.a.b/C d"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: actor.Value{Type: "a.b/C d", Data: []byte("x")}}}},
		"trace and id":  {subject: good, data: "x", headers: []string{"traceparent", parent, "tracestate", "k=v", "Nats-Msg-Id", "1"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("x"), Trace: actor.Trace{Parent: parent, State: "k=v"}}}, dedup: true},
		"forged":        {subject: good, data: "x", headers: []string{"Jetfn-Source", "a/b/c", "Jetfn-Id", "x"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("x")}}},
		"bad UTF-8":     {subject: good, data: "\xff", want: actor.Input{Envelope: actor.Envelope{Target: to, Value: actor.Value{Data: []byte{0xff}}}}, reason: actor.ReasonBadType, detail: "UTF-8"},
		"bare JSON":     {subject: good, data: "{}", headers: []string{"Content-Type", "application/json"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: actor.Value{Data: []byte("{}")}}}, reason: actor.ReasonBadType, detail: "application/json"},
		"raw unicode":   {subject: "app.fn.ns.fn.grüße", data: "x", want: actor.Input{Envelope: actor.Envelope{Target: address("ns", "fn", "grüße"), Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "app.fn.ns.fn.gr=C3=BC=C3=9Fe"},
		"lower hex":     {subject: "app.fn.ns.fn.a=2e", data: "x", want: actor.Input{Envelope: actor.Envelope{Target: address("ns", "fn", "a."), Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "app.fn.ns.fn.a=2E"},
		"broken escape": {subject: "app.fn.ns.fn.a=2", data: "x", want: actor.Input{Envelope: actor.Envelope{Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "=XX"},
		"empty id":      {subject: "app.fn.ns.fn.=", data: "x", want: actor.Input{Envelope: actor.Envelope{Target: address("ns", "fn", ""), Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "empty id"},
		"no id":         {subject: "app.fn.ns.fn", data: "x", want: actor.Input{Envelope: actor.Envelope{Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "app.fn.<namespace>.<type>.<id>"},
		"dots in id":    {subject: "app.fn.ns.fn.a.b", data: "x", want: actor.Input{Envelope: actor.Envelope{Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "app.fn.<namespace>.<type>.<id>"},
		"odd delay":     {subject: good, data: "x", headers: []string{"Jetfn-Delay", "soon"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("x")}}, reason: actor.ReasonProtocol, detail: "Jetfn-Delay"},
		"past delay":    {subject: good, data: "x", headers: []string{"Jetfn-Delay", "-1s"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("x")}}, reason: actor.ReasonProtocol, detail: "negative"},
		"long delay":    {subject: good, data: "x", headers: []string{"Jetfn-Delay", "900000h"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("x")}}, reason: actor.ReasonLimit, detail: "the limit is"},
		"no delay":      {subject: good, data: "x", headers: []string{"Jetfn-Delay", "0s"}, want: actor.Input{Envelope: actor.Envelope{Target: to, Value: text("x")}}},
		"no partition":  {subject: "app.mbox.99.ext.ns.fn.a", data: "x", want: actor.Input{Envelope: actor.Envelope{Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "app.fn."},
		"forged send":   {subject: "app.mbox.1.int.0", data: "x", want: actor.Input{Envelope: actor.Envelope{Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "reserved"},
		"misplaced":     {subject: fmt.Sprintf("app.mbox.%d.ext.ns.fn.a", 3-actor.PartitionOf("a", 4)), data: "x", want: actor.Input{Envelope: actor.Envelope{Target: address("ns", "fn", "a"), Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "app.fn.ns.fn.a"},
		"too long":      {subject: "app.fn.ns.fn." + strings.Repeat("x", 3600), data: "x", want: actor.Input{Envelope: actor.Envelope{Target: address("ns", "fn", strings.Repeat("x", 3600)), Value: text("x")}}, reason: actor.ReasonBadAddress, detail: "3500"},
	} {
		check := func(t *testing.T, gate bool) {
			t.Helper()
			t.Parallel()
			js := brokertest.Start(t)
			app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4, Gate: gate})
			if gate {
				brokertest.Gather(t, app)
			}
			seq := publish(t, js, c.subject, c.data, c.headers...)
			got := read(t, app, actor.SourceMailbox, 1, 1, nil)[0]
			if got.Delivery.Internal || got.Delivery.Dedup != c.dedup || got.Delivery.Seq != seq || len(got.Delivery.Inputs) != 1 {
				t.Fatalf("delivery = %+v", got.Delivery)
			}
			in := got.Delivery.Inputs[0]
			if in.Problem == nil && c.reason != "" || in.Problem != nil && (in.Problem.Reason != c.reason || !strings.Contains(in.Problem.Detail, c.detail)) {
				t.Errorf("problem = %+v, want %q with %q", in.Problem, c.reason, c.detail)
			}
			in.Problem = nil
			if diff := cmp.Diff(c.want, in, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(actor.Envelope{}, "StoredAt")); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
			if want := in.Envelope.Target.Partition(4); c.reason == "" && got.Partition != want {
				t.Errorf("partition = %d, want %d", got.Partition, want)
			}
			again, err := app.Ports(got.Partition).Inbox.Fetch(t.Context(), actor.SourceMailbox, seq)
			if diff := cmp.Diff(got.Delivery, again); err != nil || diff != "" {
				t.Errorf("Fetch = %v (-fed +fetched):\n%s", err, diff)
			}
		}
		t.Run(name, func(t *testing.T) { check(t, false) })
		t.Run(name+", through a gate", func(t *testing.T) { check(t, true) })
	}
}

func TestADelayCountsFromWhenTheMessageWasStored(t *testing.T) {
	t.Parallel()
	targets := func(actor.TypeName, uint64) ([]actor.TypeName, string, bool) {
		return []actor.TypeName{{Namespace: "ns", Name: "fn"}}, "", true
	}
	for name, c := range map[string]struct {
		subject string
		source  actor.Source
		gate    bool
	}{
		"to a function":                 {"app.fn.ns.fn.a", actor.SourceMailbox, false},
		"to a function, through a gate": {"app.fn.ns.fn.a", actor.SourceMailbox, true},
		"to an ingress":                 {"app.ingress.ns.in.a", actor.SourceIngress, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.Start(t)
			app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4, Gate: c.gate})
			if c.gate {
				brokertest.Gather(t, app)
			}
			publish(t, js, c.subject, "x", "jetfn-delay", "1h30m")
			d := read(t, app, c.source, 1, 1, targets)[0].Delivery
			want := &actor.Route{DueAt: d.Time + 90*time.Minute.Milliseconds()}
			if diff := cmp.Diff(want, d.Inputs[0].Route); diff != "" {
				t.Errorf("route (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIngressRecordsReachEachTarget(t *testing.T) {
	t.Parallel()
	for name, relayed := range map[string]bool{"from the stream": false, "through a relay": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.Start(t)
			cfg := broker.Config{App: "app", Partitions: 4}
			if relayed {
				cfg.Gate, cfg.Syncer = true, anySyncer(t)
			}
			app := brokertest.Open(t, js.Conn(), cfg)
			if relayed {
				brokertest.Gather(t, app)
			}
			ingressRecords(t, js, app)
		})
	}
}

func ingressRecords(t *testing.T, js jetstream.JetStream, app *broker.App) {
	t.Helper()
	targets := func(in actor.TypeName, _ uint64) ([]actor.TypeName, string, bool) {
		switch in.Name {
		case "two":
			return []actor.TypeName{{Namespace: "a", Name: "f"}, {Namespace: "b", Name: "g"}}, "", true
		case "typed":
			return []actor.TypeName{{Namespace: "a", Name: "f"}}, "x/y", true
		}
		return nil, "", false
	}
	publish(t, js, "app.ingress.ns.two.k=2E1", "hi")
	publish(t, js, "app.ingress.ns.typed.k", "\xff")
	publish(t, js, "app.ingress.ns.unknown.k", "hi")
	publish(t, js, "app.ingress.ns.two", "hi")
	publish(t, js, "app.ingress.ns.two.a.b", "hi")
	publish(t, js, "app.ingress.ns.two.ü", "hi")
	got := read(t, app, actor.SourceIngress, 1, 6, targets)
	type want struct {
		partition int
		inputs    []actor.Envelope
		detail    string
	}
	raw := actor.Value{Type: "x/y", Data: []byte{0xff}}
	for i, w := range []want{
		{actor.PartitionOf("k.1", 4), []actor.Envelope{{Target: address("a", "f", "k.1"), Value: text("hi")}, {Target: address("b", "g", "k.1"), Value: text("hi")}}, ""},
		{actor.PartitionOf("k", 4), []actor.Envelope{{Target: address("a", "f", "k"), Value: raw}}, ""},
		{actor.PartitionOf("k", 4), []actor.Envelope{{Target: address("", "", "k"), Value: text("hi")}}, "ns/unknown"},
		{0, []actor.Envelope{{Value: text("hi")}}, "app.ingress.<namespace>.<name>.<key>"},
		{0, []actor.Envelope{{Value: text("hi")}}, "app.ingress.<namespace>.<name>.<key>"},
		{-1, []actor.Envelope{{Target: address("", "", "ü"), Value: text("hi")}}, "app.ingress.ns.two.=C3=BC"},
	} {
		d := got[i].Delivery
		if w.partition >= 0 && got[i].Partition != w.partition {
			t.Errorf("record %d is for partition %d, want %d", i, got[i].Partition, w.partition)
		}
		var envelopes []actor.Envelope
		for _, in := range d.Inputs {
			envelopes = append(envelopes, in.Envelope)
			if in.Problem == nil && w.detail != "" || in.Problem != nil && (w.detail == "" || in.Problem.Reason != actor.ReasonBadAddress || !strings.Contains(in.Problem.Detail, w.detail)) {
				t.Errorf("record %d has problem %+v, want %q", i, in.Problem, w.detail)
			}
		}
		if diff := cmp.Diff(w.inputs, envelopes, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(actor.Envelope{}, "StoredAt")); diff != "" {
			t.Errorf("record %d (-want +got):\n%s", i, diff)
		}
		again, err := app.Ports(got[i].Partition).Inbox.Fetch(t.Context(), actor.SourceIngress, d.Seq)
		if diff := cmp.Diff(d, again); err != nil || diff != "" {
			t.Errorf("Fetch = %v (-fed +fetched):\n%s", err, diff)
		}
	}
}

func TestPartitionZeroTrimsWhatHasNoPartition(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	bad := publish(t, js, "app.fn.only.two", "x")
	noKey := publish(t, js, "app.ingress.ns.in", "x")
	for source, seq := range map[actor.Source]uint64{actor.SourceMailbox: bad, actor.SourceIngress: noKey} {
		for p := 3; p >= 0; p-- {
			if err := app.Ports(p).Inbox.Trim(t.Context(), source, seq+1); err != nil {
				t.Fatal(err)
			}
			_, err := app.Ports(0).Inbox.Fetch(t.Context(), source, seq)
			if gone := errors.Is(err, actor.ErrNotFound); gone != (p == 0) {
				t.Errorf("%s message after partition %d trimmed: %v", source, p, err)
			}
		}
	}
}
