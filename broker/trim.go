package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// trimNear is how much of a stream, in bytes, a partition's purge may look
	// at without a second thought: two of the server's blocks.
	trimNear = 16 << 20
	// trimPause is the time between purges of all partitions together, after
	// each of which the server writes its index.
	trimPause = 5 * time.Second
	// trimStale is how old what is known of the stream may be.
	trimStale = 2 * time.Second
)

// trimmer removes from a stream what its partitions are done with.
//
// A purge of one partition's subjects makes the server read every block between
// the first message there and the last, whatever the sequence below which it
// purges, and it keeps those blocks in memory for a while. With a backlog that
// is all of the stream, for each partition, every few seconds. A purge of all
// subjects below a sequence reads one block. So what all are done with goes at
// once, and what one partition alone is done with only if that is a good part
// of what the server would have to look at.
type trimmer struct {
	stream  jetstream.Stream
	filters func(partition int) []string

	mu      sync.Mutex
	done    []uint64 // by partition: everything of it below is decided for good
	purged  []uint64 // by partition: nothing of it is below
	floored time.Time
	state   jetstream.StreamState
	asked   time.Time // when state was
}

func newTrimmer(stream jetstream.Stream, partitions int, filters func(partition int) []string) *trimmer {
	return &trimmer{stream: stream, filters: filters, done: make([]uint64, partitions), purged: make([]uint64, partitions)}
}

// trim takes a partition's word that it is done with everything below before.
func (t *trimmer) trim(ctx context.Context, partition int, before uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[partition] = max(t.done[partition], before)
	if err := t.look(ctx); err != nil {
		return err
	}
	if err := t.floor(ctx); err != nil {
		return err
	}
	if !t.worth(partition) {
		return nil
	}
	for _, filter := range t.filters(partition) {
		if err := t.stream.Purge(ctx, jetstream.WithPurgeSubject(filter), jetstream.WithPurgeSequence(t.done[partition])); err != nil {
			return fmt.Errorf("partition %d below %d: %w", partition, t.done[partition], err)
		}
	}
	t.purged[partition] = t.done[partition]
	return nil
}

// forget takes back what all partitions said: the stream isn't the one that
// they spoke of.
func (t *trimmer) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.done)
	clear(t.purged)
	t.asked = time.Time{}
}

// look asks for the stream's state, unless it is known.
func (t *trimmer) look(ctx context.Context) error {
	if time.Since(t.asked) < trimStale {
		return nil
	}
	info, err := t.stream.Info(ctx)
	if err != nil {
		return err
	}
	t.state, t.asked = info.State, time.Now()
	return nil
}

// floor removes what all partitions are done with, but for the stream's last
// message: an empty stream's sequence is a matter of the server's index alone.
func (t *trimmer) floor(ctx context.Context) error {
	floor := min(slices.Min(t.done), t.state.LastSeq)
	if floor <= max(slices.Min(t.purged), t.state.FirstSeq) || time.Since(t.floored) < trimPause {
		return nil
	}
	if err := t.stream.Purge(ctx, jetstream.WithPurgeSequence(floor)); err != nil {
		return fmt.Errorf("all partitions below %d: %w", floor, err)
	}
	t.floored = time.Now()
	for p := range t.purged {
		t.purged[p] = max(t.purged[p], floor)
	}
	return nil
}

// worth reports whether a purge of a partition removes at least half of what
// the server looks at, which bounds how often it looks at anything; or whether
// that is little.
func (t *trimmer) worth(partition int) bool {
	s := &t.state
	from, to := max(t.purged[partition], s.FirstSeq), t.done[partition]
	switch {
	case to <= t.purged[partition]:
		return false
	case to >= s.LastSeq || s.Msgs == 0:
		return true
	}
	return to > from && to-from >= s.LastSeq-to || (s.LastSeq-to)*(s.Bytes/s.Msgs) <= trimNear
}
