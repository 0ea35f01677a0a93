package actor

import "context"

// viewedMessages is how many messages of an address a view shows.
const viewedMessages = 20

// AddressView is what an address has to do.
type AddressView struct {
	Phase    string // idle, loading, stalled, ready, running, or retrying
	Barred   bool   // it gets no calls: its type is paused, or an edit is due
	Waiting  int    // messages that wait for a call
	Resident int    // of them in memory
	InCall   int    // messages in the call, or waiting for its repetition
	Calls    int    // attempts of that call
	FirstAt  int64  // when it was called first, in Unix milliseconds
	CalledAt int64  // the latest attempt
	// Failure is why the latest attempt that failed did; nil: none has, as far
	// as is known. FailedAt is when.
	Failure  *InvokeError
	FailedAt int64
	Messages []MessageView // the first ones
}

// MessageView is a message that an address has to handle.
type MessageView struct {
	ID       InputID
	Envelope Envelope
	InCall   bool
}

// View returns what a has to do.
func (p *Partition) View(a Address) AddressView {
	act := p.activations[a]
	if act == nil {
		return AddressView{Phase: actIdle.String(), Barred: p.barred(a)}
	}
	v := AddressView{
		Phase: act.phase.String(), Barred: p.barred(a), Waiting: len(act.queue) + len(act.spilled), Resident: len(act.queue),
		InCall: len(act.batch), Failure: act.failure, FailedAt: act.failedAt,
	}
	if len(act.batch) > 0 {
		v.Calls, v.FirstAt, v.CalledAt = act.calls, act.firstAt, act.startedAt
	}
	for i, list := range [][]queuedInput{act.batch, act.queue} {
		for _, q := range list {
			if len(v.Messages) < viewedMessages {
				v.Messages = append(v.Messages, MessageView{ID: q.id, Envelope: *q.envelope, InCall: i == 0})
			}
		}
	}
	return v
}

func (p activationPhase) String() string {
	switch p {
	case actIdle:
		return "idle"
	case actLoading:
		return "loading"
	case actStalled:
		return "stalled"
	case actReady:
		return "ready"
	case actRunning:
		return "running"
	case actBackoff:
		return "retrying"
	}
	return "unknown"
}

// View returns what a has to do.
func (p *Processor) View(ctx context.Context, a Address) (AddressView, error) {
	return ask(ctx, p, func(part *Partition, reply func(AddressView, error)) { reply(part.View(a), nil) })
}
