package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	pb "github.com/jetfn/jetfn/internal/wire/polyglot"
	pb3 "github.com/jetfn/jetfn/internal/wire/reqreply"
)

const (
	bytesType  = "io.jetfn.types/bytes"
	stringURL  = "type.googleapis.com/google.protobuf.StringValue"
	int32URL   = "type.googleapis.com/google.protobuf.Int32Value"
	kafkaURL   = "type.googleapis.com/org.apache.flink.statefun.flink.io.KafkaProducerRecord"
	kinesisURL = "type.googleapis.com/org.apache.flink.statefun.flink.io.KinesisEgressRecord"
)

// endpoint2 is an endpoint of protocol 2.x.
func endpoint2(tb testing.TB, url string, states ...gateway.StateSpec) *gateway.Endpoint {
	tb.Helper()
	e, err := gateway.NewEndpoint(gateway.EndpointConfig{
		URLTemplate: url, Protocol: gateway.Protocol2, States: states,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	return e
}

// greeter2 is example/greeter of protocol 2.x, with the states seen and last,
// as h serves it.
func greeter2(tb testing.TB, h http.HandlerFunc) actor.Function {
	tb.Helper()
	return endpoint2(tb, functionServer(tb, h).URL, gateway.StateSpec{Name: "seen"}, gateway.StateSpec{Name: "last"}).Function(greeter)
}

// result2 is an answer of protocol 2.x.
func result2(tb testing.TB, r *pb.FromFunction_InvocationResponse) []byte {
	tb.Helper()
	data, err := proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: r}})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestProtocol2CallsAndAnswersAreThoseOfTheRealSDK(t *testing.T) {
	t.Parallel()
	noop := actor.TypeName{Namespace: "example", Name: "noop"}
	other := actor.Address{Type: actor.TypeName{Namespace: "example", Name: "other"}, ID: "7"}
	fortyOne := actor.Value{Type: bytesType, Data: append([]byte("\x0a\x2e"+int32URL+"\x12\x02"), 0x08, 0x29)}
	for name, c := range map[string]struct {
		call, answer string
		states       []gateway.StateSpec
		batch        actor.Batch
		want         *actor.Effects
	}{
		"first": {
			"v2/to_no_value.bin", "v2/from_first.bin",
			[]gateway.StateSpec{{Name: "seen"}, {Name: "last"}},
			*oneHello(), first2(),
		},
		"noop": {
			"v2/to_noop.bin", "v2/from_noop.bin", nil,
			actor.Batch{Target: actor.Address{Type: noop, ID: "Bob"}, Envelopes: oneHello().Envelopes},
			&actor.Effects{},
		},
		"batch": {
			"v2/to_with_value_batch2.bin", "v2/from_batch2.bin",
			[]gateway.StateSpec{{Name: "seen"}, {Name: "last"}},
			actor.Batch{
				Target: bob,
				State:  actor.State{{Name: "gone", Value: hello}, {Name: "seen", Value: fortyOne}},
				Envelopes: []actor.Envelope{
					{Target: bob, Value: hello},
					{Target: bob, Value: actor.Value{Type: stringURL, Data: hello.Data}, Caller: other},
				},
			},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(golden(t, c.call), body); diff != "" {
					t.Errorf("the call differs from %s (-want +got):\n%s", c.call, diff)
				}
				w.Header().Set("Content-Type", octetStream)
				_, _ = w.Write(golden(t, c.answer))
			})
			got, err := endpoint2(t, server.URL, c.states...).Function(c.batch.Target.Type).Invoke(t.Context(), &c.batch)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				c.want = batch2()
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("effects of %s (-want +got):\n%s", c.answer, diff)
			}
		})
	}
}

// The pieces of the real SDK's answers.
func int2(n byte) actor.Value { return actor.Value{Type: int32URL, Data: []byte{0x08, n}} }

