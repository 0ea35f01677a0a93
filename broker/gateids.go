package broker

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// idKey is a hash of a Nats-Msg-Id, wide enough that two never meet.
type idKey [2]uint64

// knownIDs are the ids of outside messages: of those on their way, and of
// those stored in the last two minutes.
type knownIDs struct {
	seeds   [2]maphash.Seed
	pending map[idKey]*outside
	stored  map[idKey]place
	order   []agedID // of stored, oldest first
}

type agedID struct {
	key   idKey
	until time.Time
}

func newKnownIDs() knownIDs {
	return knownIDs{
		seeds:   [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		pending: map[idKey]*outside{}, stored: map[idKey]place{},
	}
}

func (k *knownIDs) key(id string) idKey {
	return idKey{maphash.String(k.seeds[0], id), maphash.String(k.seeds[1], id)}
}

// add notes an id that was stored at a time; calls come in the order of time.
func (k *knownIDs) add(key idKey, at place, stored time.Time) {
	k.expire(stored)
	if _, known := k.stored[key]; known {
		return
	}
	k.stored[key] = at
	k.order = append(k.order, agedID{key, stored.Add(inputDedup)})
}

func (k *knownIDs) find(key idKey, now time.Time) (place, bool) {
	k.expire(now)
	at, ok := k.stored[key]
	return at, ok
}

func (k *knownIDs) expire(now time.Time) {
	n := 0
	for n < len(k.order) && !k.order[n].until.After(now) {
		delete(k.stored, k.order[n].key)
		n++
	}
	k.order = k.order[n:]
}

// loadIDs reads the ids of the last two minutes from the mailbox.
func (g *gate) loadIDs(ctx context.Context) error {
	from := time.Now().Add(-inputDedup)
	cfg := jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
		FilterSubjects: g.app.names.outsides(),
	}
	err := g.app.followToEnd(ctx, g.stream, cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error {
		return g.learn(m, md)
	})
	if err != nil {
		return fmt.Errorf("read the ids of the last %v: %w", inputDedup, err)
	}
	return nil
}

func (g *gate) learn(m jetstream.Msg, md *jetstream.MsgMetadata) error {
	note := func(id string, index int) {
		if id != "" {
			g.ids.add(g.ids.key(id), place{md.Sequence.Stream, index}, md.Timestamp)
		}
	}
	if s, ok := g.app.names.parseMailbox(m.Subject()); !ok || !s.packed {
		note(lookup(m.Headers(), headerMsgID), 0)
		return nil
	}
	messages, err := decodePack(m.Data())
	if errors.Is(err, errNewer) {
		return err
	}
	for i := range messages { // none of a damaged pack
		note(messages[i].said.msgID, i)
	}
	return nil
}
