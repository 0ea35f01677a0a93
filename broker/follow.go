package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	pullMessages  = 1000
	pullBytes     = 16 << 20
	pullExpiry    = 5 * time.Second
	pullHeartbeat = 500 * time.Millisecond
	consumerIdle  = 2 * time.Minute // without a pull, after which the server forgets a consumer
	deleteLimit   = 2 * time.Second
)

// errGap means that a consumer skipped or repeated a message.
var errGap = errors.New("gap in the consumer's deliveries")

// follow creates a consumer of stream as cfg says and calls each with its
// messages until that returns an error, ctx ends, or the consumer can't be
// trusted any more. It removes the consumer when it returns.
func (a *App) follow(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, each func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	return a.followFrom(ctx, stream, cfg, func(uint64) error { return nil }, each)
}

// errEnd means that there is no further message.
var errEnd = errors.New("read to the end")

// followToEnd is follow, but returns nil when there is no further message.
func (a *App) followToEnd(ctx context.Context, stream string, cfg jetstream.ConsumerConfig, each func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	atEnd := func(pending uint64) error {
		if pending == 0 {
			return errEnd
		}
		return nil
	}
	err := a.followFrom(ctx, stream, cfg, atEnd, func(m jetstream.Msg, md *jetstream.MsgMetadata) error {
		if err := each(m, md); err != nil {
			return err
		}
		return atEnd(md.NumPending)
	})
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

// followFrom is follow, and calls begin with the number of messages that are
// there.
func (a *App) followFrom(
	ctx context.Context, stream string, cfg jetstream.ConsumerConfig,
	begin func(pending uint64) error, each func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	cfg.AckPolicy = jetstream.AckNonePolicy
	cfg.MemoryStorage = true
	cfg.Replicas = 1
	cfg.InactiveThreshold = consumerIdle
	consumer, err := a.createConsumer(ctx, stream, cfg)
	if err != nil {
		return fmt.Errorf("create consumer of %s: %w", stream, err)
	}
	defer a.deleteConsumer(ctx, stream, consumer.CachedInfo().Name)
	if err := begin(consumer.CachedInfo().NumPending); err != nil {
		return err
	}
	limit := max(pullBytes, 2*int(a.nc.MaxPayload())) // one message must always fit
	messages, err := consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(pullMessages, limit),
		jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat),
	)
	if err != nil {
		return fmt.Errorf("consume %s: %w", stream, err)
	}
	defer messages.Stop()
	read, end := settle(ctx, messages, a.cfg.Syncer)
	defer end()
	for expected := uint64(1); ; expected++ {
		m, err := read.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("consume %s: %w", stream, err)
		}
		md, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("consume %s: %w", stream, err)
		}
		if md.Sequence.Consumer != expected || md.NumDelivered != 1 {
			return fmt.Errorf("consume %s: %w: delivery %d where %d was due", stream, errGap, md.Sequence.Consumer, expected)
		}
		if err := each(m, md); err != nil {
			return err
		}
	}
}

// createConsumer replaces a consumer of the same name, which is one of ours
// from before.
func (a *App) createConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	if cfg.Name != "" {
		err := a.js.DeleteConsumer(ctx, stream, cfg.Name)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, err
		}
	}
	return a.js.CreateConsumer(ctx, stream, cfg)
}

// deleteConsumer is a courtesy: the server does it by itself a little later.
func (a *App) deleteConsumer(ctx context.Context, stream, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteLimit)
	defer cancel()
	if err := a.js.DeleteConsumer(ctx, stream, name); err != nil {
		a.cfg.Log.Debug().Err(err).Str("consumer", name).Msg("consumer left to expire")
	}
}
