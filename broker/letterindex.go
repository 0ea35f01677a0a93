package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// maxIndexed bounds the dead letters whose sequences are kept in memory, of
// 32 bytes each; older ones are looked for in the stream.
const maxIndexed = 1 << 20

// letterIndex finds dead letters by their ids. A subject can't have the id,
// and the id can't have the sequence, since it is older; so the ids are read
// from the stream, once, when somebody asks for the first one, and those that
// are new then with each one that isn't known.
type letterIndex struct {
	app *App
	max int

	turn  chan struct{} // holds a token while somebody reads or looks
	from  uint64        // all letters with a sequence from here
	read  uint64        // through here are in at
	at    map[int][]indexedLetter
	count int
}

// indexedLetter is a letter of a partition.
type indexedLetter struct {
	epoch, commit uint64
	index         int
	seq           uint64
}

func (a indexedLetter) compare(b indexedLetter) int {
	return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.commit, b.commit), cmp.Compare(a.index, b.index))
}

func newLetterIndex(app *App) *letterIndex {
	return &letterIndex{app: app, max: maxIndexed, turn: make(chan struct{}, 1), at: map[int][]indexedLetter{}}
}

// find returns the sequence of the letter called id, or ErrNotFound.
func (x *letterIndex) find(ctx context.Context, id string) (uint64, error) {
	wanted, ok := x.app.parseSinkID(id)
	if !ok {
		return 0, fmt.Errorf("%w: it is no id of this application's dead letters", actor.ErrNotFound)
	}
	select {
	case x.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-x.turn }()
	if seq, ok := x.look(wanted); ok {
		return seq, nil
	}
	info, err := x.app.streams.dlq.Info(ctx)
	if err != nil {
		return 0, err
	}
	if err := x.readOn(ctx, info.State.LastSeq); err != nil {
		return 0, err
	}
	if seq, ok := x.look(wanted); ok {
		return seq, nil
	}
	return x.search(ctx, wanted)
}

func (x *letterIndex) look(id actor.SinkID) (uint64, bool) {
	list := x.at[id.Partition]
	i, found := slices.BinarySearchFunc(list, indexedLetter{epoch: id.Epoch, commit: id.Commit, index: id.Index}, indexedLetter.compare)
	if !found {
		return 0, false
	}
	return list[i].seq, true
}

// readOn notes the letters behind those that are read, through last.
func (x *letterIndex) readOn(ctx context.Context, last uint64) error {
	if last <= x.read {
		return nil
	}
	err := x.each(ctx, x.read+1, func(id actor.SinkID, seq uint64) error {
		x.note(id, seq)
		if seq >= last {
			return errFull
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.read = max(x.read, last)
	return nil
}

// each calls f with the ids from a sequence on, in stream order, until it
// returns errFull or there are no more.
func (x *letterIndex) each(ctx context.Context, from uint64, f func(id actor.SinkID, seq uint64) error) error {
	cfg := jetstream.ConsumerConfig{OptStartSeq: from, HeadersOnly: true, FilterSubject: x.app.names.dlqOf(actor.TypeName{})}
	return x.app.eachLetter(ctx, cfg, func(m jetstream.Msg, seq uint64) error {
		id, ok := x.app.parseSinkID(m.Headers().Get(HeaderID))
		if !ok {
			return nil
		}
		return f(id, seq)
	})
}

// note puts a letter in its place, which nearly always is the last.
func (x *letterIndex) note(id actor.SinkID, seq uint64) {
	x.read = seq
	list, letter := x.at[id.Partition], indexedLetter{id.Epoch, id.Commit, id.Index, seq}
	i, found := slices.BinarySearchFunc(list, letter, indexedLetter.compare)
	if found { // somebody else's, who put it there again
		return
	}
	x.at[id.Partition] = slices.Insert(list, i, letter)
	if x.count++; x.count > x.max {
		x.forget()
	}
}

// forget drops the older half.
func (x *letterIndex) forget() {
	all := make([]uint64, 0, x.count)
	for _, list := range x.at {
		for i := range list {
			all = append(all, list[i].seq)
		}
	}
	slices.Sort(all)
	x.from = all[len(all)/2]
	x.count = 0
	for p, list := range x.at {
		x.at[p] = slices.Clip(slices.DeleteFunc(list, func(l indexedLetter) bool { return l.seq < x.from }))
		x.count += len(x.at[p])
	}
}

// search looks for a letter among those that were forgotten.
func (x *letterIndex) search(ctx context.Context, wanted actor.SinkID) (uint64, error) {
	found := uint64(0)
	if x.from > 1 {
		err := x.each(ctx, 1, func(id actor.SinkID, seq uint64) error {
			if id == wanted {
				found = seq
			}
			if found > 0 || seq >= x.from {
				return errFull
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	if found == 0 {
		return 0, fmt.Errorf("%w: it was dropped, or is too old", actor.ErrNotFound)
	}
	return found, nil
}

var errFull = errors.New("read as far as needed")
