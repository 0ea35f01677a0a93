package gateway_test

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

func TestAnswersThatBreakTheProtocolSayHow(t *testing.T) {
	t.Parallel()
	target := &pb.Address{Namespace: "example", Type: "other", Id: "x"}
	long := strings.Repeat("€", 1500)
	mutation := func(kind int32, name, typename string) []byte {
		return result(t, &pb.FromFunction_InvocationResponse{StateMutations: []*pb.FromFunction_PersistedValueMutation{{
			MutationType: pb.FromFunction_PersistedValueMutation_MutationType(kind), StateName: name,
			StateValue: &pb.TypedValue{Typename: typename},
		}}})
	}
	send := func(a *pb.Address) []byte {
		return result(t, &pb.FromFunction_InvocationResponse{OutgoingMessages: []*pb.FromFunction_Invocation{{Target: a}}})
	}
	delayed := func(d *pb.FromFunction_DelayedInvocation) []byte {
		return result(t, &pb.FromFunction_InvocationResponse{DelayedInvocations: []*pb.FromFunction_DelayedInvocation{d}})
	}
	for name, c := range map[string]struct {
		answer []byte
		kind   actor.FailureKind
		reason string
		says   string
	}{
		"garbage":                     {[]byte("\xff\xff\xff"), actor.Answered, actor.ReasonProtocol, "no FromFunction"},
		"text that parses":            {[]byte("h!"), actor.Answered, actor.ReasonProtocol, "neither a result"},
		"an unnamed missing state":    {incomplete(t, ""), actor.Answered, actor.ReasonProtocol, "no name"},
		"an unknown state":            {mutation(1, "other", "t/t"), actor.Final, actor.ReasonProtocol, `"other"`},
		"deleting an unknown state":   {mutation(0, "other", ""), actor.Final, actor.ReasonProtocol, `"other"`},
		"a state of another type":     {mutation(1, "seen", "t/other"), actor.Final, actor.ReasonBadType, "t/other"},
		"a state without a type":      {mutation(1, "seen", ""), actor.Final, actor.ReasonBadType, "io.statefun.types/int"},
		"an unknown kind of mutation": {mutation(7, "seen", "t/t"), actor.Final, actor.ReasonProtocol, "7"},
		"no target":                   {send(nil), actor.Final, actor.ReasonBadAddress, "empty namespace"},
		"no id":                       {send(&pb.Address{Namespace: "a", Type: "b"}), actor.Final, actor.ReasonBadAddress, "empty id"},
		"a long id":                   {send(&pb.Address{Namespace: "a", Type: "b", Id: long}), actor.Final, actor.ReasonBadAddress, "limit is 3500"},
		"a negative delay":            {delayed(&pb.FromFunction_DelayedInvocation{DelayInMs: -1, Target: target}), actor.Final, actor.ReasonProtocol, "negative"},
		"a delay to nowhere":          {delayed(&pb.FromFunction_DelayedInvocation{DelayInMs: 1}), actor.Final, actor.ReasonBadAddress, "empty namespace"},
		"a cancellation of nothing":   {delayed(&pb.FromFunction_DelayedInvocation{IsCancellationRequest: true}), actor.Final, actor.ReasonProtocol, "token"},
		"an Any as protocol 2.x has":  {anyAsArgument(), actor.Final, actor.ReasonProtocol, "protocol 2.x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
				if len(readCall(t, r).GetState()) == 0 && !strings.Contains(c.says, "no name") {
					answering(incomplete(t, "seen"))(w, r)
					return
				}
				answering(c.answer)(w, r)
			})
			_, err := fn.Invoke(t.Context(), oneHello())
			wantFailure(t, err, c.kind, c.reason, c.says)
		})
	}
}

// anyAsArgument is a result with one message to a/b/c whose argument has
// bytes in field 2, where protocol 3.x has a bool.
func anyAsArgument() []byte {
	argument := "\x0a\x03t/t\x12\x01x"
	message := "\x0a\x09\x0a\x01a\x12\x01b\x1a\x01c\x12\x08" + argument
	return []byte("\xa2\x06\x17\x12\x15" + message)
}

