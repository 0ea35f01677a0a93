package runtime

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/wire"
)

const (
	// ownNamespace is that of jetfn's own functions.
	ownNamespace = "jetfn"
	// replayedAt is the state that remembers a replay.
	replayedAt = "replayedAt"
	// atOnce is how many addresses are asked, or replayed to, at the same time.
	atOnce = 16
	// mostScanned is how many dead letters are looked at for one page of those
	// that were replayed, or were not.
	mostScanned = 5000
	// coverLimit is how long a removal waits until no owner would store the
	// dead letter again.
	coverLimit = 15 * time.Second
)

// replayAddress remembers whether the dead letter called id was replayed.
func replayAddress(id string) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: ownNamespace, Name: "replay"}, ID: id}
}

// DeadLetters implements gateway.DeadLetters.
func (s surface) DeadLetters(ctx context.Context, q gateway.DeadLetterQuery) ([]gateway.DeadLetter, string, error) {
	g, err := s.generation()
	if err != nil {
		return nil, "", err
	}
	after, err := g.cursor(ctx, q.After)
	if err != nil {
		return nil, "", err
	}
	var out []gateway.DeadLetter
	for scanned := 0; ; {
		stored, more, err := g.app.Letters(ctx, q.Function, after, q.Limit-len(out))
		if err != nil {
			return nil, "", err
		}
		letters, err := g.described(ctx, stored)
		if err != nil {
			return nil, "", err
		}
		for i := range letters {
			if q.Replayed == nil || *q.Replayed == (letters[i].ReplayedAt != "") {
				out = append(out, letters[i])
			}
			after = stored[i].Seq
		}
		scanned += len(stored)
		switch {
		case !more:
			return out, "", nil
		case q.Replayed == nil || len(out) >= q.Limit || scanned >= mostScanned:
			return out, strconv.FormatUint(after, 10), nil
		}
	}
}

// cursor is the sequence behind which a page begins.
func (g *generation) cursor(ctx context.Context, after string) (uint64, error) {
	if after == "" {
		return 0, nil
	}
	if seq, err := strconv.ParseUint(after, 10, 64); err == nil {
		return seq, nil
	}
	return g.app.LetterSeq(ctx, after)
}

// DeadLetter implements gateway.DeadLetters.
func (s surface) DeadLetter(ctx context.Context, id string) (gateway.DeadLetter, error) {
	g, err := s.generation()
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	stored, err := g.app.Letter(ctx, id)
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	letters, err := g.described(ctx, []broker.StoredLetter{stored})
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	return letters[0], nil
}

// described adds when the letters were replayed.
func (g *generation) described(ctx context.Context, stored []broker.StoredLetter) ([]gateway.DeadLetter, error) {
	out := make([]gateway.DeadLetter, len(stored))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range stored {
		group.Go(func() error {
			view, err := g.query(ctx, replayAddress(stored[i].ID))
			out[i] = describe(&stored[i], view.State)
			return err
		})
	}
	return out, group.Wait()
}

// describe is a letter as clients see it. State is what remembers its replay.
func describe(l *broker.StoredLetter, state actor.State) gateway.DeadLetter {
	return gateway.DeadLetter{
		ID: l.ID, Address: l.Address, Caller: l.Caller, Type: l.Type, Value: l.Value, Reason: l.Reason, Error: l.Error,
		HTTPStatus: l.HTTPStatus, Attempts: l.Attempts, FirstAt: l.FirstAt, LastAt: l.LastAt, Endpoint: l.Endpoint,
		TraceID: l.TraceID, ValueBytes: l.ValueBytes, ReplayedAt: replayTime(state),
	}
}

