package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

// headerRoom is what the headers of our own messages take at most.
const headerRoom = 1024

// journal is the log of one partition.
type journal struct {
	app       *App
	partition int
	subject   string
}

func (j *journal) Append(data []byte, after uint64, done func(actor.WriteResult)) {
	j.app.pub.Publish(&nats.Msg{
		Subject: j.subject,
		Header:  nats.Header{headerExpected: {strconv.FormatUint(after, 10)}},
		Data:    data,
	}, func(ack jspub.Ack) { done(ack.WriteResult) })
}

func (j *journal) Last(ctx context.Context) (actor.Entry, error) {
	m, err := j.app.streams.journal.GetLastMsgForSubject(ctx, j.subject)
	if err != nil {
		return actor.Entry{}, fmt.Errorf("read last record of journal %d: %w", j.partition, notFound(err))
	}
	return actor.Entry{Seq: m.Sequence, Data: m.Data}, nil
}

func (j *journal) Next(ctx context.Context, from uint64) (actor.Entry, error) {
	m, err := j.app.streams.journal.GetMsg(ctx, max(from, 1), jetstream.WithGetMsgSubject(j.subject))
	if err != nil {
		return actor.Entry{}, fmt.Errorf("read journal %d from %d: %w", j.partition, from, notFound(err))
	}
	return actor.Entry{Seq: m.Sequence, Data: m.Data}, nil
}

func (j *journal) Purge(ctx context.Context, before uint64) error {
	last, err := j.Last(ctx)
	if errors.Is(err, actor.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	before = min(before, last.Seq) // purges what is below
	if before <= 1 {
		return nil
	}
	err = j.app.streams.journal.Purge(ctx, jetstream.WithPurgeSubject(j.subject), jetstream.WithPurgeSequence(before))
	if err != nil {
		return fmt.Errorf("purge journal %d below %d: %w", j.partition, before, err)
	}
	return nil
}

func (j *journal) MaxRecord() int { return int(j.app.nc.MaxPayload()) - headerRoom }

// notFound makes the client library's error that of the ports.
func notFound(err error) error {
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrKeyNotFound) {
		return actor.ErrNotFound
	}
	return err
}
