package broker

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// StreamMeasure is how full a stream is.
type StreamMeasure struct {
	Name     string // mailbox, ingress, egress, journal or dlq
	Messages uint64
	Bytes    uint64
	MaxBytes int64 // -1: none
	First    uint64
	Last     uint64
}

// Measure asks the server how full the application's streams are. What can't
// be asked is left out, and the error says why.
func (a *App) Measure(ctx context.Context) ([]StreamMeasure, error) {
	all := []struct {
		name   string
		stream jetstream.Stream
	}{
		{string(actor.SourceMailbox), a.streams.mailbox},
		{string(actor.SourceIngress), a.streams.ingress},
		{"egress", a.streams.egress},
		{"journal", a.streams.journal},
		{"dlq", a.streams.dlq},
	}
	out := make([]StreamMeasure, len(all))
	failed := make([]error, len(all))
	var asked sync.WaitGroup
	for i, s := range all {
		asked.Go(func() {
			info, err := s.stream.Info(ctx)
			if err != nil {
				failed[i] = fmt.Errorf("measure the %s stream: %w", s.name, err)
				return
			}
			out[i] = StreamMeasure{
				Name: s.name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
				First: info.State.FirstSeq, Last: info.State.LastSeq,
			}
		})
	}
	asked.Wait()
	var err error
	measured := out[:0]
	for i := range all {
		if failed[i] != nil {
			err = failed[i]
			continue
		}
		measured = append(measured, out[i])
	}
	return measured, err
}