func TestStatesKeepTheirTypeAndIgnoreHasValue(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
		if len(readCall(t, r).GetState()) == 0 {
			answering(incomplete(t, "seen"))(w, r)
			return
		}
		answering(result(t, &pb.FromFunction_InvocationResponse{StateMutations: []*pb.FromFunction_PersistedValueMutation{
			{MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: "seen", StateValue: &pb.TypedValue{Typename: "io.statefun.types/int"}},
		}}))(w, r)
	})
	got, err := fn.Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	if m := got.Mutations[0]; m.Delete || m.Value.Type != "io.statefun.types/int" || len(m.Value.Data) != 0 {
		t.Errorf("MODIFY without has_value = %+v, want the value of no bytes", m)
	}
}

func TestAStateDeclaredWithoutATypeIsUnset(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
		if len(readCall(t, r).GetState()) == 0 {
			answering(marshal(t, &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
				IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{
					MissingValues: []*pb.FromFunction_PersistedValueSpec{{StateName: "raw"}},
				},
			}}))(w, r)
			return
		}
		answering(result(t, &pb.FromFunction_InvocationResponse{StateMutations: []*pb.FromFunction_PersistedValueMutation{
			{MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: "raw", StateValue: &pb.TypedValue{Value: []byte("x")}},
		}}))(w, r)
	})
	got, err := fn.Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	if got.Mutations[0].Value.Type != "io.statefun.types/unset" {
		t.Errorf("the state's type = %q, want io.statefun.types/unset", got.Mutations[0].Value.Type)
	}
}

func TestALongDelayDoesNotOverflow(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, answering(result(t, &pb.FromFunction_InvocationResponse{DelayedInvocations: []*pb.FromFunction_DelayedInvocation{
		{DelayInMs: math.MaxInt64, Target: &pb.Address{Namespace: "a", Type: "b", Id: "c"}},
		{DelayInMs: 0, Target: &pb.Address{Namespace: "a", Type: "b", Id: "c"}},
	}})))
	got, err := fn.Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	if got.Delayed[0].Delay != math.MaxInt64 || got.Delayed[1].Delay != 0 {
		t.Errorf("delays = %s and %s, want the longest and none", got.Delayed[0].Delay, got.Delayed[1].Delay)
	}
}

func TestWhatIsNotUTF8CanNotBeSent(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, answering(nil))
	bad := actor.Address{Type: greeter, ID: "\xff"}
	for name, c := range map[string]struct {
		batch  actor.Batch
		reason string
	}{
		"target": {actor.Batch{Target: bad, Envelopes: []actor.Envelope{{Target: bad, Value: hello}}}, actor.ReasonBadAddress},
		"caller": {actor.Batch{Target: bob, Envelopes: []actor.Envelope{{Target: bob, Caller: bad, Value: hello}}}, actor.ReasonBadAddress},
		"type":   {actor.Batch{Target: bob, Envelopes: []actor.Envelope{{Target: bob, Value: actor.Value{Type: "\xff"}}}}, actor.ReasonBadType},
	} {
		_, err := fn.Invoke(t.Context(), &c.batch)
		if e := invokeError(t, err); e.Kind != actor.Final || e.Reason != c.reason {
			t.Errorf("Invoke with a %s of broken UTF-8 = kind %d, reason %s, want final, %s", name, e.Kind, e.Reason, c.reason)
		}
	}
}

// FuzzInvoke answers with any bytes: what comes out obeys actor's rules, or
// is an *actor.InvokeError.
func FuzzInvoke(f *testing.F) {
	for _, file := range []string{"from_incomplete.bin", "from_result_first.bin", "from_result_batch3.bin", "from_cancel_only.bin", "from_empty.bin"} {
		f.Add(golden(f, file))
	}
	f.Add(anyAsArgument())
	var answer atomic.Pointer[[]byte]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answering(*answer.Load())(w, r) }))
	f.Cleanup(server.Close)
	e := endpointAt(f, server.URL, gateway.Transport{Call: 10 * time.Second})
	n := 0
	f.Fuzz(func(t *testing.T, body []byte) {
		answer.Store(&body)
		n++ // another type each time, of which nothing is known
		fn := e.Function(actor.TypeName{Namespace: "example", Name: strconv.Itoa(n)})
		got, err := fn.Invoke(t.Context(), oneHello())
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
			if d.Cancel && d.Token == "" || !d.Cancel && (d.Delay < 0 || d.Target.Check() != nil) {
				t.Errorf("Invoke(%x) delays %+v", body, d)
			}
		}
		if len(got.Mutations) > 0 {
			t.Errorf("Invoke(%x) changes states that were never declared: %+v", body, got.Mutations)
		}
	})
}
