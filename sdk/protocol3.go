package sdk

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// errBadRequest is wrapped by errors about what no worker would send.
var errBadRequest = errors.New("bad request")

// readCall3 reads a call of protocol 3.x; nil if it asks for nothing.
func readCall3(body []byte) (*Batch, error) {
	m := &pb.ToFunction{}
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: the body is no ToFunction message: %w", errBadRequest, err)
	}
	in := m.GetInvocation()
	if in == nil {
		return nil, nil //nolint:nilnil // an empty call, which is legal
	}
	b := &Batch{
		Self:     address3(in.GetTarget()),
		States:   make([]StoredState, len(in.GetState())),
		Messages: make([]Envelope, len(in.GetInvocations())),
	}
	for i, s := range in.GetState() {
		b.States[i] = StoredState{Name: s.GetStateName(), Value: value3(s.GetStateValue()), Present: s.GetStateValue().GetHasValue()}
	}
	for i, e := range in.GetInvocations() {
		if !e.GetArgument().GetHasValue() {
			return nil, fmt.Errorf("%w: message %d has no value", errBadRequest, i)
		}
		b.Messages[i] = Envelope{Caller: address3(e.GetCaller()), Value: value3(e.GetArgument())}
	}
	return b, nil
}

// writeAnswer3 writes the answer to a call of protocol 3.x.
func writeAnswer3(e *Effects) ([]byte, error) {
	if len(e.Missing) > 0 {
		return proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: missing3(e.Missing),
		}})
	}
	r := &pb.FromFunction_InvocationResponse{}
	for i := range e.Mutations {
		r.StateMutations = append(r.StateMutations, mutation3(&e.Mutations[i]))
	}
	for i := range e.Sends {
		s := &e.Sends[i]
		r.OutgoingMessages = append(r.OutgoingMessages, &pb.FromFunction_Invocation{Target: target3(s.To), Argument: typed3(s.Value)})
	}
	for i := range e.Delayed {
		r.DelayedInvocations = append(r.DelayedInvocations, delayed3(&e.Delayed[i]))
	}
	for i := range e.Records {
		rec := &e.Records[i]
		r.OutgoingEgresses = append(r.OutgoingEgresses, &pb.FromFunction_EgressMessage{
			EgressNamespace: rec.Egress.Namespace, EgressType: rec.Egress.Name, Argument: typed3(rec.Value),
		})
	}
	body, err := proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: r}})
	if err != nil {
		return nil, fmt.Errorf("write the answer: %w", err)
	}
	return body, nil
}

func missing3(specs []StateSpec) *pb.FromFunction_IncompleteInvocationContext {
	out := &pb.FromFunction_IncompleteInvocationContext{}
	for _, s := range specs {
		spec := &pb.FromFunction_PersistedValueSpec{StateName: s.Name, TypeTypename: s.Type}
		if s.Expire.Mode != ExpireNever {
			spec.ExpirationSpec = &pb.FromFunction_ExpirationSpec{
				Mode: mode3(s.Expire.Mode), ExpireAfterMillis: s.Expire.After.Milliseconds(),
			}
		}
		out.MissingValues = append(out.MissingValues, spec)
	}
	return out
}

func mode3(m ExpireMode) pb.FromFunction_ExpirationSpec_ExpireMode {
	switch m {
	case ExpireAfterWrite:
		return pb.FromFunction_ExpirationSpec_AFTER_WRITE
	case ExpireAfterInvoke:
		return pb.FromFunction_ExpirationSpec_AFTER_INVOKE
	default:
		return pb.FromFunction_ExpirationSpec_NONE
	}
}

func mutation3(m *Mutation) *pb.FromFunction_PersistedValueMutation {
	out := &pb.FromFunction_PersistedValueMutation{StateName: m.Spec.Name}
	if m.Delete {
		out.MutationType = pb.FromFunction_PersistedValueMutation_DELETE
		return out
	}
	out.MutationType = pb.FromFunction_PersistedValueMutation_MODIFY
	out.StateValue = typed3(m.Value)
	return out
}

func delayed3(d *Delayed) *pb.FromFunction_DelayedInvocation {
	if d.Cancel {
		return &pb.FromFunction_DelayedInvocation{IsCancellationRequest: true, CancellationToken: d.Token}
	}
	return &pb.FromFunction_DelayedInvocation{
		DelayInMs: roundUp(d.After), Target: target3(d.To), Argument: typed3(d.Value), CancellationToken: d.Token,
	}
}

// roundUp is d in whole milliseconds, and never less than d.
func roundUp(d time.Duration) int64 {
	ms := d.Milliseconds()
	if time.Duration(ms)*time.Millisecond < d {
		ms++
	}
	return ms
}

func address3(m *pb.Address) Address {
	return Address{Type: TypeName{Namespace: m.GetNamespace(), Name: m.GetType()}, ID: m.GetId()}
}

func target3(a Address) *pb.Address {
	return &pb.Address{Namespace: a.Type.Namespace, Type: a.Type.Name, Id: a.ID}
}

func value3(m *pb.TypedValue) TypedValue {
	return TypedValue{Type: m.GetTypename(), Data: m.GetValue()}
}

func typed3(v TypedValue) *pb.TypedValue {
	return &pb.TypedValue{Typename: v.Type, HasValue: true, Value: v.Data}
}
