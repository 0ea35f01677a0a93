package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

const timerVersion = 1

// Fields of a timer record; its id is in the key.
const (
	timerFieldVersion  protowire.Number = 1
	timerFieldDueAt    protowire.Number = 2
	timerFieldToken    protowire.Number = 3
	timerFieldEnvelope protowire.Number = 4
)

// shortLoad is how many timers are read one by one before a consumer is
// worth its while.
const shortLoad = 16

// timers keeps one partition's timers in a KV bucket.
type timers struct {
	app       *App
	partition int
	subject   string // of the bucket, ends in a dot
}

func (t *timers) Put(timer actor.Timer, done func(actor.WriteResult)) {
	t.app.writers.timers.Write(&jspub.Write{Msg: &nats.Msg{
		Subject: t.subject + timerKey(t.partition, timer.ID),
		Header:  nats.Header{headerExpected: {"0"}},
		Data:    encodeTimer(&timer),
	}}, func(r actor.WriteResult) {
		if r.Outcome == actor.Rejected { // it is there, or its removal is
			r = actor.WriteResult{Outcome: actor.Stored, Seq: r.Seq}
		}
		done(r)
	})
}

func (t *timers) Delete(id actor.TimerID, done func(actor.WriteResult)) {
	t.app.writers.timers.Write(&jspub.Write{Msg: &nats.Msg{
		Subject: t.subject + timerKey(t.partition, id),
		Header:  nats.Header{headerOperation: {operationPurge}, headerRollup: {jetstream.MsgRollupSubject}, headerTTL: {markerTTL}},
	}}, done)
}

// LoadAll writes a fence and reads through it: what was stored before is then
// seen for certain.
func (t *timers) LoadAll(ctx context.Context) ([]actor.Timer, error) {
	fence, err := t.app.pub.Do(ctx, &nats.Msg{Subject: t.subject + timerFence(t.partition)})
	if err == nil {
		err = fence.Err
	}
	if err != nil {
		return nil, fmt.Errorf("load timers of partition %d: write the fence: %w", t.partition, err)
	}
	l := &timerLoad{timers: t, fence: fence.Seq}
	if err := l.read(ctx); err != nil {
		return nil, fmt.Errorf("load timers of partition %d: %w", t.partition, err)
	}
	return l.loaded, nil
}

// timerLoad is one run of LoadAll.
type timerLoad struct {
	*timers
	fence  uint64
	loaded []actor.Timer
}

var errLoaded = errors.New("passed the fence")

func (l *timerLoad) read(ctx context.Context) error {
	filter := l.subject + timerPrefix(l.partition) + ">"
	next := uint64(1)
	for range shortLoad {
		m, err := l.app.streams.timers.GetMsg(ctx, next, jetstream.WithGetMsgSubject(filter))
		if err != nil {
			return fmt.Errorf("read from %d: %w", next, err)
		}
		if err := l.take(m.Subject, m.Header, m.Data, m.Sequence); err != nil {
			return loadEnd(err)
		}
		next = m.Sequence + 1
	}
	cfg := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next, FilterSubject: filter}
	return loadEnd(l.app.follow(ctx, bucketStream(l.app.names.timersBucket()), cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error {
		return l.take(m.Subject(), m.Headers(), m.Data(), md.Sequence.Stream)
	}))
}

func loadEnd(err error) error {
	if errors.Is(err, errLoaded) {
		return nil
	}
	return err
}

// take adds the timer that a message holds, and returns errLoaded at the
// fence. The bucket keeps one revision a key, so nothing comes twice.
func (l *timerLoad) take(subject string, h nats.Header, data []byte, seq uint64) error {
	if seq >= l.fence {
		return errLoaded
	}
	if h.Get(headerOperation) != "" {
		return nil
	}
	key := strings.TrimPrefix(subject, l.subject)
	id, ok := parseTimerKey(key)
	if !ok {
		if key != timerFence(l.partition) {
			l.app.cfg.Log.Warn().Str("key", key).Str("bucket", l.app.names.timersBucket()).Msg("foreign key among the timers ignored")
		}
		return nil
	}
	timer, err := decodeTimer(data)
	if err != nil {
		return fmt.Errorf("timer %s in bucket %s: %w", key, l.app.names.timersBucket(), err)
	}
	timer.ID = id
	l.loaded = append(l.loaded, timer)
	return nil
}

func parseTimerKey(key string) (actor.TimerID, bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 4 {
		return actor.TimerID{}, false
	}
	epoch, err1 := strconv.ParseUint(parts[1], 10, 64)
	commit, err2 := strconv.ParseUint(parts[2], 10, 64)
	index, err3 := strconv.Atoi(parts[3])
	return actor.TimerID{Epoch: epoch, Commit: commit, Index: index}, err1 == nil && err2 == nil && err3 == nil
}

func encodeTimer(t *actor.Timer) []byte {
	b := appendUint(nil, timerFieldVersion, timerVersion)
	b = appendUint(b, timerFieldDueAt, uint64(t.DueAt))
	b = appendText(b, timerFieldToken, t.Token)
	return appendBytes(b, timerFieldEnvelope, appendEnvelope(nil, &t.Envelope))
}

func decodeTimer(data []byte) (actor.Timer, error) {
	var t actor.Timer
	var version uint64
	found := false
	err := fields(data, func(f field) error {
		var err error
		switch f.number {
		case timerFieldVersion:
			version = f.uint
		case timerFieldDueAt:
			t.DueAt = int64(f.uint)
		case timerFieldToken:
			t.Token = string(f.bytes)
		case timerFieldEnvelope:
			found = true
			t.Envelope, err = decodeEnvelope(f.bytes)
		default: // a field of a later version that earlier ones may skip
		}
		return err
	})
	switch {
	case version > timerVersion:
		return t, fmt.Errorf("format %d: %w", version, errNewer)
	case err != nil:
		return t, err
	case version == 0 || !found:
		return t, errors.New("not a timer that jetfn wrote; remove the key")
	}
	return t, nil
}
