package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const (
	// pageBytes is about how much one page of dead letters has at most.
	pageBytes = 8 << 20
	// shortPage is how many messages are read one by one before a consumer is
	// worth its while.
	shortPage = 8
)

// StoredLetter is a dead letter in its stream.
type StoredLetter struct {
	DeadLetterRecord

	Seq   uint64
	Trace actor.Trace
}

// Letter returns the dead letter called id, or an error that wraps
// actor.ErrNotFound.
func (a *App) Letter(ctx context.Context, id string) (StoredLetter, error) {
	seq, err := a.letterAt.find(ctx, id)
	if err != nil {
		return StoredLetter{}, fmt.Errorf("dead letter %s: %w", id, err)
	}
	m, err := a.streams.dlq.GetMsg(ctx, seq)
	if err != nil {
		return StoredLetter{}, fmt.Errorf("dead letter %s: %w", id, notFound(err))
	}
	return readLetter(m.Header, m.Data, m.Sequence)
}

// LetterSeq is the sequence of the dead letter called id, which may have been
// removed meanwhile.
func (a *App) LetterSeq(ctx context.Context, id string) (uint64, error) {
	seq, err := a.letterAt.find(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("dead letter %s: %w", id, err)
	}
	return seq, nil
}

// LastLetter is the sequence of the newest message of the dead letters'
// stream.
func (a *App) LastLetter(ctx context.Context) (uint64, error) {
	info, err := a.streams.dlq.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the dead letters: %w", err)
	}
	return info.State.LastSeq, nil
}

// Letters returns up to limit dead letters of function (zero: of all), in the
// order in which they were stored, from behind the sequence after. There may
// be fewer of them although more says that others follow, since a page has
// bytes for so many only.
func (a *App) Letters(ctx context.Context, function actor.TypeName, after uint64, limit int) (letters []StoredLetter, more bool, err error) {
	p := &letterPage{app: a, limit: limit, next: after + 1, filter: a.names.dlqOf(function)}
	if err := p.read(ctx); err != nil {
		return nil, false, fmt.Errorf("list dead letters: %w", err)
	}
	return p.letters, p.more, nil
}

// letterPage is one run of Letters.
type letterPage struct {
	app     *App
	filter  string
	next    uint64
	limit   int
	letters []StoredLetter
	bytes   int
	more    bool
}

func (p *letterPage) read(ctx context.Context) error {
	for range shortPage {
		m, err := p.app.streams.dlq.GetMsg(ctx, p.next, jetstream.WithGetMsgSubject(p.filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			err = p.take(m.Header, m.Data, m.Sequence)
		}
		if err != nil {
			return pageEnd(err)
		}
	}
	cfg := jetstream.ConsumerConfig{OptStartSeq: p.next, FilterSubject: p.filter}
	return p.app.eachLetter(ctx, cfg, func(m jetstream.Msg, seq uint64) error { return p.take(m.Headers(), m.Data(), seq) })
}

// readAttempts is how often in a row a consumer may fail before a letter comes.
const readAttempts = 5

// eachLetter calls f with what cfg selects of the dead letters' stream, until
// f returns errFull, or there is no more. A consumer that breaks off is
// replaced.
func (a *App) eachLetter(ctx context.Context, cfg jetstream.ConsumerConfig, f func(m jetstream.Msg, seq uint64) error) error {
	cfg.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
	for failures := 0; ; failures++ {
		var failed error
		err := a.followToEnd(ctx, a.names.dlqStream(), cfg, func(m jetstream.Msg, md *jetstream.MsgMetadata) error {
			failures, cfg.OptStartSeq = 0, md.Sequence.Stream+1
			failed = f(m, md.Sequence.Stream)
			return failed
		})
		if err == nil || failed != nil || ctx.Err() != nil || failures >= readAttempts {
			return pageEnd(err)
		}
	}
}

func pageEnd(err error) error {
	if errors.Is(err, errFull) {
		return nil
	}
	return err
}

func (p *letterPage) take(h nats.Header, data []byte, seq uint64) error {
	if len(p.letters) >= p.limit || p.bytes > 0 && p.bytes+len(data) > pageBytes {
		p.more = true
		return errFull
	}
	letter, err := readLetter(h, data, seq)
	if err != nil { // of somebody else, who may publish there
		p.app.cfg.Log.Debug().Err(err).Msg("message among the dead letters passed over")
	} else {
		p.letters = append(p.letters, letter)
		p.bytes += len(data)
	}
	p.next = seq + 1
	return nil
}

func readLetter(h nats.Header, data []byte, seq uint64) (StoredLetter, error) {
	letter := StoredLetter{Seq: seq, Trace: traceOf(h)}
	if err := json.Unmarshal(data, &letter.DeadLetterRecord); err != nil {
		return letter, fmt.Errorf("message %d of the dead letters is none: %w", seq, err)
	}
	if letter.ID == "" || letter.ID != h.Get(HeaderID) {
		return letter, fmt.Errorf("message %d of the dead letters is none of ours", seq)
	}
	return letter, nil
}

// NewestLetter returns the newest dead letter of a, or an error that wraps
// actor.ErrNotFound.
func (a *App) NewestLetter(ctx context.Context, target actor.Address) (StoredLetter, error) {
	m, err := a.streams.dlq.GetLastMsgForSubject(ctx, a.names.dlq(target))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = actor.ErrNotFound
	}
	if err != nil {
		return StoredLetter{}, fmt.Errorf("newest dead letter of %s: %w", target, err)
	}
	return readLetter(m.Header, m.Data, m.Sequence)
}

