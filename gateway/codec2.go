package gateway

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
	pb "github.com/jetfn/jetfn/internal/wire/polyglot"
)

// bytesType is the type of all states of functions of protocol 2.x, which
// are bytes to everybody but the function.
const bytesType = "io.jetfn.types/bytes"

// codec2 is protocol 2.x: values are Any, and states bytes that the module
// declares.
type codec2 struct{}

func (codec2) encode(b *actor.Batch, states []stateSpec) ([]byte, error) {
	batch := &pb.ToFunction_InvocationBatchRequest{
		Target:      address2(b.Target),
		State:       make([]*pb.ToFunction_PersistedValue, len(states)),
		Invocations: make([]*pb.ToFunction_Invocation, len(b.Envelopes)),
	}
	for i := range states {
		v, ok, err := states[i].value(b.State)
		if err != nil {
			return nil, err
		}
		batch.State[i] = &pb.ToFunction_PersistedValue{StateName: states[i].name}
		if ok {
			batch.State[i].StateValue = v.Data
		}
	}
	for i := range b.Envelopes {
		e := &b.Envelopes[i]
		argument, err := any2(e.Value)
		if err != nil {
			return nil, err
		}
		batch.Invocations[i] = &pb.ToFunction_Invocation{Argument: argument}
		if !e.Caller.IsZero() {
			batch.Invocations[i].Caller = address2(e.Caller)
		}
	}
	body, err := proto.Marshal(&pb.ToFunction{Request: &pb.ToFunction_Invocation_{Invocation: batch}})
	if err != nil {
		return nil, unencodable(b, err)
	}
	return body, nil
}

func (codec2) decode(body []byte) (reply, error) {
	if len(body) == 0 {
		return reply{effects: &actor.Effects{}}, nil
	}
	var m pb.FromFunction
	if err := proto.Unmarshal(body, &m); err != nil {
		return reply{}, garbled(fmt.Errorf("the answer is no FromFunction message: %w", err))
	}
	if m.GetInvocationResult() == nil {
		if hasUnknown(m.ProtoReflect(), 101, protowire.BytesType) {
			return reply{}, forbidden(actor.ReasonProtocol, errors.New("the function seems to speak protocol 3.x: it asks for states"))
		}
		return reply{}, garbled(errors.New("the answer is no FromFunction message: it has no result"))
	}
	effects, err := effects2(m.GetInvocationResult())
	return reply{effects: effects}, err
}

func effects2(r *pb.FromFunction_InvocationResponse) (*actor.Effects, error) {
	e := &actor.Effects{}
	for i, m := range r.GetOutgoingMessages() {
		s, err := send2(m.GetTarget(), m.GetArgument())
		if err != nil {
			return nil, fmt.Errorf("outgoing message %d: %w", i, err)
		}
		e.Sends = append(e.Sends, s)
	}
	for i, m := range r.GetDelayedInvocations() {
		s, err := send2(m.GetTarget(), m.GetArgument())
		if err == nil && m.GetDelayInMs() < 0 {
			err = negativeDelay(m.GetDelayInMs())
		}
		if err != nil {
			return nil, fmt.Errorf("delayed message %d: %w", i, err)
		}
		e.Delayed = append(e.Delayed, actor.Delayed{Delay: millis(m.GetDelayInMs()), Target: s.Target, Value: s.Value})
	}
	for i, m := range r.GetOutgoingEgresses() {
		v, err := value2(m.GetArgument())
		if err != nil {
			return nil, fmt.Errorf("egress message %d: %w", i, err)
		}
		e.Egress = append(e.Egress, actor.EgressMessage{
			ID: actor.TypeName{Namespace: m.GetEgressNamespace(), Name: m.GetEgressType()}, Value: v,
		})
	}
	for _, m := range r.GetStateMutations() {
		switch m.GetMutationType() {
		case pb.FromFunction_PersistedValueMutation_DELETE:
			e.Mutations = append(e.Mutations, actor.Mutation{Name: m.GetStateName(), Delete: true})
		case pb.FromFunction_PersistedValueMutation_MODIFY:
			e.Mutations = append(e.Mutations, actor.Mutation{
				Name: m.GetStateName(), Value: actor.Value{Type: bytesType, Data: m.GetStateValue()},
			})
		default: // StateFun 2.x passes over what it doesn't know
		}
	}
	return e, nil
}

func send2(to *pb.Address, argument *anypb.Any) (actor.Send, error) {
	target, err := targetOf(to.GetNamespace(), to.GetType(), to.GetId())
	if err != nil {
		return actor.Send{}, err
	}
	v, err := value2(argument)
	return actor.Send{Target: target, Value: v}, err
}

func address2(a actor.Address) *pb.Address {
	return &pb.Address{Namespace: a.Type.Namespace, Type: a.Type.Name, Id: a.ID}
}

// any2 is a value as the function gets it.
func any2(v actor.Value) (*anypb.Any, error) {
	url, data, err := wire.Google(v.Type, v.Data)
	if err != nil {
		return nil, forbidden(actor.ReasonBadType, err)
	}
	return &anypb.Any{TypeUrl: url, Value: data}, nil
}

// value2 reads a value. Where protocol 3.x has has_value, protocol 2.x has the
// bytes of an Any; a mix-up would silently lose them, so it is refused.
func value2(m *anypb.Any) (actor.Value, error) {
	if hasUnknown(m.ProtoReflect(), 2, protowire.VarintType) {
		return actor.Value{}, forbidden(actor.ReasonProtocol, errors.New("the function seems to speak protocol 3.x: a value is a TypedValue"))
	}
	return actor.Value{Type: m.GetTypeUrl(), Data: m.GetValue()}, nil
}

// hasUnknown reports whether m came with a field of that number and type
// which m doesn't know.
func hasUnknown(m protoreflect.Message, number protowire.Number, kind protowire.Type) bool {
	for unknown := m.GetUnknown(); len(unknown) > 0; {
		num, typ, n := protowire.ConsumeField(unknown)
		if n < 0 {
			return false
		}
		if num == number && typ == kind {
			return true
		}
		unknown = unknown[n:]
	}
	return false
}
