package broker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// timers keeps one partition's timers in a KV bucket.
type timers struct {
	app       *App
	partition int
	subject   string // of the bucket, ends in a dot
}

func (t *timers) Put(timer actor.Timer, done func(actor.WriteResult)) {
	t.app.writers.timers.Write(&jspub.Write{
		Subject: t.subject + timerKey(t.partition, timer.ID),
		Header:  []jspub.Field{{Name: headerExpected, Value: "0"}},
		Data:    encodeTimer(&timer),
	}, func(r actor.WriteResult) {
		if r.Outcome == actor.Rejected { // it is there, or its removal is
			r = actor.WriteResult{Outcome: actor.Stored, Seq: r.Seq}
		}
		done(r)
	})
}

func (t *timers) Delete(id actor.TimerID, done func(actor.WriteResult)) {
	t.app.writers.timers.Write(&jspub.Write{
		Subject: t.subject + timerKey(t.partition, id),
		Header: []jspub.Field{
			{Name: headerOperation, Value: operationPurge}, {Name: headerRollup, Value: jetstream.MsgRollupSubject}, {Name: headerTTL, Value: markerTTL},
		},
	}, done)
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
