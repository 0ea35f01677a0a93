package broker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

// stored returns the only input of a delivery that a receipt names.
func storedInput(t *testing.T, app *broker.App, r broker.Receipt) actor.Input {
	t.Helper()
	d, err := app.Ports(r.Partition).Inbox.Fetch(patiently(t), actor.SourceMailbox, r.Seq)
	if err != nil {
		t.Fatal(err)
	}
	return d.Inputs[r.Index]
}

func TestAWorkersOwnMessagesReachItsOwnFunctionsAndHaveACaller(t *testing.T) {
	t.Parallel()
	server := brokertest.StartServer(t, "app")
	nc := brokertest.Connect(t, server)
	caller := actor.WaitingCaller("g", "c")
	for name, gate := range map[string]bool{"direct": false, "gate": true} {
		app := brokertest.Open(t, nc, broker.Config{App: "app", Partitions: 4, Gate: gate, PublishTimeout: patience})
		if gate {
			defer brokertest.Gather(t, app)()
		}
		for _, to := range []actor.Address{address("ns", "fn", "x y"), {Type: actor.CallerType(), ID: "k-1"}} {
			r, err := app.Send(t.Context(), broker.SendRequest{Target: to, Value: actor.Value{Type: "a/b", Data: []byte("v")}, Own: true, Caller: caller})
			if err != nil {
				t.Fatalf("%s: Send to %s: %v", name, to, err)
			}
			in := storedInput(t, app, r)
			if in.Problem != nil || in.Envelope.Target != to || in.Envelope.Caller != caller || in.Envelope.Value.Type != "a/b" || string(in.Envelope.Value.Data) != "v" {
				t.Errorf("%s: input = %+v, %+v", name, in.Envelope, in.Problem)
			}
		}
		for what, r := range map[string]broker.SendRequest{
			"to jetfn's own":    {Target: actor.Address{Type: actor.CallerType(), ID: "k-1"}, Value: actor.Value{Type: "a/b"}},
			"that has a caller": {Target: address("ns", "fn", "x"), Value: actor.Value{Type: "a/b"}, Caller: caller},
		} {
			if _, err := app.Send(t.Context(), r); !errors.Is(err, actor.ErrBadAddress) {
				t.Errorf("%s: Send %s = %v, want ErrBadAddress", name, what, err)
			}
		}
		large := broker.SendRequest{Target: address("ns", "fn", "x"), Value: actor.Value{Type: "a/b", Data: make([]byte, nc.MaxPayload())}, Own: true}
		if _, err := app.Send(t.Context(), large); !errors.Is(err, broker.ErrTooLarge) {
			t.Errorf("%s: Send of a large message = %v, want ErrTooLarge", name, err)
		}
		large.Value.Data = large.Value.Data[:len(large.Value.Data)-1400]
		if r, err := app.Send(t.Context(), large); err != nil || len(storedInput(t, app, r).Envelope.Value.Data) != len(large.Value.Data) {
			t.Errorf("%s: Send of a message that just fits = %+v, %v", name, r, err)
		}
	}
}

func TestOutsideMessagesToJetfnsOwnFunctionsBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	server := brokertest.StartServer(t, "app")
	targets := func(actor.TypeName, uint64) ([]actor.TypeName, string, bool) {
		return []actor.TypeName{actor.CallerType()}, "", true
	}
	app := brokertest.Open(t, brokertest.Connect(t, server), broker.Config{App: "app", Partitions: 1, Targets: targets})
	outsider, err := nats.Connect("nats://" + server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer outsider.Close()
	for subject, source := range map[string]actor.Source{"app.fn.jetfn.caller.k-1": actor.SourceMailbox, "app.ingress.a.b.k-1": actor.SourceIngress} {
		m := &nats.Msg{Subject: subject, Data: []byte("hello"), Header: nats.Header{"Jetfn-Caller": {"jetfn.caller.w-g-c"}}}
		if _, err := outsider.RequestMsg(m, patience); err != nil {
			t.Fatal(err)
		}
		d, err := app.Ports(0).Inbox.Fetch(t.Context(), source, 1)
		if err != nil {
			t.Fatal(err)
		}
		in := d.Inputs[0]
		if in.Problem == nil || in.Problem.Reason != actor.ReasonBadAddress || !strings.Contains(in.Problem.Detail, "jetfn's own") || !in.Envelope.Caller.IsZero() {
			t.Errorf("%s: input = %+v, %+v; want bad-address", subject, in.Envelope, in.Problem)
		}
	}
}

func TestRepliesReachTheGatewayThatTheyAreFor(t *testing.T) {
	t.Parallel()
	server := brokertest.StartServer(t, "app")
	app := brokertest.Open(t, brokertest.Connect(t, server), broker.Config{App: "app", Partitions: 1})
	got := make(chan actor.Envelope, 10)
	stop, err := app.HearReplies(t.Context(), "g", func(e *actor.Envelope) { got <- *e })
	if err != nil {
		t.Fatal(err)
	}
	reply := actor.Envelope{
		Target: actor.WaitingCaller("g", "c"), Caller: address("ns", "fn", "x"),
		Value: actor.Value{Type: "a/b", Data: []byte("v")}, Trace: actor.Trace{Parent: "p"},
	}
	other, made, large := reply, reply, reply
	other.Target = actor.WaitingCaller("other", "c")
	made.Target.ID = "w-a.b.*.>-c"
	large.Value.Data = make([]byte, 9<<20)
	for _, e := range []actor.Envelope{other, made, {Target: address("ns", "fn", "x")}, reply, large} {
		app.Reply(&e)
	}
	if e := <-got; e.Target != reply.Target || e.Caller != reply.Caller || string(e.Value.Data) != "v" || e.Trace != reply.Trace {
		t.Errorf("reply = %+v, want %+v", e, reply)
	}
	e := <-got
	if f, err := actor.ParseFailure(e.Value); err != nil || e.Value.Type != actor.FailureType || f.Reason != actor.ReasonLimit || !e.Caller.IsZero() {
		t.Errorf("large reply = %s %+v (%v), want a failure that names the limit", e.Value.Type, f, err)
	}
	outsider, err := nats.Connect("nats://"+server.Addr(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer outsider.Close()
	if err := errors.Join(outsider.Publish("app.mark.reply.g", actor.AppendEnvelope(nil, &reply)), outsider.Flush()); err != nil {
		t.Fatal(err)
	}
	app.Reply(&reply)
	<-got
	stop()
	if len(got) > 0 {
		t.Errorf("another reply: %+v", <-got)
	}
}

func TestTheServicesVersionIsSemantic(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-4-gabc-dirty": "1.2.3-4-gabc-dirty", "devel": "0.0.0", "": "0.0.0", "v1.2": "0.0.0", "1.2.3+x.y": "1.2.3+x.y",
	} {
		if got := broker.Semver(version); got != want {
			t.Errorf("version %q = %q, want %q", version, got, want)
		}
	}
	if got := broker.OneLine(" a\r\nb\t" + strings.Repeat("é", 600)); strings.ContainsAny(got, "\r\n\t") || len(got) > 1010 || !slices.Contains(strings.Fields(got), "a") {
		t.Errorf("one line = %q", got)
	}
}
