package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	// pauseReads is how many records are read at once.
	pauseReads = 64
	// maxPauseError caps the error in a record, in bytes.
	maxPauseError = 2048
)

// Pause is what is recorded of something that may get no calls.
type Pause struct {
	actor.PauseNews
	At    int64             // Unix milliseconds; zero: not known, or it isn't paused
	Cause *actor.PauseCause // nil: an operator has paused it
}

// pauseRecord is the value of a pause's key.
type pauseRecord struct {
	PausedAt   string `json:"pausedAt"`
	By         string `json:"by,omitempty"` // "operator" or "failure"
	Address    string `json:"address,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Error      string `json:"error,omitempty"`
	HTTPStatus int    `json:"httpStatus,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"`
	Attempts   int    `json:"attempts,omitempty"`
	FirstAt    string `json:"firstAt,omitempty"`
	LastAt     string `json:"lastAt,omitempty"`
}

const (
	byOperator = "operator"
	byFailure  = "failure"
)

// pauseMessage is the record of a pause, or the mark of a resumption.
func (a *App) pauseMessage(k actor.PauseKey, cause *actor.PauseCause, paused bool) (*nats.Msg, error) {
	m := &nats.Msg{Subject: bucketSubject(a.names.metaBucket()) + pauseKey(k), Header: nats.Header{}}
	if !paused {
		m.Header = nats.Header{headerOperation: {operationPurge}, headerRollup: {jetstream.MsgRollupSubject}, headerTTL: {markerTTL}}
		return m, nil
	}
	r := pauseRecord{PausedAt: timeText(time.Now().UnixMilli(), 0), By: byOperator}
	if cause != nil {
		r.By, r.Address, r.Reason, r.Error = byFailure, cause.Address.String(), cause.Reason, short(cause.Error, maxPauseError)
		r.HTTPStatus, r.Endpoint, r.Attempts = cause.HTTPStatus, cause.Endpoint, cause.Attempts
		r.FirstAt, r.LastAt = timeText(cause.FirstAt, 0), timeText(cause.LastAt, 0)
	}
	var err error
	m.Data, err = json.Marshal(&r)
	return m, err
}

// short cuts text to at most limit bytes, between two characters.
func short(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// SetPaused notes durably, as an operator wants it, whether k gets no calls,
// and returns what is recorded then.
func (a *App) SetPaused(ctx context.Context, k actor.PauseKey, paused bool) (Pause, error) {
	m, err := a.pauseMessage(k, nil, paused)
	if err != nil {
		return Pause{}, fmt.Errorf("record the pause of %s: %w", k, err)
	}
	ack, err := a.pub.Do(ctx, m)
	if err == nil && ack.Outcome != actor.Stored {
		err = ack.Err
	}
	if err != nil {
		return Pause{}, fmt.Errorf("record the pause of %s: %w: %w", k, ErrUnknown, err)
	}
	out := Pause{PauseNews: actor.PauseNews{Key: k, Revision: ack.Seq, Paused: paused}}
	if paused {
		out.At = time.Now().UnixMilli()
	}
	return out, nil
}

// pauseStore is how partitions record what failures have paused.
type pauseStore struct{ app *App }

// Pause implements actor.PauseStore.
func (s pauseStore) Pause(k actor.PauseKey, cause actor.PauseCause, revision uint64, done func(actor.WriteResult)) {
	m, err := s.app.pauseMessage(k, &cause, true)
	if err != nil {
		done(actor.WriteResult{Outcome: actor.Refused, Err: err})
		return
	}
	m.Header[headerExpected] = []string{strconv.FormatUint(revision, 10)}
	s.app.pub.Publish(m, func(ack jspub.Ack) { done(ack.WriteResult) })
}

// Paused reads all that is recorded, from the leader, resumptions of the last
// day too, in the order of the keys.
func (a *App) Paused(ctx context.Context) ([]Pause, error) {
	prefix := bucketSubject(a.names.metaBucket())
	info, err := a.streams.meta.Info(ctx, jetstream.WithSubjectFilter(prefix+pausePrefix+">"))
	if err != nil {
		return nil, fmt.Errorf("read what is paused: %w", err)
	}
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(pauseReads)
	var mu sync.Mutex
	var out []Pause
	for subject := range info.State.Subjects {
		group.Go(func() error {
			m, err := a.streams.meta.GetLastMsgForSubject(limited, subject)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			if p, ok := readPause(strings.TrimPrefix(subject, prefix), m.Sequence, m.Header.Get(headerOperation) == "", m.Data); ok {
				mu.Lock()
				out = append(out, p)
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read what is paused: %w", err)
	}
	slices.SortFunc(out, func(a, b Pause) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return out, nil
}

// readPause reads a record, or the mark of a resumption; false if the key is
// none of ours.
func readPause(key string, revision uint64, paused bool, data []byte) (Pause, bool) {
	k, ok := parsePauseKey(key)
	if !ok {
		return Pause{}, false
	}
	p := Pause{PauseNews: actor.PauseNews{Key: k, Revision: revision, Paused: paused}}
	var r pauseRecord
	if !paused || json.Unmarshal(data, &r) != nil { // somebody has paused it by hand
		return p, true
	}
	p.At = millis(r.PausedAt)
	if r.By == byFailure {
		p.Cause = &actor.PauseCause{
			Reason: r.Reason, Error: r.Error, HTTPStatus: r.HTTPStatus, Endpoint: r.Endpoint, Attempts: r.Attempts,
			FirstAt: millis(r.FirstAt), LastAt: millis(r.LastAt),
		}
		if a, err := actor.ParseAddress(r.Address); err == nil {
			p.Cause.Address = a
		}
	}
	return p, true
}

// millis is a time as timeText writes it, in Unix milliseconds; zero if it is
// none.
func millis(text string) int64 {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}

// WatchPaused calls each with what is recorded, now and after each change,
// until ctx ends (nil) or it can't go on.
func (a *App) WatchPaused(ctx context.Context, each func(Pause)) error {
	watcher, err := a.streams.metaKV.Watch(ctx, pausePrefix+">")
	if err != nil {
		return fmt.Errorf("watch what is paused: %w", err)
	}
	defer func() { _ = watcher.Stop() }() // fails if it has ended
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok && ctx.Err() != nil:
				return nil
			case !ok:
				return errors.New("watch what is paused: the watcher ended by itself")
			case entry == nil: // all that was there
			default:
				if p, ok := readPause(entry.Key(), entry.Revision(), entry.Operation() == jetstream.KeyValuePut, entry.Value()); ok {
					each(p)
				}
			}
		}
	}
}
