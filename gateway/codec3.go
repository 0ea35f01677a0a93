package gateway

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// unsetType is the type of a state that was declared without one.
const unsetType = "io.statefun.types/unset"

// codec3 is protocol 3.x: typed values, and states that the function itself
// declares.
type codec3 struct{ texts *texts }

func (codec3) encode(b *actor.Batch, states []stateSpec) ([]byte, error) {
	c := call3{b: make([]byte, 0, sizeOfCall(b, states))}
	whole := c.begin(toInvocation)
	c.address(batchTarget, b.Target)
	for i := range states {
		v, ok, err := states[i].value(b.State)
		if err != nil {
			return nil, err
		}
		c.state(states[i].name, v, ok)
	}
	for _, name := range b.Entries {
		v, ok := b.State.Get(name)
		c.state(name, v.Value, ok)
	}
	for i := range b.Envelopes {
		c.invocation(&b.Envelopes[i])
	}
	c.end(whole)
	if c.invalid {
		return nil, unencodable(b, errors.New("a text is not valid UTF-8"))
	}
	return c.b, nil
}

// unencodable says why a batch has no encoding: texts in it are not UTF-8.
func unencodable(b *actor.Batch, err error) *invalidError {
	isText := func(a actor.Address) bool {
		return utf8.ValidString(a.Type.Namespace) && utf8.ValidString(a.Type.Name) && utf8.ValidString(a.ID)
	}
	if !isText(b.Target) {
		return forbidden(actor.ReasonBadAddress, fmt.Errorf("address %q is not valid UTF-8, which functions over HTTP need", b.Target))
	}
	for i := range b.Envelopes {
		if !isText(b.Envelopes[i].Caller) {
			return forbidden(actor.ReasonBadAddress, fmt.Errorf("caller %q is not valid UTF-8, which functions over HTTP need", b.Envelopes[i].Caller))
		}
	}
	return forbidden(actor.ReasonBadType, fmt.Errorf("encode call of %s: %w", b.Target, err))
}

// decode leaves what is not ordinary to the generated code.
func (c codec3) decode(body []byte) (reply, error) {
	if effects, ok := answer3(c).decode(body); ok {
		return reply{effects: effects}, nil
	}
	return decodeWhole3(body)
}

// decodeWhole3 reads any answer.
func decodeWhole3(body []byte) (reply, error) {
	if len(body) == 0 {
		return reply{effects: &actor.Effects{}}, nil
	}
	var m pb.FromFunction
	if err := proto.Unmarshal(body, &m); err != nil {
		return reply{}, garbled(fmt.Errorf("the answer is no FromFunction message: %w", err))
	}
	switch {
	case m.GetInvocationResult() != nil:
		effects, err := effects3(m.GetInvocationResult())
		return reply{effects: effects}, err
	case m.GetIncompleteInvocationContext() != nil:
		missing, err := specs3(m.GetIncompleteInvocationContext().GetMissingValues())
		return reply{incomplete: true, missing: missing}, err
	default:
		return reply{}, garbled(errors.New("the answer is no FromFunction message: it has neither a result nor missing states"))
	}
}

func effects3(r *pb.FromFunction_InvocationResponse) (*actor.Effects, error) {
	sends, err := sends3(r.GetOutgoingMessages())
	if err != nil {
		return nil, err
	}
	delayed, err := delayed3(r.GetDelayedInvocations())
	if err != nil {
		return nil, err
	}
	egress, err := egress3(r.GetOutgoingEgresses())
	if err != nil {
		return nil, err
	}
	mutations, err := mutations3(r.GetStateMutations())
	if err != nil {
		return nil, err
	}
	return &actor.Effects{Sends: sends, Delayed: delayed, Egress: egress, Mutations: mutations}, nil
}

func sends3(in []*pb.FromFunction_Invocation) ([]actor.Send, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]actor.Send, len(in))
	for i, m := range in {
		target, err := target3(m.GetTarget())
		if err != nil {
			return nil, fmt.Errorf("outgoing message %d: %w", i, err)
		}
		value, err := value3(m.GetArgument())
		if err != nil {
			return nil, fmt.Errorf("outgoing message %d: %w", i, err)
		}
		out[i] = actor.Send{Target: target, Value: value}
	}
	return out, nil
}

func delayed3(in []*pb.FromFunction_DelayedInvocation) ([]actor.Delayed, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]actor.Delayed, len(in))
	for i, m := range in {
		d, err := oneDelayed3(m)
		if err != nil {
			return nil, fmt.Errorf("delayed message %d: %w", i, err)
		}
		out[i] = d
	}
	return out, nil
}

