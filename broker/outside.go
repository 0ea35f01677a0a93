package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// PopEgress takes one record of an egress and key for ever. It is false if
// there is none. The record is noted as taken, durably, before it is handed
// out: nobody gets it twice, and a crash in between loses it for its reader.
// After an error it may be taken or not.
//
// An acknowledgement would not do: the server keeps a consumer's position in
// memory for a while, and forgets it when it is killed.
func (a *App) PopEgress(ctx context.Context, egress actor.TypeName, key string) (data []byte, ok bool, err error) {
	subject := a.names.egress(egress, key, *a.prefixes.Load())
	for {
		data, ok, err := a.pop(ctx, subject)
		if errors.Is(err, jetstream.ErrKeyExists) { // another reader was faster
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("take from egress %s: %w", egress, err)
		}
		return data, ok, nil
	}
}

func (a *App) pop(ctx context.Context, subject string) ([]byte, bool, error) {
	kv := a.streams.metaKV
	sum := sha256.Sum256([]byte(subject))
	position := popPrefix + hex.EncodeToString(sum[:16])
	taken, revision := uint64(0), uint64(0)
	entry, err := kv.Get(ctx, position)
	switch {
	case err == nil:
		revision = entry.Revision()
		if taken, err = strconv.ParseUint(string(entry.Value()), 10, 64); err != nil {
			return nil, false, fmt.Errorf("%s/%s is damaged: %w", a.names.metaBucket(), position, err)
		}
	case !errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, false, err
	}
	m, err := a.streams.egress.GetMsg(ctx, taken+1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if _, err := kv.Update(ctx, position, []byte(strconv.FormatUint(m.Sequence, 10)), revision); err != nil {
		return nil, false, err
	}
	return m.Data, true, nil
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
			FilterSubjects: a.names.egressSubjects(*a.prefixes.Load()),
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
