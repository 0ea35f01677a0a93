package broker

import (
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/actor"
)

// Routing sends a record of an ingress to the address that its contents say.
type Routing struct {
	ValueType string // of the records, as the function gets them
	// Address finds the address. Errors that wrap actor.ErrBadAddress are
	// about the address, others about the record.
	Address func(record []byte) (actor.Address, error)
}

// Routings are those of a record of an ingress, besides its targets, for which
// the same holds.
type Routings func(ingress actor.TypeName, seq uint64) []Routing

// routed is a record on its way by r. It is not called here: the commit that
// consumes it sends it to the partition of its address.
func (r Routing) routed(m *stored, key string) actor.Input {
	address, err := r.Address(m.data)
	if err != nil {
		in := badAddress(m, actor.Address{ID: key}, err.Error())
		in.Envelope.Value.Type = r.ValueType
		if !errors.Is(err, actor.ErrBadAddress) {
			in.Problem.Reason = actor.ReasonBadType
		}
		return in
	}
	in := input(m, address, r.ValueType)
	if in.Problem == nil && in.Route == nil {
		in.Route = &actor.Route{}
	}
	return in
}

func noTargets(m *stored, ingress actor.TypeName, key string) actor.Input {
	return badAddress(m, actor.Address{ID: key},
		fmt.Sprintf("no module declares the ingress %s, or it has no targets; declare it, or publish to another", ingress))
}