func oneDelayed3(m *pb.FromFunction_DelayedInvocation) (actor.Delayed, error) {
	token := m.GetCancellationToken()
	if m.GetIsCancellationRequest() {
		if token == "" {
			return actor.Delayed{}, forbidden(actor.ReasonProtocol, errors.New("a cancellation has no token"))
		}
		return actor.Delayed{Cancel: true, Token: token}, nil
	}
	if m.GetDelayInMs() < 0 {
		return actor.Delayed{}, negativeDelay(m.GetDelayInMs())
	}
	target, err := target3(m.GetTarget())
	if err != nil {
		return actor.Delayed{}, err
	}
	value, err := value3(m.GetArgument())
	if err != nil {
		return actor.Delayed{}, err
	}
	return actor.Delayed{Delay: millis(m.GetDelayInMs()), Target: target, Value: value, Token: token}, nil
}

func negativeDelay(ms int64) error {
	return forbidden(actor.ReasonProtocol, fmt.Errorf("a delay is negative: %d ms", ms))
}

func egress3(in []*pb.FromFunction_EgressMessage) ([]actor.EgressMessage, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]actor.EgressMessage, len(in))
	for i, m := range in {
		value, err := value3(m.GetArgument())
		if err != nil {
			return nil, fmt.Errorf("egress message %d: %w", i, err)
		}
		out[i] = actor.EgressMessage{
			ID:    actor.TypeName{Namespace: m.GetEgressNamespace(), Name: m.GetEgressType()},
			Value: value,
		}
	}
	return out, nil
}

func mutations3(in []*pb.FromFunction_PersistedValueMutation) ([]actor.Mutation, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]actor.Mutation, len(in))
	for i, m := range in {
		switch m.GetMutationType() {
		case pb.FromFunction_PersistedValueMutation_DELETE:
			out[i] = actor.Mutation{Name: m.GetStateName(), Delete: true}
		case pb.FromFunction_PersistedValueMutation_MODIFY:
			value, err := storedValue3(m.GetStateValue())
			if err != nil {
				return nil, fmt.Errorf("state %q: %w", m.GetStateName(), err)
			}
			out[i] = actor.Mutation{Name: m.GetStateName(), Value: value}
		default:
			return nil, forbidden(actor.ReasonProtocol, fmt.Errorf("state %q has the unknown mutation type %d", m.GetStateName(), m.GetMutationType()))
		}
	}
	return out, nil
}

func specs3(in []*pb.FromFunction_PersistedValueSpec) ([]stateSpec, error) {
	out := make([]stateSpec, len(in))
	for i, m := range in {
		if m.GetStateName() == "" {
			return nil, garbled(errors.New("a missing state has no name"))
		}
		out[i] = stateSpec{name: m.GetStateName(), typename: orUnset(m.GetTypeTypename())}
		expiration := m.GetExpirationSpec()
		switch expiration.GetMode() {
		case pb.FromFunction_ExpirationSpec_NONE:
			continue
		case pb.FromFunction_ExpirationSpec_AFTER_WRITE:
			out[i].expireMode = expireAfterWrite
		case pb.FromFunction_ExpirationSpec_AFTER_INVOKE:
			out[i].expireMode = expireAfterInvoke
		default:
			return nil, garbled(fmt.Errorf("state %q has the unknown expiration mode %d", m.GetStateName(), expiration.GetMode()))
		}
		if expiration.GetExpireAfterMillis() <= 0 {
			return nil, garbled(fmt.Errorf("state %q expires after %d ms, want more than 0", m.GetStateName(), expiration.GetExpireAfterMillis()))
		}
		out[i].expireAfter = millis(expiration.GetExpireAfterMillis())
	}
	return out, nil
}

func target3(m *pb.Address) (actor.Address, error) {
	return targetOf(m.GetNamespace(), m.GetType(), m.GetId())
}

func targetOf(namespace, name, id string) (actor.Address, error) {
	a := actor.Address{Type: actor.TypeName{Namespace: namespace, Name: name}, ID: id}
	if err := a.Check(); err != nil {
		return a, forbidden(actor.ReasonBadAddress, fmt.Errorf("target: %w", err))
	}
	return a, nil
}

// value3 reads a value. Where protocol 2.x has the bytes of an Any, protocol
// 3.x has has_value; a mix-up would silently lose them, so it is refused.
func value3(m *pb.TypedValue) (actor.Value, error) {
	if hasUnknown(m.ProtoReflect(), 2, protowire.BytesType) {
		return actor.Value{}, forbidden(actor.ReasonProtocol, errors.New("the function seems to speak protocol 2.x: a value is an Any"))
	}
	return actor.Value{Type: m.GetTypename(), Data: m.GetValue()}, nil
}

func storedValue3(m *pb.TypedValue) (actor.Value, error) {
	v, err := value3(m)
	v.Type = orUnset(v.Type)
	return v, err
}

func orUnset(typename string) string {
	if typename == "" {
		return unsetType
	}
	return typename
}

// millis is ms as a Duration, or the longest Duration there is.
func millis(ms int64) time.Duration {
	if ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}
