package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// orders makes a stream of somebody else, with n records orders.<i%3>.k<i>.
func orders(t *testing.T, js jetstream.JetStream, n int, change ...func(*jetstream.StreamConfig)) jetstream.Stream {
	t.Helper()
	cfg := jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}
	for _, c := range change {
		c(&cfg)
	}
	stream, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		publish(t, js, fmt.Sprintf("orders.%d.k%d", i%3, i), strconv.Itoa(i))
	}
	return stream
}

func ordersIngress() broker.ForeignConfig {
	return broker.ForeignConfig{
		Ingress: actor.TypeName{Namespace: "ns", Name: "orders"}, Stream: "ORDERS",
		Targets: []actor.TypeName{{Namespace: "ns", Name: "one"}, {Namespace: "ns", Name: "two"}},
	}
}

func openForeign(t *testing.T, app *broker.App, cfg broker.ForeignConfig) *broker.Foreign {
	t.Helper()
	f, err := app.OpenForeign(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// records feeds from start on until n records have come.
func records(t *testing.T, f *broker.Foreign, start uint64, n int) []actor.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []actor.Delivery
	err := f.Feed(ctx, "host.1-abc", start, func(_ context.Context, p int, d actor.Delivery) error {
		if p != f.Partition() || d.Source != f.Source() || len(d.Inputs) != 1 {
			return fmt.Errorf("delivery %+v to partition %d", d, p)
		}
		if got = append(got, d); len(got) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("Feed = %v after %d records, want %d", err, len(got), n)
	}
	return got
}

func keys(list []actor.Delivery) string {
	var out []string
	for _, d := range list {
		out = append(out, d.Inputs[0].Envelope.Target.ID)
	}
	return strings.Join(out, " ")
}

func TestRecordsOfAnExistingStreamGoToAllTargets(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	orders(t, js, 0)
	publish(t, js, "orders.eu.42", "x", "Jetfn-Type", "a/b", "Jetfn-Delay", "1h")
	publish(t, js, "orders.eu.a=2Eb", "y")
	publish(t, js, "orders.eu.a=2eb", "z")
	publish(t, js, "orders.eu.grüße", "\xff")
	f := openForeign(t, app, ordersIngress())
	got := records(t, f, 0, 4)
	want := actor.Input{
		Envelope: actor.Envelope{Target: address("ns", "one", "42"), Value: actor.Value{Type: "a/b", Data: []byte("x")}},
		Route:    &actor.Route{Targets: ordersIngress().Targets},
	}
	if diff := cmp.Diff(want, got[0].Inputs[0]); diff != "" {
		t.Errorf("first input (-want +got):\n%s", diff)
	}
	if text := keys(got); text != "42 a.b a=2eb grüße" {
		t.Errorf("keys = %q, want escaped ones unescaped and the others as they are", text)
	}
	if in := got[3].Inputs[0]; in.Problem == nil || in.Problem.Reason != actor.ReasonBadType || in.Route == nil {
		t.Errorf("the record that is no text = %+v, want a problem that is routed", in)
	}
	if text := keys(records(t, f, 3, 2)); text != "a=2eb grüße" {
		t.Errorf("keys from 3 on = %q", text)
	}
}

func TestAConsumersFilterAndPositionAreTakenOverOnce(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	stream := orders(t, js, 12)
	c, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "old", FilterSubjects: []string{"orders.0.*", "orders.1.*"}, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	acknowledge := func(n int) {
		t.Helper()
		for range n {
			m, err := c.Next()
			if err == nil {
				err = m.DoubleAck(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	acknowledge(3) // k0, k1, k3
	cfg := ordersIngress()
	cfg.Consumer = "old"
	if got := keys(records(t, openForeign(t, app, cfg), 0, 5)); got != "k4 k6 k7 k9 k10" {
		t.Errorf("keys = %q, want those behind the consumer's position", got)
	}
	acknowledge(2)
	if err := stream.DeleteConsumer(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	if got := keys(records(t, openForeign(t, app, cfg), 0, 5)); got != "k4 k6 k7 k9 k10" {
		t.Errorf("keys at the next start = %q, want them from where it began", got)
	}
}

func TestOnlyTheSubjectIsRead(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	orders(t, js, 9)
	cfg := ordersIngress()
	cfg.Subject = "orders.2.>"
	if got := keys(records(t, openForeign(t, app, cfg), 0, 3)); got != "k2 k5 k8" {
		t.Errorf("keys = %q, want those of orders.2", got)
	}
}

func TestStreamsThatCanNotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg    func(*broker.ForeignConfig)
		stream func(*jetstream.StreamConfig)
		want   string
	}{
		"no stream":    {cfg: func(c *broker.ForeignConfig) { c.Stream = "OTHER" }, want: `no stream "OTHER"`},
		"no subject":   {cfg: func(c *broker.ForeignConfig) { c.Subject = "order.>" }, want: "orders.>"},
		"no consumer":  {cfg: func(c *broker.ForeignConfig) { c.Consumer = "none" }, want: `no consumer "none"`},
		"other filter": {cfg: func(c *broker.ForeignConfig) { c.Consumer, c.Subject = "all", "orders.1.*" }, want: "leave the subject out"},
		"work queue":   {stream: func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, want: "acknowledg"},
		"interest":     {stream: func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, want: "acknowledg"},
		"own mailbox":  {cfg: func(c *broker.ForeignConfig) { c.Stream = "APP_MAILBOX" }, want: "jetfn's own"},
		"own egress":   {cfg: func(c *broker.ForeignConfig) { c.Stream = "APP_EGRESS" }, want: "name the subject"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := brokertest.Start(t)
			app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
			var changes []func(*jetstream.StreamConfig)
			if c.stream != nil {
				changes = append(changes, c.stream)
			}
			stream := orders(t, js, 0, changes...)
			if c.stream == nil {
				if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "all"}); err != nil {
					t.Fatal(err)
				}
			}
			cfg := ordersIngress()
			if c.cfg != nil {
				c.cfg(&cfg)
			}
			if _, err := app.OpenForeign(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("OpenForeign = %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestAnotherStreamUnderTheSameNameIsRefused(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	orders(t, js, 1)
	openForeign(t, app, ordersIngress())
	if err := js.DeleteStream(t.Context(), "ORDERS"); err != nil {
		t.Fatal(err)
	}
	orders(t, js, 1)
	if _, err := app.OpenForeign(t.Context(), ordersIngress()); err == nil || !strings.Contains(err.Error(), "created anew") {
		t.Errorf("OpenForeign of a new stream = %v, want an error", err)
	}
	cfg := ordersIngress()
	cfg.Stream = "APP_EGRESS"
	cfg.Subject = "app.egress.>"
	if _, err := app.OpenForeign(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "so far") {
		t.Errorf("OpenForeign of another stream = %v, want an error", err)
	}
}

func TestRecordsThatWereRemovedBeforeTheyWereReadAreCounted(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	stream := orders(t, js, 10)
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(3)); err != nil {
		t.Fatal(err)
	}
	f := openForeign(t, app, ordersIngress())
	if got := keys(records(t, f, 0, 1)); got != "k2" || f.Missed() != 0 {
		t.Errorf("read %q first and missed %d, want k2: what was there at the start is nobody's loss", got, f.Missed())
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(6)); err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if got := keys(records(t, f, 4, 3)); got != "k5 k7 k8" || f.Missed() != 3 {
		t.Errorf("read %q and missed %d, want k5 k7 k8 and 3", got, f.Missed())
	}
}

func TestAnExistingStreamIsReadOnAfterItsConsumerIsGone(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: 4})
	stream := orders(t, js, 2000)
	f := openForeign(t, app, ordersIngress())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := uint64(1)
	err := f.Feed(ctx, "host.1-abc", 1, func(ctx context.Context, _ int, d actor.Delivery) error {
		if d.Seq != next {
			return fmt.Errorf("record %d where %d was due", d.Seq, next)
		}
		next++
		switch d.Seq {
		case 700:
			return stream.DeleteConsumer(ctx, "host-1-abc_ns_orders")
		case 2000:
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("Feed = %v after %d records", err, next-1)
	}
}