func send2(id string, n byte) actor.Send {
	return actor.Send{Target: actor.Address{Type: actor.TypeName{Namespace: "example", Name: "other"}, ID: id}, Value: int2(n)}
}

func delayed2(n byte) actor.Delayed {
	s := send2("late", n)
	return actor.Delayed{Delay: 1500 * time.Millisecond, Target: s.Target, Value: s.Value}
}

func egress2(n byte) []actor.EgressMessage {
	return []actor.EgressMessage{
		{ID: actor.TypeName{Namespace: "example", Name: "out"}, Value: actor.Value{
			Type: kafkaURL, Data: []byte("\x0a\x03Bob\x12\x02\x08" + string(n) + "\x1a\x06greets"),
		}},
		{ID: actor.TypeName{Namespace: "example", Name: "kout"}, Value: actor.Value{
			Type: kinesisURL, Data: []byte("\x0a\x02pk\x12\x02\x08" + string(n) + "\x1a\x02st\x22\x019"),
		}},
	}
}

func seen2(n byte) actor.Mutation {
	return actor.Mutation{Name: "seen", Value: actor.Value{Type: bytesType, Data: []byte("\x0a\x2e" + int32URL + "\x12\x02\x08" + string(n))}}
}

func first2() *actor.Effects {
	return &actor.Effects{
		Sends: []actor.Send{send2("x", 1)}, Delayed: []actor.Delayed{delayed2(1)}, Egress: egress2(1),
		Mutations: []actor.Mutation{seen2(1), {Name: "last", Delete: true}},
	}
}

func batch2() *actor.Effects {
	return &actor.Effects{
		Sends:     []actor.Send{send2("x", 42), send2("x", 43), send2("7", 43)},
		Delayed:   []actor.Delayed{delayed2(42), delayed2(43)},
		Egress:    append(egress2(42), egress2(43)...),
		Mutations: []actor.Mutation{seen2(43)},
	}
}

func TestProtocol2AnswersThatBreakTheProtocolSayHow(t *testing.T) {
	t.Parallel()
	mutation := func(kind int32, name string) []byte {
		return result2(t, &pb.FromFunction_InvocationResponse{StateMutations: []*pb.FromFunction_PersistedValueMutation{{
			MutationType: pb.FromFunction_PersistedValueMutation_MutationType(kind), StateName: name,
		}}})
	}
	to := &pb.Address{Namespace: "a", Type: "b", Id: "c"}
	typed := result(t, &pb3.FromFunction_InvocationResponse{OutgoingMessages: []*pb3.FromFunction_Invocation{{
		Target: &pb3.Address{Namespace: "a", Type: "b", Id: "c"}, Argument: &pb3.TypedValue{Typename: "t/t", HasValue: true, Value: []byte("x")},
	}}})
	for name, c := range map[string]struct {
		answer []byte
		kind   actor.FailureKind
		reason string
		says   string
	}{
		"garbage":                   {[]byte("\xff\xff\xff"), actor.Answered, actor.ReasonProtocol, "no FromFunction"},
		"text that parses":          {[]byte("h!"), actor.Answered, actor.ReasonProtocol, "no result"},
		"an undeclared state":       {mutation(1, "other"), actor.Final, actor.ReasonProtocol, `"other" is changed but was never declared`},
		"deleting an undeclared":    {mutation(0, "other"), actor.Final, actor.ReasonProtocol, "or the module those of protocol 2.x"},
		"a question for states":     {incomplete(t, "seen"), actor.Final, actor.ReasonProtocol, "protocol 3.x"},
		"a TypedValue":              {typed, actor.Final, actor.ReasonProtocol, "protocol 3.x"},
		"no target":                 {result2(t, &pb.FromFunction_InvocationResponse{OutgoingMessages: []*pb.FromFunction_Invocation{{}}}), actor.Final, actor.ReasonBadAddress, "empty namespace"},
		"a negative delay":          {result2(t, &pb.FromFunction_InvocationResponse{DelayedInvocations: []*pb.FromFunction_DelayedInvocation{{DelayInMs: -1, Target: to}}}), actor.Final, actor.ReasonProtocol, "negative"},
		"a delayed one without aim": {result2(t, &pb.FromFunction_InvocationResponse{DelayedInvocations: []*pb.FromFunction_DelayedInvocation{{DelayInMs: 1}}}), actor.Final, actor.ReasonBadAddress, "empty namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := greeter2(t, answering(c.answer)).Invoke(t.Context(), oneHello())
			wantFailure(t, err, c.kind, c.reason, c.says)
		})
	}
}

