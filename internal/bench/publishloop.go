package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// gatheredMessages is how many messages are stored as one where the limit
	// is measured of what is gathered.
	gatheredMessages = 128
	scratchStream    = "BENCH_SCRATCH"
	scratchSubject   = "bench.scratch"
	publishPending   = 4000 // nats.go's default
)

// publishLoop publishes as fast as nats.go's asynchronous publish can, to a
// stream of its own with the same settings.
type publishLoop struct {
	url      string
	size     int // of the message
	gathered int // messages in one
	duration time.Duration
}

// run returns how many messages were acknowledged in what time.
func (p *publishLoop) run(ctx context.Context) (n uint64, took time.Duration, err error) {
	nc, err := nats.Connect(p.url, nats.Name("bench limit"))
	if err != nil {
		return 0, 0, fmt.Errorf("connect to %s: %w", p.url, err)
	}
	defer nc.Close()
	var refused error // written before PublishAsyncComplete, read after it
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(max(1, publishPending/p.gathered)),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { refused = err }))
	if err != nil {
		return 0, 0, fmt.Errorf("use JetStream: %w", err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: scratchStream, Subjects: []string{scratchSubject}, Storage: jetstream.FileStorage}); err != nil {
		return 0, 0, fmt.Errorf("create stream %s: %w", scratchStream, err)
	}
	payload := make([]byte, p.size*p.gathered)
	began := time.Now()
	for time.Since(began) < p.duration && ctx.Err() == nil {
		if _, err := js.PublishAsync(scratchSubject, payload, jetstream.WithStallWait(time.Minute)); err != nil {
			return 0, 0, fmt.Errorf("publish: %w", err)
		}
		n += uint64(p.gathered)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		return 0, 0, fmt.Errorf("publishes without an answer: %d", js.PublishAsyncPending())
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	took = time.Since(began)
	if refused != nil {
		return 0, 0, fmt.Errorf("a publish was refused: %w", refused)
	}
	return n, took, js.DeleteStream(ctx, scratchStream)
}
