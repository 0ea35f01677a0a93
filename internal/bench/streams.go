package bench

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// storedMessages is how many messages each stream has ever stored.
func storedMessages(ctx context.Context, js jetstream.JetStream) (map[string]uint64, error) {
	out := map[string]uint64{}
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		out[info.Config.Name] = info.State.LastSeq
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("count stored messages: %w", err)
	}
	return out, nil
}
