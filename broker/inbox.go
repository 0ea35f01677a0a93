package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// inbox reads single deliveries of a partition again, and removes them.
type inbox struct {
	app       *App
	partition int
}

func (i *inbox) Fetch(ctx context.Context, source actor.Source, seq uint64) (actor.Delivery, error) {
	stream, err := i.app.sourceStream(source)
	if err != nil {
		return actor.Delivery{}, err
	}
	m, err := stream.GetMsg(ctx, seq)
	if err != nil {
		return actor.Delivery{}, fmt.Errorf("fetch %s message %d: %w", source, seq, notFound(err))
	}
	p, d, err := i.app.decode(source, &stored{subject: m.Subject, said: saidIn(m.Header), data: m.Data, seq: m.Sequence, time: m.Time}, i.app.targets())
	if err != nil {
		return actor.Delivery{}, fmt.Errorf("fetch %s message %d: %w", source, seq, err)
	}
	if p != i.partition {
		return actor.Delivery{}, fmt.Errorf("fetch %s message %d: it is partition %d's, not %d's", source, seq, p, i.partition)
	}
	return d, nil
}

func (i *inbox) Trim(ctx context.Context, source actor.Source, before uint64) error {
	stream, err := i.app.sourceStream(source)
	if err != nil || before <= 1 {
		return err
	}
	// What lies below may be new, if the stream has lost its end meanwhile.
	if back, err := i.app.ends[source].look(ctx, stream, false); err != nil || back {
		return err
	}
	if err := i.app.trimmers[source].trim(ctx, i.partition, before); err != nil {
		return fmt.Errorf("trim %s: %w", source, err)
	}
	return nil
}

func (a *App) sourceStream(source actor.Source) (jetstream.Stream, error) {
	switch source {
	case actor.SourceMailbox:
		return a.streams.mailbox, nil
	case actor.SourceIngress:
		return a.streams.ingress, nil
	}
	return nil, fmt.Errorf("unknown source %q", source)
}
