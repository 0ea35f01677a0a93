package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	pb2 "github.com/jetfn/jetfn/internal/wire/polyglot"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// expiring declares the states w (after write, an hour), i and j (after
// invoke, a minute) and n (never).
func expiring(t *testing.T) []byte {
	t.Helper()
	spec := func(name string, mode pb.FromFunction_ExpirationSpec_ExpireMode, ms int64) *pb.FromFunction_PersistedValueSpec {
		return &pb.FromFunction_PersistedValueSpec{
			StateName: name, TypeTypename: "t/t", ExpirationSpec: &pb.FromFunction_ExpirationSpec{Mode: mode, ExpireAfterMillis: ms},
		}
	}
	return marshal(t, &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{MissingValues: []*pb.FromFunction_PersistedValueSpec{
			spec("w", pb.FromFunction_ExpirationSpec_AFTER_WRITE, 3_600_000), spec("i", pb.FromFunction_ExpirationSpec_AFTER_INVOKE, 60_000),
			spec("j", pb.FromFunction_ExpirationSpec_AFTER_INVOKE, 60_000), spec("n", pb.FromFunction_ExpirationSpec_NONE, 7),
		}},
	}})
}

func TestDeclaredLifetimesGoWithWritesAndInvocations(t *testing.T) {
	t.Parallel()
	value := actor.Value{Type: "t/t", Data: []byte("x")}
	all := actor.State{{Name: "i", Value: value}, {Name: "j", Value: value}, {Name: "n", Value: value}, {Name: "w", Value: value}}
	set := func(name string) *pb.FromFunction_PersistedValueMutation {
		return &pb.FromFunction_PersistedValueMutation{
			MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: name,
			StateValue: &pb.TypedValue{Typename: "t/t", HasValue: true, Value: []byte("x")},
		}
	}
	for name, c := range map[string]struct {
		state     actor.State
		mutations []*pb.FromFunction_PersistedValueMutation
		want      []actor.Mutation
	}{
		"nothing there, nothing done": {},
		"nothing done": {all, nil, []actor.Mutation{
			{Name: "i", Renew: true, ExpireAfter: time.Minute}, {Name: "j", Renew: true, ExpireAfter: time.Minute},
		}},
		"everything written": {all, []*pb.FromFunction_PersistedValueMutation{set("n"), set("w"), set("j"), set("i")}, []actor.Mutation{
			{Name: "n", Value: value},
			{Name: "w", Value: value, ExpireAfter: time.Hour},
			{Name: "j", Value: value, ExpireAfter: time.Minute},
			{Name: "i", Value: value, ExpireAfter: time.Minute},
		}},
		"the first write": {nil, []*pb.FromFunction_PersistedValueMutation{set("i")}, []actor.Mutation{
			{Name: "i", Value: value, ExpireAfter: time.Minute},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
				if len(readCall(t, r).GetState()) == 0 {
					answering(expiring(t))(w, r)
					return
				}
				answering(result(t, &pb.FromFunction_InvocationResponse{StateMutations: c.mutations}))(w, r)
			})
			b := oneHello()
			b.State = c.state
			got, err := fn.Invoke(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Mutations); diff != "" {
				t.Errorf("mutations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLifetimesOfProtocol2ComeFromTheModule(t *testing.T) {
	t.Parallel()
	server := functionServer(t, answering(result2(t, &pb2.FromFunction_InvocationResponse{
		StateMutations: []*pb2.FromFunction_PersistedValueMutation{
			{MutationType: pb2.FromFunction_PersistedValueMutation_MODIFY, StateName: "w", StateValue: []byte("x")},
			{MutationType: pb2.FromFunction_PersistedValueMutation_DELETE, StateName: "j"},
		},
	})))
	e := endpoint2(t, server.URL,
		gateway.StateSpec{Name: "w", ExpireAfter: time.Hour, AfterWrite: true},
		gateway.StateSpec{Name: "i", ExpireAfter: time.Minute}, gateway.StateSpec{Name: "j", ExpireAfter: time.Minute},
		gateway.StateSpec{Name: "n"})
	value := actor.Value{Type: bytesType, Data: []byte("x")}
	b := oneHello()
	b.State = actor.State{{Name: "i", Value: value}, {Name: "j", Value: value}, {Name: "n", Value: value}}
	got, err := e.Function(greeter).Invoke(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	want := []actor.Mutation{
		{Name: "w", Value: value, ExpireAfter: time.Hour},
		{Name: "j", Delete: true},
		{Name: "i", Renew: true, ExpireAfter: time.Minute},
	}
	if diff := cmp.Diff(want, got.Mutations); diff != "" {
		t.Errorf("mutations (-want +got):\n%s", diff)
	}
}

func TestALifetimeOfNothingIsNoDeclaration(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, answering(marshal(t, &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{MissingValues: []*pb.FromFunction_PersistedValueSpec{{
			StateName: "seen", ExpirationSpec: &pb.FromFunction_ExpirationSpec{Mode: pb.FromFunction_ExpirationSpec_AFTER_WRITE},
		}}},
	}})))
	_, err := fn.Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Answered, actor.ReasonProtocol, `state "seen" expires after 0 ms`)
}

func TestAStoredValueOfAnotherTypeIsAnErrorThatNamesBoth(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, answering(incomplete(t, "seen")))
	b := oneHello()
	b.State = actor.State{{Name: "seen", Value: hello}}
	_, err := fn.Invoke(t.Context(), b)
	wantFailure(t, err, actor.Final, actor.ReasonBadType,
		`state "seen" holds a value of the type io.statefun.types/string, but is declared with the type io.statefun.types/int`)
}