// DropLetter removes the dead letter at seq. It must not be one that an owner
// may put into its place again. When it returns nil the removal is as durable
// as what is written; with an error of the sync the letter is gone, and a power
// failure may bring it back.
func (a *App) DropLetter(ctx context.Context, seq uint64) error {
	err := a.streams.dlq.DeleteMsg(ctx, seq)
	if err == nil {
		return a.removed(ctx)
	}
	if _, gone := a.streams.dlq.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
		err = actor.ErrNotFound
	}
	return fmt.Errorf("drop the dead letter at %d: %w", seq, err)
}

// DropLetters removes the dead letters of function (zero: of all) up to the
// sequence through, as DropLetter does, and returns how many there were.
func (a *App) DropLetters(ctx context.Context, function actor.TypeName, through uint64) (int, error) {
	filter, count := a.names.dlqOf(function), 0
	cfg := jetstream.ConsumerConfig{OptStartSeq: 1, FilterSubject: filter, HeadersOnly: true}
	err := a.eachLetter(ctx, cfg, func(_ jetstream.Msg, seq uint64) error {
		if seq > through {
			return errFull
		}
		count++
		return nil
	})
	if err == nil && count > 0 {
		err = a.streams.dlq.Purge(ctx, jetstream.WithPurgeSubject(filter), jetstream.WithPurgeSequence(through+1))
		if err == nil {
			err = a.removed(ctx)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	return count, nil
}

// removed returns when what was removed can't come back by a power failure, if
// the server leaves the sync to us.
func (a *App) removed(ctx context.Context) error {
	if a.cfg.Syncer == nil {
		return nil
	}
	if err := a.cfg.Syncer.Wait(ctx); err != nil {
		return fmt.Errorf("what was removed may come back with a power failure, it is not synced: %w", err)
	}
	return nil
}

// LetterID takes a dead letter's id apart: whose it is, and in which commit.
func (a *App) LetterID(id string) (actor.SinkID, bool) { return a.parseSinkID(id) }

// Envelope is the message that was given up. It is an error if the letter does
// not hold it whole.
func (l *StoredLetter) Envelope() (actor.Envelope, error) {
	e := actor.Envelope{Value: actor.Value{Type: l.Type, Data: l.Value}, Trace: l.Trace}
	var err error
	if l.ValueBytes > 0 {
		return e, fmt.Errorf("%w: its value of %d bytes was left out, since the record would have exceeded the server's max_payload", ErrTooLarge, l.ValueBytes)
	}
	if e.Target, err = actor.ParseAddress(l.Address); err != nil {
		return e, err
	}
	if l.Caller != "" {
		if e.Caller, err = actor.ParseAddress(l.Caller); err != nil {
			return e, fmt.Errorf("its caller: %w", err)
		}
	}
	return e, nil
}
