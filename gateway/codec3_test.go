package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

func TestACallIsWhatTheGeneratedCodeWouldWrite(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		b, states := randomBatch(r)
		got, err := codec3{}.encode(b, states)
		if err != nil {
			t.Fatal(err)
		}
		want, err := proto.Marshal(generatedCall(b, states))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("call of %+v:\n%x, the generated code writes\n%x", b, got, want)
		}
	}
}

func TestAnAnswerMeansWhatTheGeneratedCodeReads(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	ordinary := 0
	for range 500 {
		body, err := proto.Marshal(randomAnswer(r))
		if err != nil {
			t.Fatal(err)
		}
		if sameAnswer(t, body) {
			ordinary++
		}
		for range 5 { // and what is broken
			bad := append([]byte(nil), body...)
			for range 1 + r.IntN(3) {
				bad[r.IntN(len(bad))] = byte(r.Uint32())
			}
			sameAnswer(t, bad[:r.IntN(len(bad)+1)])
		}
	}
	if ordinary < 250 {
		t.Errorf("only %d of 500 answers were taken for ordinary", ordinary)
	}
}

func FuzzAnAnswerMeansWhatTheGeneratedCodeReads(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		body, err := proto.Marshal(randomAnswer(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) { sameAnswer(t, body) })
}

// sameAnswer compares both readings of body, and says whether it is ordinary.
func sameAnswer(t *testing.T, body []byte) bool {
	t.Helper()
	got, ok := answer3{&texts{}}.decode(body)
	if !ok {
		return false
	}
	want, err := decodeWhole3(body)
	if err != nil || want.incomplete {
		t.Fatalf("%x is taken for ordinary; generated code says %+v, %v", body, want, err)
	}
	if diff := cmp.Diff(want.effects, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("answer %x (-generated +read):\n%s", body, diff)
	}
	return true
}

func TestTextsThatAreMadeUpDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	names := &texts{}
	for i := range 3 * maxTexts {
		if s := fmt.Sprint("t", i); names.of([]byte(s)) != s {
			t.Fatalf("%s became another text", s)
		}
	}
	if n := len(*names.known.Load()); n > maxTexts {
		t.Errorf("%d texts are kept, want %d at most", n, maxTexts)
	}
}

func randomText(r *rand.Rand) string { return []string{"", "a", "ns", "größe/π", "k-1"}[r.IntN(5)] }

// randomBytes are of lengths that take one and two bytes to write.
func randomBytes(r *rand.Rand) []byte {
	return make([]byte, []int{0, 1, 100, 127, 128, 300}[r.IntN(6)])
}

func randomAddress(r *rand.Rand) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: randomText(r), Name: randomText(r)}, ID: randomText(r)}
}

func randomBatch(r *rand.Rand) (*actor.Batch, []stateSpec) {
	b := &actor.Batch{Target: randomAddress(r)}
	var states []stateSpec
	for i := range r.IntN(3) {
		s := stateSpec{name: fmt.Sprint("s", i), typename: randomText(r)}
		states = append(states, s)
		if r.IntN(2) == 0 {
			b.State = b.State.With(actor.StateValue{Name: s.name, Value: actor.Value{Type: s.typename, Data: randomBytes(r)}})
		}
	}
	if r.IntN(3) == 0 {
		b.Entries = []string{"table/a", "table/b"}
		b.State = b.State.With(actor.StateValue{Name: "table/b", Value: actor.Value{Type: "t/t", Data: randomBytes(r)}})
	}
	if r.IntN(10) == 0 { // lengths of three bytes
		b.Envelopes = append(b.Envelopes, actor.Envelope{Value: actor.Value{Type: "t/t", Data: make([]byte, 16383+r.IntN(2))}})
	}
	for range r.IntN(4) {
		b.Envelopes = append(b.Envelopes, actor.Envelope{Caller: randomAddress(r), Value: actor.Value{Type: randomText(r), Data: randomBytes(r)}})
	}
	return b, states
}

// generatedCall is the call as a message of the generated code.
func generatedCall(b *actor.Batch, states []stateSpec) *pb.ToFunction {
	address := func(a actor.Address) *pb.Address {
		return &pb.Address{Namespace: a.Type.Namespace, Type: a.Type.Name, Id: a.ID}
	}
	value := func(v actor.Value) *pb.TypedValue {
		return &pb.TypedValue{Typename: v.Type, HasValue: true, Value: v.Data}
	}
	batch := &pb.ToFunction_InvocationBatchRequest{Target: address(b.Target)}
	names := append([]string(nil), b.Entries...)
	for i := len(states) - 1; i >= 0; i-- {
		names = append([]string{states[i].name}, names...)
	}
	for _, name := range names {
		s := &pb.ToFunction_PersistedValue{StateName: name}
		if v, ok := b.State.Get(name); ok {
			s.StateValue = value(v.Value)
		}
		batch.State = append(batch.State, s)
	}
	for _, e := range b.Envelopes {
		in := &pb.ToFunction_Invocation{Argument: value(e.Value)}
		if !e.Caller.IsZero() {
			in.Caller = address(e.Caller)
		}
		batch.Invocations = append(batch.Invocations, in)
	}
	return &pb.ToFunction{Request: &pb.ToFunction_Invocation_{Invocation: batch}}
}

func randomAnswer(r *rand.Rand) *pb.FromFunction {
	value := func() *pb.TypedValue {
		if r.IntN(10) == 0 {
			return nil
		}
		return &pb.TypedValue{Typename: randomText(r), HasValue: r.IntN(2) == 0, Value: randomBytes(r)}
	}
	result := &pb.FromFunction_InvocationResponse{}
	for range r.IntN(3) {
		result.StateMutations = append(result.StateMutations, &pb.FromFunction_PersistedValueMutation{
			MutationType: pb.FromFunction_PersistedValueMutation_MutationType(r.IntN(2)), StateName: randomText(r), StateValue: value(),
		})
	}
	for range r.IntN(3) {
		result.OutgoingMessages = append(result.OutgoingMessages, &pb.FromFunction_Invocation{
			Target: &pb.Address{Namespace: "ns", Type: "f", Id: "a" + randomText(r)}, Argument: value(),
		})
	}
	for range r.IntN(3) {
		result.OutgoingEgresses = append(result.OutgoingEgresses, &pb.FromFunction_EgressMessage{
			EgressNamespace: randomText(r), EgressType: randomText(r), Argument: value(),
		})
	}
	if r.IntN(20) == 0 {
		result.DelayedInvocations = append(result.DelayedInvocations, &pb.FromFunction_DelayedInvocation{DelayInMs: 5})
	}
	return &pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}}
}
