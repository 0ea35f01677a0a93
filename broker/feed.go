package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const (
	feedRetryMin = 50 * time.Millisecond
	feedRetryMax = 2 * time.Second
)

// Deliver takes a delivery of a partition. It may block, which holds the feed
// back.
type Deliver func(ctx context.Context, partition int, d actor.Delivery) error

// Feed reads source from sequence start on and hands each message to deliver,
// in stream order, each once. It returns nil when ctx ends, and an error if
// deliver or the stream fails for good, or the stream has lost what was read of
// it (actor.ErrWentBack). A consumer named after worker shows
// in the stream meanwhile. Targets may be nil, which means Config's; they are
// used by the ports' Inbox from then on.
func (a *App) Feed(ctx context.Context, source actor.Source, worker string, start uint64, targets Targets, deliver Deliver) error {
	stream, err := a.sourceStream(source)
	if err != nil {
		return err
	}
	if targets != nil && source == actor.SourceIngress {
		a.fed.Store(&targets)
	}
	f := &feed{
		app: a, source: source, stream: stream.CachedInfo().Config.Name, consumer: consumerName(worker),
		next: max(start, 1), end: a.ends[source], targets: a.targets(), deliver: deliver,
	}
	return f.run(ctx)
}

// feed is one run of Feed.
type feed struct {
	app              *App
	source           actor.Source
	stream, consumer string
	next             uint64 // sequence to go on at
	end              *streamEnd
	targets          Targets
	deliver          Deliver
	failure          error // why it can't go on
}

var errFeedFailed = errors.New("feed failed")

func (f *feed) run(ctx context.Context) error {
	wait := feedRetryMin
	for again := false; ; again = true {
		before := f.next
		err := f.follow(ctx, again)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of ctx is the normal end
		case errors.Is(err, errFeedFailed):
			return fmt.Errorf("feed from %s: %w", f.source, f.failure)
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, actor.ErrWentBack):
			return fmt.Errorf("feed from %s: %w", f.source, err)
		}
		if f.next > before {
			wait = feedRetryMin
		}
		f.app.cfg.Log.Warn().Err(err).Str("source", string(f.source)).Uint64("seq", f.next).Dur("retry_in", wait).Msg("consumer lost, making another")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, feedRetryMax)
	}
}

// follow reads until the consumer is lost. Whoever does so again looks first
// whether the stream still has what was read: the server may have failed.
func (f *feed) follow(ctx context.Context, again bool) error {
	if again {
		stream, err := f.app.sourceStream(f.source)
		if err != nil {
			return err
		}
		back, err := f.end.look(ctx, stream, true)
		switch {
		case err != nil:
			return err
		case back:
			return f.wentBack()
		}
	}
	cfg := jetstream.ConsumerConfig{Name: f.consumer, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.next}
	return f.app.follow(ctx, f.stream, cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error { return f.take(ctx, m, md) })
}

func (f *feed) wentBack() error {
	return fmt.Errorf("%w: it had been read up to %d", actor.ErrWentBack, f.next-1)
}

func (f *feed) take(ctx context.Context, m jetstream.Msg, md *jetstream.MsgMetadata) error {
	seq := md.Sequence.Stream
	partition, d, err := f.app.decode(f.source, &stored{subject: m.Subject(), said: saidIn(m.Headers()), data: m.Data(), seq: seq, time: md.Timestamp}, f.targets)
	if err == nil {
		err = f.deliver(ctx, partition, d)
	}
	if err != nil {
		f.failure = err
		return errFeedFailed
	}
	f.next = seq + 1
	if !f.end.read(actor.Anchor{Seq: seq, Stored: md.Timestamp.UnixMilli()}) {
		return f.wentBack()
	}
	return nil
}

// consumerName makes a worker's name one that a consumer may have.
func consumerName(worker string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`.*>/\`, r) {
			return '-'
		}
		return r
	}, worker)
}
