package inprocess

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/sdk"
)

// callLimit is how long a call may take, and a message's attempts together: as
// with an endpoint of whose limits a module says nothing.
const callLimit = 2 * time.Minute

// New returns the functions of a registry as the core sees them, by type. The
// name "*" stands for all types of its namespace.
func New(r *sdk.Registry) map[actor.TypeName]actor.FunctionSpec {
	out := map[actor.TypeName]actor.FunctionSpec{}
	for _, t := range r.Types() {
		out[actor.TypeName(t)] = actor.FunctionSpec{Function: &function{r}, Endpoint: "in process", Policy: actor.Policy{Budget: callLimit}}
	}
	return out
}

type function struct{ registry *sdk.Registry }

// Invoke implements actor.Function.
func (f *function) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	effects, err := f.registry.Invoke(ctx, batch(b))
	if err != nil {
		return nil, failure(b, err)
	}
	if len(effects.Missing) > 0 { // entries: a batch in this process has all the rest
		lacks := &actor.MissingEntries{}
		for i := range effects.Missing {
			lacks.Names = append(lacks.Names, effects.Missing[i].Name)
		}
		return nil, lacks
	}
	specs, _ := f.registry.States(sdk.TypeName(b.Target.Type))
	return converted(effects, renewals(specs)), nil
}

func batch(b *actor.Batch) *sdk.Batch {
	out := &sdk.Batch{
		Self:     address(b.Target),
		States:   make([]sdk.StoredState, len(b.State)),
		Messages: make([]sdk.Envelope, len(b.Envelopes)),
		Complete: true,
		Attempt:  b.Attempt,
	}
	for i := range b.State {
		s := &b.State[i]
		out.States[i] = sdk.StoredState{Name: s.Name, Value: sdk.TypedValue{Type: s.Value.Type, Data: s.Value.Data}, Present: true}
	}
	for _, name := range b.Entries {
		if _, there := slices.BinarySearchFunc(b.State, name, byName); !there {
			out.States = append(out.States, sdk.StoredState{Name: name})
		}
	}
	for i := range b.Envelopes {
		e := &b.Envelopes[i]
		out.Messages[i] = sdk.Envelope{Caller: address(e.Caller), Value: sdk.TypedValue{Type: e.Value.Type, Data: e.Value.Data}}
		if out.Parent == "" {
			out.Parent, out.State = e.Trace.Parent, e.Trace.State
		}
	}
	return out
}

func byName(v actor.StateValue, name string) int { return strings.Compare(v.Name, name) }

// renewals are the changes that every invocation makes: states that expire
// some time after the last one live longer.
func renewals(specs []sdk.StateSpec) []actor.Mutation {
	var out []actor.Mutation
	for i := range specs {
		if specs[i].Expire.Mode == sdk.ExpireAfterInvoke {
			out = append(out, actor.Mutation{Name: specs[i].Name, Renew: true, ExpireAfter: specs[i].Expire.After})
		}
	}
	return out
}

// converted is what effects ask for. The renewals come first, so that what
// the function did to a state itself holds.
func converted(e *sdk.Effects, renewals []actor.Mutation) *actor.Effects {
	out := &actor.Effects{Mutations: renewals}
	for i := range e.Sends {
		s := &e.Sends[i]
		out.Sends = append(out.Sends, actor.Send{Target: target(s.To), Value: value(s.Value)})
	}
	for i := range e.Delayed {
		d := &e.Delayed[i]
		out.Delayed = append(out.Delayed, actor.Delayed{
			Delay: d.After, Target: target(d.To), Value: value(d.Value), Token: d.Token, Cancel: d.Cancel,
		})
	}
	for i := range e.Records {
		r := &e.Records[i]
		out.Egress = append(out.Egress, actor.EgressMessage{ID: actor.TypeName(r.Egress), Value: value(r.Value)})
	}
	for i := range e.Mutations {
		m := &e.Mutations[i]
		out.Mutations = append(out.Mutations, actor.Mutation{
			Name: m.Spec.Name, Delete: m.Delete, Value: value(m.Value), ExpireAfter: m.Spec.Expire.After,
		})
	}
	return out
}

// failure says what a function's error means for its batch.
func failure(b *actor.Batch, err error) error {
	out := &actor.InvokeError{Reason: actor.ReasonStatus, Err: fmt.Errorf("function %s: %w", b.Target.Type, err)}
	var said *sdk.Failure
	if errors.As(err, &said) {
		out.RetryAfter = said.After
		if said.Never {
			out.Kind = actor.Final
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		out.Reason = actor.ReasonTimeout
	}
	return out
}

func address(a actor.Address) sdk.Address {
	return sdk.Address{Type: sdk.TypeName(a.Type), ID: a.ID}
}

func target(a sdk.Address) actor.Address {
	return actor.Address{Type: actor.TypeName(a.Type), ID: a.ID}
}

func value(v sdk.TypedValue) actor.Value { return actor.Value{Type: v.Type, Data: v.Data} }
