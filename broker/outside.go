package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// popAckWait is after how long a record whose taking was not confirmed is
// there again.
const popAckWait = 5 * time.Second

// PopEgress takes one record of an egress and key for ever. It is false if
// there is none. After an error the record may be taken, or come again.
func (a *App) PopEgress(ctx context.Context, egress actor.TypeName, key string) (data []byte, ok bool, err error) {
	subject := a.names.egress(egress, key, a.cfg.EgressPrefix)
	consumer, err := a.popConsumer(ctx, subject)
	if err != nil {
		return nil, false, fmt.Errorf("take from egress %s: %w", egress, err)
	}
	batch, err := consumer.FetchNoWait(1)
	if err != nil {
		a.forgetPop(subject)
		return nil, false, fmt.Errorf("take from egress %s: %w", egress, err)
	}
	var m jetstream.Msg
	select {
	case m = <-batch.Messages(): // nil if it is closed
	case <-ctx.Done():
		return nil, false, fmt.Errorf("take from egress %s: %w", egress, ctx.Err())
	}
	if m != nil {
		if err := m.DoubleAck(ctx); err != nil {
			return nil, false, fmt.Errorf("take from egress %s: confirm: %w", egress, err)
		}
		return m.Data(), true, nil
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
		a.forgetPop(subject) // it may have been deleted: the next call makes it again
		return nil, false, fmt.Errorf("take from egress %s: %w", egress, err)
	}
	return nil, false, nil
}

func (a *App) popConsumer(ctx context.Context, subject string) (jetstream.Consumer, error) {
	a.mu.Lock()
	consumer, ok := a.pops[subject]
	a.mu.Unlock()
	if ok {
		return consumer, nil
	}
	sum := sha256.Sum256([]byte(subject))
	consumer, err := a.js.CreateOrUpdateConsumer(ctx, a.names.egressStream(), jetstream.ConsumerConfig{
		Durable:       "pop_" + hex.EncodeToString(sum[:8]),
		Description:   "takes records of " + subject,
		FilterSubject: subject,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       popAckWait,
	})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pops[subject] = consumer
	return consumer, nil
}

func (a *App) forgetPop(subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pops, subject)
}

// TailEgress hands every egress message stored from now on to fn, until ctx
// ends (nil) or fn fails.
func (a *App) TailEgress(ctx context.Context, fn func(subject string, h nats.Header, data []byte) error) error {
	info, err := a.streams.egress.Info(ctx)
	if err != nil {
		return fmt.Errorf("tail the egress: %w", err)
	}
	next := info.State.LastSeq + 1
	var failure error
	for {
		cfg := jetstream.ConsumerConfig{
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next,
			FilterSubjects: a.names.egressSubjects(a.cfg.EgressPrefix),
		}
		err := a.follow(ctx, a.names.egressStream(), cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error {
			next = md.Sequence.Stream + 1
			failure = fn(m.Subject(), m.Headers(), m.Data())
			return failure
		})
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of ctx is the normal end
		case failure != nil:
			return failure
		}
		a.cfg.Log.Debug().Err(err).Msg("tail of the egress interrupted")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(feedRetryMin):
		}
	}
}
