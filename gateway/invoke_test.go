package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

func TestInvokeLearnsStatesAsTheRealSDKDeclaresThem(t *testing.T) {
	t.Parallel()
	exchanges := []struct{ call, answer string }{
		{"to_first_no_state.bin", "from_incomplete.bin"},
		{"to_state_absent.bin", "from_result_first.bin"},
		{"to_state_present_batch3.bin", "from_result_batch3.bin"},
	}
	var n atomic.Int32
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
		x := exchanges[n.Add(1)-1]
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(golden(t, x.call), body); diff != "" {
			t.Errorf("the call differs from %s (-want +got):\n%s", x.call, diff)
		}
		w.Header().Set("Content-Type", octetStream)
		_, _ = w.Write(golden(t, x.answer))
	})

	got, err := fn.Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(firstEffects(), got); diff != "" {
		t.Errorf("effects of from_result_first (-want +got):\n%s", diff)
	}

	got, err = fn.Invoke(t.Context(), &actor.Batch{
		Target: bob,
		State: actor.State{
			{Name: "gone", Value: hello}, // never declared: not sent
			{Name: "last", Value: hello},
			{Name: "seen", Value: actor.Value{Type: "io.statefun.types/int", Data: []byte("\x0d\x29\x00\x00\x00")}},
		},
		Envelopes: []actor.Envelope{
			{Target: bob, Value: hello},
			{Target: bob, Value: hello, Caller: actor.Address{Type: actor.TypeName{Namespace: "example", Name: "other"}, ID: "7"}},
			{Target: bob, Value: actor.Value{Type: "io.statefun.types/long"}, Caller: bob},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(got.Sends)*10000+len(got.Delayed)*100+len(got.Egress)*10+len(got.Mutations), 5*10000+6*100+9*10+1; got != want {
		t.Errorf("effects of from_result_batch3 counted as %d, want %d", got, want)
	}
	if n.Load() != 3 {
		t.Errorf("the function was called %d times, want 3", n.Load())
	}
}

// firstEffects is what from_result_first says.
func firstEffects() *actor.Effects {
	other := func(id string) actor.Address {
		return actor.Address{Type: actor.TypeName{Namespace: "example", Name: "other"}, ID: id}
	}
	one := actor.Value{Type: "io.statefun.types/int", Data: []byte("\x0d\x01\x00\x00\x00")}
	return &actor.Effects{
		Sends: []actor.Send{{Target: other("x"), Value: one}},
		Delayed: []actor.Delayed{
			{Delay: 1500 * time.Millisecond, Target: other("late"), Value: actor.Value{Type: "io.statefun.types/bool", Data: []byte("\x08\x01")}},
			{Delay: time.Minute, Target: other("late2"), Value: actor.Value{Type: actor.StringType, Data: []byte("\x0a\x01x")}, Token: "tok-1"},
		},
		Egress: []actor.EgressMessage{
			{ID: actor.TypeName{Namespace: "example", Name: "out"}, Value: actor.Value{
				Type: "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord", Data: []byte("\x0a\x03Bob\x12\x02hi\x1a\x06greets"),
			}},
			{ID: actor.TypeName{Namespace: "example", Name: "kout"}, Value: actor.Value{
				Type: "type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord", Data: []byte("\x0a\x02pk\x12\x02\x01\x02\x1a\x01s\x22\x019"),
			}},
			{ID: actor.TypeName{Namespace: "example", Name: "generic"}, Value: actor.Value{Type: actor.StringType, Data: []byte("\x0a\x01g")}},
		},
		Mutations: []actor.Mutation{{Name: "seen", Value: one, ExpireAfter: time.Minute}, {Name: "last", Delete: true}},
	}
}

func TestInvokeTakesEveryGoldenAnswerWithoutEffects(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"from_noop.bin", "from_empty.bin", "from_result_empty.bin"} {
		fn := greeterAt(t, answering(golden(t, file)))
		got, err := fn.Invoke(t.Context(), oneHello())
		if err != nil {
			t.Fatalf("Invoke answered with %s = %v", file, err)
		}
		if diff := cmp.Diff(&actor.Effects{}, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("effects of %s (-want +got):\n%s", file, diff)
		}
	}
}

func TestInvokeReadsACancellation(t *testing.T) {
	t.Parallel()
	got, err := greeterAt(t, answering(golden(t, "from_cancel_only.bin"))).Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	want := &actor.Effects{Delayed: []actor.Delayed{{Cancel: true, Token: "tok-1"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestInvokeSendsTheHeadersThatFunctionsExpect(t *testing.T) {
	t.Parallel()
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	seen := make(chan *http.Request, 1)
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Clone(t.Context())
		answering(nil)(w, r)
	})
	b := oneHello()
	b.Envelopes = append(b.Envelopes,
		actor.Envelope{Target: bob, Value: hello, Trace: actor.Trace{Parent: parent, State: "a=1"}},
		actor.Envelope{Target: bob, Value: hello, Trace: actor.Trace{Parent: "00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-01"}})
	if _, err := fn.Invoke(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	r := <-seen
	for name, want := range map[string]string{
		"Content-Type": octetStream, "Accept": octetStream, "Accept-Encoding": "gzip,deflate",
		"Traceparent": parent, "Tracestate": "a=1", "User-Agent": "jetfn",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodPost || r.ContentLength <= 0 || r.ProtoMajor != 1 {
		t.Errorf("the call is a %s of HTTP/%d with %d bytes, want a POST of HTTP/1 with a length", r.Method, r.ProtoMajor, r.ContentLength)
	}
}

func TestInvokeStopsAFunctionThatAsksForStatesForEver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(n int) []byte
		calls  int32
	}{
		"nothing":             {func(int) []byte { return incomplete(t) }, 1},
		"what it was given":   {func(int) []byte { return incomplete(t, "seen") }, 2},
		"always another name": {func(n int) []byte { return incomplete(t, fmt.Sprintf("s%d", n)) }, 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
				answering(c.answer(int(calls.Add(1))))(w, r)
			})
			_, err := fn.Invoke(t.Context(), oneHello())
			if e := invokeError(t, err); e.Kind != actor.Answered || e.Reason != actor.ReasonProtocol {
				t.Errorf("Invoke = kind %d, reason %s, want answered, protocol: %v", e.Kind, e.Reason, e)
			}
			if calls.Load() != c.calls {
				t.Errorf("the function was called %d times, want %d", calls.Load(), c.calls)
			}
		})
	}
}