// replayTime is empty if there was no replay.
func replayTime(state actor.State) string {
	v, ok := state.Get(replayedAt)
	if !ok {
		return ""
	}
	return time.UnixMilli(v.WrittenAt).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// ReplayDeadLetter implements gateway.DeadLetterDesk.
func (s surface) ReplayDeadLetter(ctx context.Context, id string) (gateway.DeadLetter, error) {
	g, err := s.generation()
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	stored, err := g.app.Letter(ctx, id)
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	return g.replay(ctx, &stored)
}

// replay sends a letter's message again. One commit of the address that
// remembers it holds both the send and that it was made, so that there is
// never a second one.
func (g *generation) replay(ctx context.Context, l *broker.StoredLetter) (gateway.DeadLetter, error) {
	e, err := g.replayable(l)
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	view, err := g.edit(ctx, replayAddress(l.ID), func(v actor.StateView, now int64) (actor.Edited, error) {
		if at := replayTime(v.State); at != "" {
			return actor.Edited{}, fmt.Errorf("%w: dead letter %s, at %s", gateway.ErrAlreadyReplayed, l.ID, at)
		}
		at, err := wire.FromText(wire.TypeLong, strconv.FormatInt(now, 10))
		return actor.Edited{
			Mutations: []actor.Mutation{{Name: replayedAt, Value: actor.Value{Type: wire.TypeLong, Data: at}, ExpireAfter: g.remembered()}},
			Sends:     []actor.Envelope{e},
		}, err
	})
	if err != nil {
		return gateway.DeadLetter{}, err
	}
	return describe(l, view.State), nil
}

// remembered is how long a replay is: longer than the letter is there.
func (g *generation) remembered() time.Duration {
	return g.worker.cfg.egressMaxAge() + 24*time.Hour
}

// replayable is the message that a letter holds, if it can be sent again.
func (g *generation) replayable(l *broker.StoredLetter) (actor.Envelope, error) {
	e, err := l.Envelope()
	switch {
	case errors.Is(err, broker.ErrTooLarge):
		return e, fmt.Errorf("%w: %w", gateway.ErrTooLarge, err)
	case err != nil:
		return e, err
	case e.Target.Type.Namespace == ownNamespace:
		return e, fmt.Errorf("%w: %s is a function of jetfn's own", actor.ErrBadAddress, e.Target)
	case e.Value.Type == "":
		return e, fmt.Errorf("%w: the message has no type; send it again with one", gateway.ErrBadType)
	case !g.worker.catalog.Known(e.Target.Type):
		return e, fmt.Errorf("%w: no module binds %s", gateway.ErrUnknownFunction, e.Target.Type)
	}
	return e, nil
}

// ReplayDeadLetters implements gateway.DeadLetterDesk.
func (s surface) ReplayDeadLetters(ctx context.Context, q gateway.DeadLetterQuery) (gateway.ReplayedPage, error) {
	g, err := s.generation()
	if err != nil {
		return gateway.ReplayedPage{}, err
	}
	after, err := g.cursor(ctx, q.After)
	if err != nil {
		return gateway.ReplayedPage{}, err
	}
	until, err := g.cursor(ctx, q.Until)
	if err == nil && q.Until == "" {
		until, err = g.app.LastLetter(ctx)
	}
	if err != nil {
		return gateway.ReplayedPage{}, err
	}
	letters, more, err := g.app.Letters(ctx, q.Function, after, q.Limit)
	if err != nil {
		return gateway.ReplayedPage{}, err
	}
	for len(letters) > 0 && letters[len(letters)-1].Seq > until {
		letters, more = letters[:len(letters)-1], false
	}
	run := &replayRun{g: g, page: gateway.ReplayedPage{Until: strconv.FormatUint(until, 10)}}
	if err := run.all(ctx, letters); err != nil {
		return gateway.ReplayedPage{}, err
	}
	if more {
		run.page.Next = strconv.FormatUint(letters[len(letters)-1].Seq, 10)
	}
	return run.page, nil
}

// replayRun replays a page.
type replayRun struct {
	g *generation

	mu   sync.Mutex
	page gateway.ReplayedPage
}

// all replays the letters of one address one after the other, and those of
// several at the same time.
func (r *replayRun) all(ctx context.Context, letters []broker.StoredLetter) error {
	byAddress, order := map[string][]*broker.StoredLetter{}, []string{}
	for i := range letters {
		l := &letters[i]
		if byAddress[l.Address] == nil {
			order = append(order, l.Address)
		}
		byAddress[l.Address] = append(byAddress[l.Address], l)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, address := range order {
		group.Go(func() error {
			for _, l := range byAddress[address] {
				if err := r.one(ctx, l); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// one fails if trying the next makes no sense.
func (r *replayRun) one(ctx context.Context, l *broker.StoredLetter) error {
	_, err := r.g.replay(ctx, l)
	if errors.Is(err, gateway.ErrNotReady) || errors.Is(err, gateway.ErrUnknown) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.page.Replayed++
	case errors.Is(err, gateway.ErrAlreadyReplayed):
		r.page.Skipped++
	default:
		r.page.Failed = append(r.page.Failed, gateway.Unreplayed(l.ID, err))
	}
	return nil
}

// DropDeadLetter implements gateway.DeadLetterDesk.
func (s surface) DropDeadLetter(ctx context.Context, id string) error {
	g, err := s.generation()
	if err != nil {
		return err
	}
	seq, err := g.app.LetterSeq(ctx, id)
	if err != nil {
		return err
	}
	if from, ok := g.app.LetterID(id); ok && from.Partition < len(g.seats) {
		if err := g.covered(ctx, g.seats[from.Partition], from.Commit); err != nil {
			return err
		}
	}
	return g.app.DropLetter(ctx, seq)
}

// DropDeadLetters implements gateway.DeadLetterDesk.
func (s surface) DropDeadLetters(ctx context.Context, function actor.TypeName) (int, error) {
	g, err := s.generation()
	if err != nil {
		return 0, err
	}
	through, err := g.app.LastLetter(ctx)
	if err != nil {
		return 0, err
	}
	for _, s := range g.seats {
		if err := g.covered(ctx, s, s.processor.Stats().Newest); err != nil {
			return 0, err
		}
	}
	return g.app.DropLetters(ctx, function, through)
}

// covered waits until no later owner would put the effects of a commit into
// place again: it would not find a dead letter that was removed, and store it
// once more.
func (g *generation) covered(ctx context.Context, s *seat, commit uint64) error {
	ctx, cancel := context.WithTimeout(ctx, coverLimit)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for s.processor.Stats().Covered < commit {
		select {
		case <-ticker.C:
		case <-s.ended:
			return fmt.Errorf("%w: partition %d is down", gateway.ErrNotReady, s.partition)
		case <-ctx.Done():
			return fmt.Errorf("%w: partition %d has no checkpoint yet that covers the dead letter; try again", gateway.ErrBusy, s.partition)
		}
	}
	return nil
}
