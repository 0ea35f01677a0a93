package cron

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/mutant"
)

const (
	stateName = "tick"
	stateType = "jetfn/tick"
	token     = "jetfn/cron"
	wakeType  = "jetfn/wake"
	// punctual is how late a tick may be that is not missed.
	punctual = time.Minute
)

// Missed says what becomes of ticks that nobody was there for.
type Missed uint8

const (
	// MissedLatest runs the newest of them once, as soon as possible.
	MissedLatest Missed = iota
	// MissedSkip leaves out what is later than a minute.
	MissedSkip
)

// Ingress is a schedule and what each of its ticks sends.
type Ingress struct {
	ID       actor.TypeName
	Schedule Schedule
	Missed   Missed
	Targets  []actor.Address
	Value    actor.Value
}

// Type is the type of the addresses that stand for cron ingresses.
func Type() actor.TypeName { return actor.TypeName{Namespace: actor.OwnNamespace, Name: "cron"} }

// Address is the ingress' own one. Any message there makes it look what is
// due: a worker that starts sends one.
func (in *Ingress) Address() actor.Address { return actor.Address{Type: Type(), ID: in.ID.String()} }

// Wake is the value of such a message.
func Wake() actor.Value { return actor.Value{Type: wakeType, Data: []byte{}} }

// Function is the built-in.
type Function struct {
	// Ingresses returns the one with an id as the module has it now; false if
	// there is none any more.
	Ingresses func(id string) (Ingress, bool)
	// Now is the clock; the default is time.Now.
	Now func() time.Time
}

// memory is what an ingress remembers.
type memory struct {
	Schedule string `json:"schedule"`
	Next     int64  `json:"next"` // tick, in Unix milliseconds
}

// Invoke implements actor.Function.
func (f *Function) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	in, ok := f.Ingresses(b.Target.ID)
	if !ok {
		e := &actor.Effects{Delayed: []actor.Delayed{{Cancel: true, Token: token}}}
		if !mutant.On("cron-removal-kept") {
			e.Mutations = []actor.Mutation{{Name: stateName, Delete: true}}
		}
		return e, nil
	}
	now := time.Now()
	if f.Now != nil {
		now = f.Now()
	}
	m, err := remembered(b.State)
	if err != nil {
		return nil, err
	}
	e := &actor.Effects{}
	if m.Schedule != in.Schedule.String() { // new, or changed: it begins now
		m = memory{Schedule: in.Schedule.String(), Next: in.Schedule.Next(now).UnixMilli()}
	}
	if next := time.UnixMilli(m.Next); !next.After(now) {
		tick := in.Schedule.newest(next, now)
		if in.Missed == MissedLatest || mutant.On("cron-skip-ignored") || now.Sub(tick) <= punctual {
			for _, target := range in.Targets {
				e.Sends = append(e.Sends, actor.Send{Target: target, Value: in.Value})
			}
		}
		if mutant.On("cron-next-from-now") {
			tick = now
		}
		if !mutant.On("cron-tick-kept") {
			m.Next = in.Schedule.Next(tick).UnixMilli()
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("cron ingress %s: %w", b.Target.ID, err)
	}
	e.Mutations = []actor.Mutation{{Name: stateName, Value: actor.Value{Type: stateType, Data: data}}}
	e.Delayed = []actor.Delayed{
		{Cancel: true, Token: token},
		{Delay: max(time.Duration(m.Next-now.UnixMilli())*time.Millisecond, 0), Target: b.Target, Value: Wake(), Token: token},
	}
	return e, nil
}

func remembered(s actor.State) (m memory, err error) {
	v, ok := s.Get(stateName)
	if !ok {
		return m, nil
	}
	if err := json.Unmarshal(v.Value.Data, &m); err != nil {
		return m, &actor.InvokeError{Kind: actor.Final, Reason: actor.ReasonProtocol, Err: fmt.Errorf("the state of a cron ingress is damaged: %w", err)}
	}
	return m, nil
}