func TestInvokeLearnsFifteenTimesInARow(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		if got := len(stateNames(readCall(t, r))); got != n-1 {
			t.Errorf("call %d carries %d states, want %d", n, got, n-1)
		}
		if n <= 15 {
			answering(incomplete(t, fmt.Sprintf("s%d", n)))(w, r)
			return
		}
		answering(nil)(w, r)
	})
	if _, err := fn.Invoke(t.Context(), oneHello()); err != nil {
		t.Fatal(err)
	}
}

func TestInvokeRefusesAChangedTypeOfAState(t *testing.T) {
	t.Parallel()
	changed := marshal(t, &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{MissingValues: []*pb.FromFunction_PersistedValueSpec{
			{StateName: "seen", TypeTypename: "io.statefun.types/long"},
		}},
	}})
	answers := [][]byte{incomplete(t, "seen"), changed}
	var calls atomic.Int32
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) { answering(answers[calls.Add(1)-1])(w, r) })
	_, err := fn.Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Final, actor.ReasonBadType, `"seen"`, "io.statefun.types/int", "io.statefun.types/long")
}

func TestConcurrentFirstCallsLearnTheStatesOnce(t *testing.T) {
	t.Parallel()
	const callers = 20
	var incompletes, inFlight, atOnce atomic.Int32
	learning := make(chan struct{})
	fn := patientlyAt(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		call := readCall(t, r)
		defer inFlight.Add(-1)
		if n := inFlight.Add(1); len(call.GetState()) == 0 {
			atOnce.Store(max(atOnce.Load(), n))
			incompletes.Add(1)
			<-learning
			answering(incomplete(t, "seen"))(w, r)
			return
		}
		answering(nil)(w, r)
	})
	errs := make(chan error, callers)
	for i := range callers {
		b := oneHello()
		b.Target.ID = strconv.Itoa(i)
		go func() {
			_, err := fn.Invoke(t.Context(), b)
			errs <- err
		}()
	}
	time.Sleep(100 * time.Millisecond) // what would come at once, comes now
	close(learning)
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if incompletes.Load() != 1 || atOnce.Load() != 1 {
		t.Errorf("%d calls carried no state, %d at once, want 1", incompletes.Load(), atOnce.Load())
	}
}

func TestAFirstCallThatHangsDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	fn := patientlyAt(t, 10*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		if readCall(t, r).GetTarget().GetId() == "hangs" {
			close(hangs)
			<-r.Context().Done() // until the caller gives up
		}
		answering(nil)(w, r)
	})
	slow := oneHello()
	slow.Target.ID = "hangs"
	go func() { _, _ = fn.Invoke(t.Context(), slow) }() // hangs
	<-hangs
	for range 3 { // each has its answer before the one that hangs
		if _, err := fn.Invoke(t.Context(), oneHello()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFunctionsOfOneTypeShareWhatTheyLearn(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	server := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if len(readCall(t, r).GetState()) == 0 {
			answering(incomplete(t, "seen"))(w, r)
			return
		}
		answering(nil)(w, r)
	})
	e := endpointAt(t, server.URL+"/{function.name}", gateway.Transport{})
	for range 3 {
		if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
			t.Fatal(err)
		}
	}
	if calls.Load() != 4 {
		t.Errorf("three Invokes made %d calls, want 4", calls.Load())
	}
	if s := e.Stats(); s.ConnectionsOpened != 1 || s.ConnectionsReused != 3 {
		t.Errorf("Stats() = %+v, want one connection for all", s)
	}
}

func TestCallsRunAtOnceAfterTheFirst(t *testing.T) {
	t.Parallel()
	const callers = 8
	all := make(chan struct{})
	var first, inFlight atomic.Int32
	fn := patientlyAt(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if first.Add(1) > 1 {
			if inFlight.Add(1) == callers {
				close(all)
			}
			select {
			case <-all:
			case <-time.After(30 * time.Second): // those who wait have more patience
				t.Errorf("%d calls ran at once, want %d", inFlight.Load(), callers)
			}
		}
		answering(nil)(w, r)
	})
	if _, err := fn.Invoke(t.Context(), oneHello()); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, callers)
	for range callers {
		go func() {
			_, err := fn.Invoke(t.Context(), oneHello())
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
