package cron

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// early is how much less than a tick's time its delayed message may be due, in
// milliseconds: function and partition look at their clocks one after the
// other. Ticks are at whole seconds.
const early = 500

// Skip leaves out the tick whose delayed message is due at a time, in Unix
// milliseconds, and waits for the one behind it. It is a change of the ingress'
// address between two of its calls, so that the tick is either sent or skipped;
// its error wraps actor.ErrNotFound if the tick isn't the next one any more.
func (in *Ingress) Skip(due int64) actor.Edit {
	return func(v actor.StateView, now int64) (actor.Edited, error) {
		m, err := remembered(v.State)
		if err != nil {
			return actor.Edited{}, err
		}
		if m.Schedule != in.Schedule.String() || m.Next > due+early {
			return actor.Edited{}, fmt.Errorf("the tick of cron ingress %s that was due at %d is past: %w", in.ID, due, actor.ErrNotFound)
		}
		tick := time.UnixMilli(m.Next)
		if now := time.UnixMilli(now); !tick.After(now) { // several may be late: they would be one
			tick = in.Schedule.newest(tick, now)
		}
		m.Next = in.Schedule.Next(tick).UnixMilli()
		data, err := json.Marshal(m)
		if err != nil {
			return actor.Edited{}, fmt.Errorf("cron ingress %s: %w", in.ID, err)
		}
		return actor.Edited{
			Mutations: []actor.Mutation{{Name: stateName, Value: actor.Value{Type: stateType, Data: data}}},
			Sends:     []actor.Envelope{{Target: in.Address(), Value: Wake()}}, // sets the delayed message anew
		}, nil
	}
}
