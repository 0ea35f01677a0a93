package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
)

// Reply sends an answer to the gateway where its target waits. Whether it
// arrives is not known: nobody waits for that (PROTOCOL G1). It implements
// actor.Replies.
func (a *App) Reply(e *actor.Envelope) {
	gateway, ok := e.Target.WaitsAt()
	if !ok || gateway == "" {
		return
	}
	data := actor.AppendEnvelope(nil, e)
	if limit := int(a.nc.MaxPayload()); len(data) > limit {
		f := actor.Failure{Reason: actor.ReasonLimit, Error: fmt.Sprintf("the reply of %s has %d bytes, the server takes %d", e.Caller, len(data), limit)}
		data = actor.AppendEnvelope(nil, &actor.Envelope{Target: e.Target, Value: f.Value(), Trace: e.Trace})
	}
	// The gateway's name may be anything that a function made up.
	if err := a.nc.Publish(a.names.reply(actor.Escape(gateway)), data); err != nil {
		a.cfg.Log.Debug().Err(err).Msg("reply not sent, its caller won't get it")
	}
}

// HearReplies hands the answers to the callers that wait at a gateway to
// deliver, one at a time, until stop is called.
func (a *App) HearReplies(ctx context.Context, gateway string, deliver func(*actor.Envelope)) (stop func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	sub, err := a.nc.Subscribe(a.names.reply(actor.Escape(gateway)), func(m *nats.Msg) {
		e, err := actor.ParseEnvelope(m.Data)
		if err != nil {
			a.cfg.Log.Debug().Err(err).Msg("reply can't be read")
			return
		}
		deliver(&e)
	})
	if err == nil {
		err = sub.SetPendingLimits(-1, replyPendingBytes)
	}
	if err == nil {
		err = a.nc.FlushWithContext(ctx)
	}
	if err != nil {
		if sub != nil {
			_ = sub.Unsubscribe()
		}
		return nil, fmt.Errorf("hear replies: %w", err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// replyPendingBytes bounds the replies that have arrived and are not handed
// on yet.
const replyPendingBytes = 64 << 20

// DeadLetterID is the text by which outsiders know a dead letter.
func (a *App) DeadLetterID(id actor.SinkID) string { return a.sinkID(id) }
