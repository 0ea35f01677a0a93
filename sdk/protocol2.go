package sdk

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/jetfn/jetfn/internal/wire"
	pb "github.com/jetfn/jetfn/internal/wire/polyglot"
)

// opaqueType is the type of a state of protocol 2.x that is no Any.
const opaqueType = "io.jetfn.types/bytes"

// readCall2 reads a call of protocol 2.x; nil if it asks for nothing.
func readCall2(body []byte) (*Batch, error) {
	m := &pb.ToFunction{}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: the body is no ToFunction message: %w", errBadRequest, err)
	}
	in := m.GetInvocation()
	if in == nil {
		return nil, nil //nolint:nilnil // an empty call, which is legal
	}
	b := &Batch{
		Self:     address2(in.GetTarget()),
		States:   make([]StoredState, len(in.GetState())),
		Messages: make([]Envelope, len(in.GetInvocations())),
	}
	for i, s := range in.GetState() {
		b.States[i] = state2(s)
	}
	for i, e := range in.GetInvocations() {
		if e.GetArgument() == nil {
			return nil, fmt.Errorf("%w: message %d has no value", errBadRequest, i)
		}
		b.Messages[i] = Envelope{Caller: address2(e.GetCaller()), Value: value2(e.GetArgument())}
	}
	return b, nil
}

// state2 is a state as every SDK for 2.x stores it: the bytes of an Any.
func state2(m *pb.ToFunction_PersistedValue) StoredState {
	out := StoredState{Name: m.GetStateName(), Present: len(m.GetStateValue()) > 0}
	if !out.Present {
		return out
	}
	stored := &anypb.Any{}
	if err := proto.Unmarshal(m.GetStateValue(), stored); err != nil {
		out.Value = TypedValue{Type: opaqueType, err: fmt.Errorf("it is no Any message: %w", err)}
		return out
	}
	out.Value = value2(stored)
	return out
}

// writeAnswer2 writes the answer to a call of protocol 2.x.
func writeAnswer2(e *Effects) ([]byte, error) {
	if err := possible2(e); err != nil {
		return nil, err
	}
	r := &pb.FromFunction_InvocationResponse{}
	var problems []error
	argument := func(v TypedValue) *anypb.Any {
		out, err := any2(v)
		if err != nil {
			problems = append(problems, err)
		}
		return out
	}
	for i := range e.Mutations {
		m, err := mutation2(&e.Mutations[i])
		if err != nil {
			problems = append(problems, err)
		}
		r.StateMutations = append(r.StateMutations, m)
	}
	for i := range e.Sends {
		s := &e.Sends[i]
		r.OutgoingMessages = append(r.OutgoingMessages, &pb.FromFunction_Invocation{Target: target2(s.To), Argument: argument(s.Value)})
	}
	for i := range e.Delayed {
		d := &e.Delayed[i]
		r.DelayedInvocations = append(r.DelayedInvocations, &pb.FromFunction_DelayedInvocation{
			DelayInMs: roundUp(d.After), Target: target2(d.To), Argument: argument(d.Value),
		})
	}
	for i := range e.Records {
		rec := &e.Records[i]
		r.OutgoingEgresses = append(r.OutgoingEgresses, &pb.FromFunction_EgressMessage{
			EgressNamespace: rec.Egress.Namespace, EgressType: rec.Egress.Name, Argument: argument(rec.Value),
		})
	}
	if len(problems) > 0 {
		return nil, Never(errors.Join(problems...))
	}
	body, err := proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: r}})
	if err != nil {
		return nil, fmt.Errorf("write the answer: %w", err)
	}
	return body, nil
}

// possible2 refuses what protocol 2.x can't say, rather than lose it.
func possible2(e *Effects) error {
	names := make([]string, 0, len(e.Missing))
	for i := range e.Missing {
		if isEntry(e.Missing[i].Name) {
			return Never(errEntries2)
		}
		names = append(names, e.Missing[i].Name)
	}
	if len(names) > 0 { // the module can be put right, so the call may be repeated
		return fmt.Errorf("the module doesn't declare the states %s: functions called by protocol 2.x need a list of states there", strings.Join(names, ", "))
	}
	for i := range e.Mutations {
		if isEntry(e.Mutations[i].Spec.Name) {
			return Never(errEntries2)
		}
	}
	for i := range e.Delayed {
		if e.Delayed[i].Token != "" {
			return Never(errors.New("delayed messages can't be cancelled by protocol 2.x: send them without a token, or have the function called by protocol 3.x"))
		}
	}
	return nil
}

var errEntries2 = errors.New("tables and buffers can't be used by protocol 2.x: have the function called by protocol 3.x")

func mutation2(m *Mutation) (*pb.FromFunction_PersistedValueMutation, error) {
	out := &pb.FromFunction_PersistedValueMutation{StateName: m.Spec.Name}
	if m.Delete {
		out.MutationType = pb.FromFunction_PersistedValueMutation_DELETE
		return out, nil
	}
	out.MutationType = pb.FromFunction_PersistedValueMutation_MODIFY
	stored, err := any2(m.Value)
	if err == nil {
		out.StateValue, err = proto.Marshal(stored)
	}
	if err != nil {
		return out, fmt.Errorf("state %s: %w", m.Spec.Name, err)
	}
	return out, nil
}

// any2 is a value as functions of 2.x understand it: built-in types are
// protobuf's own wrapper messages there, and records have other names.
func any2(v TypedValue) (*anypb.Any, error) {
	switch v.Type {
	case kafkaType:
		return &anypb.Any{TypeUrl: kafkaType2, Value: v.Data}, nil
	case kinesisType:
		return &anypb.Any{TypeUrl: kinesisType2, Value: v.Data}, nil
	}
	name, data, err := wire.Google(v.Type, v.Data)
	if err != nil {
		return nil, fmt.Errorf("encode a value of type %s: %w", v.Type, err)
	}
	return &anypb.Any{TypeUrl: name, Value: data}, nil
}

func value2(m *anypb.Any) TypedValue { return TypedValue{Type: m.GetTypeUrl(), Data: m.GetValue()} }

func address2(m *pb.Address) Address {
	return Address{Type: TypeName{Namespace: m.GetNamespace(), Name: m.GetType()}, ID: m.GetId()}
}

func target2(a Address) *pb.Address {
	return &pb.Address{Namespace: a.Type.Namespace, Type: a.Type.Name, Id: a.ID}
}