func TestProtocol2PassesOverUnknownKindsOfMutation(t *testing.T) {
	t.Parallel()
	got, err := greeter2(t, answering(result2(t, &pb.FromFunction_InvocationResponse{
		StateMutations: []*pb.FromFunction_PersistedValueMutation{
			{MutationType: 7, StateName: "other"},
			{MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: "seen"},
		},
	}))).Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	want := &actor.Effects{Mutations: []actor.Mutation{{Name: "seen", Value: actor.Value{Type: bytesType}}}}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestProtocol2RefusesWhatHasNoFormThere(t *testing.T) {
	t.Parallel()
	fn := greeter2(t, answering(nil))
	b := oneHello()
	b.Envelopes[0].Value.Data = []byte("no StringWrapper")
	_, err := fn.Invoke(t.Context(), b)
	wantFailure(t, err, actor.Final, actor.ReasonBadType, "no io.statefun.types/string")

	b = oneHello()
	b.State = actor.State{{Name: "seen", Value: hello}} // as a function of protocol 3.x left it
	_, err = fn.Invoke(t.Context(), b)
	wantFailure(t, err, actor.Final, actor.ReasonBadType, "io.statefun.types/string, but is declared with the type io.jetfn.types/bytes")
}

func TestOnlyProtocol2HasStatesFromOutside(t *testing.T) {
	t.Parallel()
	_, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: "http://host/", States: []gateway.StateSpec{{Name: "x"}}})
	if err == nil {
		t.Error("NewEndpoint with states of protocol 3.x = nil, want an error")
	}
}

// FuzzInvoke2 answers with any bytes: what comes out obeys actor's rules, or
// is an *actor.InvokeError.
func FuzzInvoke2(f *testing.F) {
	for _, file := range []string{"v2/from_first.bin", "v2/from_batch2.bin", "from_incomplete.bin", "from_result_batch3.bin"} {
		f.Add(golden(f, file))
	}
	var answer atomic.Pointer[[]byte]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answering(*answer.Load())(w, r) }))
	f.Cleanup(server.Close)
	e := endpoint2(f, server.URL, gateway.StateSpec{Name: "seen"}, gateway.StateSpec{Name: "last", ExpireAfter: time.Hour})
	n := 0
	f.Fuzz(func(t *testing.T, body []byte) {
		answer.Store(&body)
		n++
		got, err := e.Function(actor.TypeName{Namespace: "example", Name: strconv.Itoa(n)}).Invoke(t.Context(), oneHello())
		var failed *actor.InvokeError
		if err != nil {
			if !errors.As(err, &failed) || failed.Reason == "" || failed.Reason == actor.ReasonTimeout {
				t.Fatalf("Invoke(%x) = %v", body, err)
			}
			return
		}
		for _, s := range got.Sends {
			if err := s.Target.Check(); err != nil {
				t.Errorf("Invoke(%x) sends to a bad address: %v", body, err)
			}
		}
		for _, d := range got.Delayed {
			if d.Cancel || d.Delay < 0 || d.Target.Check() != nil {
				t.Errorf("Invoke(%x) delays %+v", body, d)
			}
		}
		for _, m := range got.Mutations {
			if m.Name != "seen" && m.Name != "last" || !m.Delete && m.Value.Type != bytesType {
				t.Errorf("Invoke(%x) changes %+v", body, m)
			}
		}
	})
}
