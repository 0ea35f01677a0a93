package bench

import (
	"context"
	"sync/atomic"

	"github.com/jetfn/jetfn/actor"
)

// counter is the workload's function inside the worker. It counts its calls.
type counter struct{ calls *atomic.Uint64 }

// Invoke implements actor.Function.
func (c counter) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	c.calls.Add(1)
	old, _ := b.State.Get(stateName)
	count, err := parseCount(old.Value.Data)
	if err != nil {
		return nil, err
	}
	effects := &actor.Effects{Egress: make([]actor.EgressMessage, len(b.Envelopes))}
	for i := range b.Envelopes {
		index, err := indexOf(b.Envelopes[i].Value.Data)
		if err != nil {
			return nil, err
		}
		count++
		effects.Egress[i] = actor.EgressMessage{
			ID: egressID(), Value: actor.Value{Type: recordType, Data: newRecord(b.Target.ID, count, index)},
		}
	}
	effects.Mutations = []actor.Mutation{{Name: stateName, Value: countValue(count)}}
	return effects, nil
}
