package gateway

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// benchBatch is a call of a keyed counter with n messages of 150 bytes.
func benchBatch(n int) (*actor.Batch, []stateSpec) {
	b := &actor.Batch{
		Target: actor.Address{Type: actor.TypeName{Namespace: "bench", Name: "counter"}, ID: "k1"},
		State:  actor.State{{Name: "count", Value: actor.Value{Type: "io.statefun.types/long", Data: make([]byte, 9)}}},
	}
	for range n {
		b.Envelopes = append(b.Envelopes, actor.Envelope{Target: b.Target, Value: actor.Value{Type: actor.StringType, Data: make([]byte, 150)}})
	}
	return b, []stateSpec{{name: "count", typename: "io.statefun.types/long"}}
}

func BenchmarkCodec3Encode(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			batch, states := benchBatch(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (codec3{}).encode(batch, states); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCodec3Decode(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			result := &pb.FromFunction_InvocationResponse{StateMutations: []*pb.FromFunction_PersistedValueMutation{{
				MutationType: pb.FromFunction_PersistedValueMutation_MODIFY, StateName: "count",
				StateValue: &pb.TypedValue{Typename: "io.statefun.types/long", HasValue: true, Value: make([]byte, 9)},
			}}}
			for range n {
				result.OutgoingEgresses = append(result.OutgoingEgresses, &pb.FromFunction_EgressMessage{
					EgressNamespace: "bench", EgressType: "records",
					Argument: &pb.TypedValue{Typename: "bench/record", HasValue: true, Value: make([]byte, 100)},
				})
			}
			body, err := proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}})
			if err != nil {
				b.Fatal(err)
			}
			codec := codec3{&texts{}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
