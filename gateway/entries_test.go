package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// lacking is a server whose function asks for an entry before it sets it.
func lacking(t *testing.T, spec *pb.FromFunction_PersistedValueSpec) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		call := &pb.ToFunction{}
		if err = errors.Join(err, proto.Unmarshal(body, call)); err != nil {
			t.Error(err)
		}
		answer := &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{MissingValues: []*pb.FromFunction_PersistedValueSpec{spec}},
		}}
		for _, s := range call.GetInvocation().GetState() {
			if s.GetStateName() == spec.GetStateName() {
				answer = &pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: &pb.FromFunction_InvocationResponse{
					StateMutations: []*pb.FromFunction_PersistedValueMutation{{
						MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: spec.GetStateName(),
						StateValue: &pb.TypedValue{Typename: "a/b", HasValue: true, Value: append(s.GetStateValue().GetValue(), 'x')},
					}},
				}}}
			}
		}
		data, err := proto.Marshal(answer)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", octetStream)
		_, _ = w.Write(data)
	}
}

func TestAFunctionAsksForEntries(t *testing.T) {
	t.Parallel()
	spec := &pb.FromFunction_PersistedValueSpec{
		StateName: "items/tea/green", TypeTypename: "a/b",
		ExpirationSpec: &pb.FromFunction_ExpirationSpec{Mode: pb.FromFunction_ExpirationSpec_AFTER_WRITE, ExpireAfterMillis: 5000},
	}
	fn := greeterAt(t, lacking(t, spec))
	_, err := fn.Invoke(t.Context(), oneHello())
	var lacks *actor.MissingEntries
	if !errors.As(err, &lacks) || len(lacks.Names) != 1 || lacks.Names[0] != spec.GetStateName() {
		t.Fatalf("Invoke = %v, want the wish for %s", err, spec.GetStateName())
	}
	b := oneHello()
	b.Entries = lacks.Names
	b.State = actor.State{{Name: spec.GetStateName(), Value: actor.Value{Type: "a/b", Data: []byte("1")}}}
	effects, err := fn.Invoke(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	want := []actor.Mutation{{Name: spec.GetStateName(), Value: actor.Value{Type: "a/b", Data: []byte("1x")}, ExpireAfter: 5 * time.Second}}
	if diff := cmp.Diff(want, effects.Mutations); diff != "" {
		t.Errorf("mutations (-want +got):\n%s", diff)
	}
}

func TestEntriesThatWouldBeRenewedAreRefused(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, lacking(t, &pb.FromFunction_PersistedValueSpec{
		StateName: "items/tea", TypeTypename: "a/b",
		ExpirationSpec: &pb.FromFunction_ExpirationSpec{Mode: pb.FromFunction_ExpirationSpec_AFTER_INVOKE, ExpireAfterMillis: 5000},
	}))
	_, err := fn.Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Final, actor.ReasonProtocol, "after a write only")
}
