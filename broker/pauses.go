package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// Paused is the set of function types that get no calls.
type Paused struct {
	Types []actor.TypeName // sorted
	// Revision grows with each change. Of two sets the one with the higher
	// revision is the newer one.
	Revision uint64
}

// pauseRecord is the value of a paused type's key, for people.
type pauseRecord struct {
	PausedAt string `json:"pausedAt"`
}

// SetPaused notes durably whether t gets no calls.
func (a *App) SetPaused(ctx context.Context, t actor.TypeName, paused bool) error {
	key := pauseKey(t)
	var err error
	if paused {
		var value []byte
		if value, err = json.Marshal(pauseRecord{PausedAt: timeText(time.Now().UnixMilli(), 0)}); err == nil {
			_, err = a.streams.metaKV.Put(ctx, key, value)
		}
	} else {
		err = a.streams.metaKV.Delete(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("write %s to %s: %w: %w", key, a.names.metaBucket(), ErrUnknown, err)
	}
	return nil
}

// Paused reads what is paused, from the leader.
func (a *App) Paused(ctx context.Context) (Paused, error) {
	prefix := bucketSubject(a.names.metaBucket())
	info, err := a.streams.meta.Info(ctx, jetstream.WithSubjectFilter(prefix+pausePrefix+">"))
	if err != nil {
		return Paused{}, fmt.Errorf("read what is paused: %w", err)
	}
	out := Paused{}
	for subject := range info.State.Subjects {
		m, err := a.streams.meta.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return Paused{}, fmt.Errorf("read what is paused: %w", err)
		}
		out.Revision = max(out.Revision, m.Sequence)
		if t, ok := parsePauseKey(strings.TrimPrefix(subject, prefix)); ok && m.Header.Get(headerOperation) == "" {
			out.Types = append(out.Types, t)
		}
	}
	out.sort()
	return out, nil
}

func (p *Paused) sort() {
	slices.SortFunc(p.Types, func(a, b actor.TypeName) int { return strings.Compare(a.String(), b.String()) })
}

// WatchPaused calls each with what is paused, now and after each change, until
// ctx ends (nil) or it can't go on.
func (a *App) WatchPaused(ctx context.Context, each func(Paused)) error {
	watcher, err := a.streams.metaKV.Watch(ctx, pausePrefix+">")
	if err != nil {
		return fmt.Errorf("watch what is paused: %w", err)
	}
	defer func() { _ = watcher.Stop() }() // fails if it has ended
	now, all := Paused{}, false
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
			case entry == nil:
				all = true
			default:
				now = now.with(entry)
			}
			if all {
				each(now)
			}
		}
	}
}

// with is p after a change.
func (p Paused) with(entry jetstream.KeyValueEntry) Paused {
	t, ok := parsePauseKey(entry.Key())
	out := Paused{Revision: max(p.Revision, entry.Revision())}
	out.Types = slices.DeleteFunc(slices.Clone(p.Types), func(old actor.TypeName) bool { return old == t })
	if ok && entry.Operation() == jetstream.KeyValuePut {
		out.Types = append(out.Types, t)
	}
	out.sort()
	return out
}
