package actor

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/internal/faultpoint"
)

// Event is something that happened, to be applied to the partition that
// waits for it.
type Event func(p *Partition)

// Work is what Host.Go is asked for.
type Work uint8

const (
	// WorkRead is a read of a store, or a clean-up there.
	WorkRead Work = iota
	// WorkCall is a call of a function.
	WorkCall
)

// Host lets a Partition live: it brings events back and does what takes time.
// A Processor is one that works in real time.
type Host interface {
	// Post has ev applied later, in the order of the calls, and reports
	// whether it will be. It doesn't block.
	Post(ev Event) bool
	// Go runs f beside the partition; ctx ends with the host.
	Go(kind Work, f func(ctx context.Context))
	// Acquire calls grant once there is a place for a call.
	Acquire(p Place, grant func())
	// Release gives a place back.
	Release(p Place, r CallResult)
}

// Perform carries out what the state machine asked for since it was called
// last, in order.
func (p *Partition) Perform(ports *Ports, host Host, log *zerolog.Logger) {
	d := performer{ports: ports, host: host, log: log, observer: p.cfg.Observer, letterID: p.cfg.LetterID}
	out := p.take()
	for _, r := range out {
		d.perform(r)
	}
	if p.out == nil {
		p.out = roomOf(out)
	}
}

// roomOf empties a list, so that its room can be used again, unless it is
// larger than what is common.
func roomOf[T any](list []T) []T {
	const common = 4096
	if cap(list) > common {
		return nil
	}
	clear(list)
	return list[:0]
}

// performer maps requests to ports.
type performer struct {
	ports *Ports
	host  Host
	log   *zerolog.Logger

	observer Observer
	letterID func(SinkID) string
}

func (d *performer) perform(r Request) {
	switch r := r.(type) {
	case appendRecord:
		d.ports.Journal.Append(r.data, r.after, func(res WriteResult) {
			faultpoint.Hit("after-append")
			d.host.Post(func(part *Partition) { part.writer.appended(res) })
		})
	case publishSend:
		faultpoint.Hit("before-sends")
		to, number := r.send.To, r.send.Number
		d.ports.Outbox.Publish(r.send, func(res WriteResult) {
			faultpoint.Hit("between-sends")
			d.host.Post(func(part *Partition) { part.outbox.sent(to, number, res) })
		})
	case sendReply:
		faultpoint.Hit("before-reply")
		if d.ports.Replies != nil {
			d.ports.Replies.Reply(r.reply)
		}
	case sinkPublish:
		faultpoint.Hit("before-egress")
		index, id := r.sink, r.message.ID // the answer needs no more
		d.sink(index).Publish(*r.message, r.mark, func(res WriteResult) {
			d.host.Post(func(part *Partition) { part.sinks[index].stored(id, res) })
		})
	case sinkMark:
		d.sink(r.sink).Mark(r.body, r.after, func(res WriteResult) {
			d.host.Post(func(part *Partition) { part.sinks[r.sink].marked(res) })
		})
	case writeState:
		faultpoint.Hit("before-state")
		key := r.key
		d.ports.State.Write(key, r.record, r.revision, func(res WriteResult) {
			d.host.Post(func(part *Partition) { part.states.written(key, res) })
		})
	case loadState:
		d.load(r)
	case putTimer:
		d.ports.Timers.Put(r.timer, func(res WriteResult) {
			d.host.Post(func(part *Partition) { part.timers.putDone(r.timer.ID, res) })
		})
	case deleteTimer:
		d.ports.Timers.Delete(r.id, func(res WriteResult) {
			d.host.Post(func(part *Partition) { part.timers.deleted(r.id, res) })
		})
	case writePause:
		d.ports.Pauses.Pause(r.key, r.cause, r.revision, func(res WriteResult) {
			d.host.Post(func(part *Partition) { part.pauseWritten(r.key, r.revision, res) })
		})
	case readyCall:
		place := Place{Function: r.target.Type, Endpoint: r.endpoint, Limit: r.limit}
		d.host.Acquire(place, func() {
			if !d.host.Post(func(part *Partition) { part.granted(r.target, r.endpoint) }) {
				d.host.Release(place, CallResult{Err: ErrAbandoned})
			}
		})
	case giveBack:
		d.host.Release(r.place, CallResult{Err: ErrAbandoned})
	case invokeCall:
		d.invoke(r)
	case notice:
		d.notice(&r)
	case tellCommit:
		d.observer.Committed(r.commit)
	case tellApplied:
		d.observer.Applied(r.commit)
	case tellRetreat:
		d.observer.Retreated(r.done)
	default:
		d.read(r)
	}
}

func (d *performer) sink(i sinkIndex) Sink {
	if i == sinkEgress {
		return d.ports.Egress
	}
	return d.ports.DeadLetters
}

// load reads a record, with others if the store can.
func (d *performer) load(r loadState) {
	reader, ok := d.ports.State.(StateReader)
	if !ok || r.alone {
		d.read(r)
		return
	}
	reader.Read(r.key, func(l LoadedState, ok bool) {
		d.host.Post(func(part *Partition) {
			if ok {
				part.states.answered(r.key, l, nil)
			} else {
				part.states.unread(r.key)
			}
		})
	})
}

// read carries out a request that blocks.
func (d *performer) read(r Request) {
	d.host.Go(WorkRead, func(ctx context.Context) {
		if ev := d.blocking(ctx, r); ev != nil && ctx.Err() == nil {
			d.host.Post(ev)
		}
	})
}

func (d *performer) blocking(ctx context.Context, r Request) Event {
	switch r := r.(type) {
	case readLast:
		e, err := d.ports.Journal.Last(ctx)
		return func(part *Partition) { part.gotLast(e, err) }
	case readNext:
		e, err := d.ports.Journal.Next(ctx, r.from)
		return func(part *Partition) { part.gotNext(e, err) }
	case purgeJournal:
		d.logFailed("journal not purged", d.ports.Journal.Purge(ctx, r.before))
	case trimInputs:
		d.logFailed("inputs not trimmed", d.ports.Inbox.Trim(ctx, r.source, r.before))
	case fetchInput:
		found, err := d.ports.Inbox.Fetch(ctx, r.source, r.seq)
		return func(part *Partition) { part.fetched(r.source, r.place, &found, err) }
	case sinkLastMark:
		m, err := d.sink(r.sink).LastMark(ctx)
		if errors.Is(err, ErrNotFound) {
			m, err = Mark{}, nil
		}
		return func(part *Partition) { part.sinks[r.sink].gotMark(m, err) }
	case sinkScan:
		ids, err := d.sink(r.sink).Scan(ctx, r.after, r.through)
		return func(part *Partition) { part.sinks[r.sink].scanned(r.count, ids, err) }
	case loadState:
		l, err := d.ports.State.Load(ctx, r.key)
		return func(part *Partition) { part.states.answered(r.key, l, err) }
	case loadTimers:
		err := d.ports.Timers.LoadAll(ctx, func(list []Timer) {
			d.host.Post(func(part *Partition) { part.timers.read(r.run, list) })
		})
		return func(part *Partition) { part.timersLoaded(r.run, err) }
	}
	return nil
}

// logFailed notes a clean-up that the next one will repeat.
func (d *performer) logFailed(message string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		d.log.Debug().Err(err).Msg(message)
	}
}

// invoke makes a call; its place among the calls in flight is given back when
// it ends.
func (d *performer) invoke(r invokeCall) {
	place := Place{Function: r.batch.Target.Type, Endpoint: r.endpoint}
	d.host.Go(WorkCall, func(ctx context.Context) {
		limited, cancel := context.WithTimeout(ctx, r.policy.Budget)
		began := time.Now()
		var told Invocation
		if d.observer != nil {
			told = d.observer.Invoking(r.batch)
		}
		effects, err := r.function.Invoke(limited, r.batch)
		cancel()
		if ctx.Err() != nil { // abandoned: its effects must not count
			d.host.Release(place, CallResult{Err: ErrAbandoned})
			return
		}
		if told != nil {
			told.End(effects, err)
		}
		result := CallResult{Messages: len(r.batch.Envelopes), Took: time.Since(began), Err: err}
		if lacks := (*MissingEntries)(nil); errors.As(err, &lacks) { // nothing has failed
			result.Messages, result.Err = 0, nil
		}
		d.host.Release(place, result)
		d.host.Post(func(part *Partition) { part.invoked(r.batch, effects, err) })
	})
}

// describe adds all of a dead letter but its value.
func (d *performer) describe(ev *zerolog.Event, l *DeadLetter, id SinkID) *zerolog.Event {
	if d.letterID != nil {
		ev = ev.Str("dlq_id", d.letterID(id))
	}
	ev = ev.Str("reason", l.Reason).Int("attempts", l.Attempts).Str("value_type", l.Envelope.Value.Type).
		Int("value_bytes", len(l.Envelope.Value.Data))
	if !l.Envelope.Caller.IsZero() {
		ev = ev.Stringer("caller", l.Envelope.Caller)
	}
	if l.HTTPStatus != 0 {
		ev = ev.Int("http_status", l.HTTPStatus)
	}
	if l.Endpoint != "" {
		ev = ev.Str("endpoint", l.Endpoint)
	}
	if l.FirstAt != 0 {
		ev = ev.Time("first_at", time.UnixMilli(l.FirstAt)).Time("last_at", time.UnixMilli(l.LastAt))
	}
	if id := l.Envelope.Trace.ID(); id != "" {
		ev = ev.Str("trace_id", id)
	}
	return ev
}

func (d *performer) notice(n *notice) {
	levels := map[noticeLevel]zerolog.Level{
		noticeDebug: zerolog.DebugLevel, noticeInfo: zerolog.InfoLevel, noticeWarn: zerolog.WarnLevel, noticeError: zerolog.ErrorLevel,
	}
	ev := d.log.WithLevel(levels[n.level])
	if !n.target.IsZero() {
		ev = ev.Stringer("target", n.target)
	}
	if n.detail != "" {
		ev = ev.Str("detail", n.detail)
	}
	if n.err != nil {
		ev = ev.Err(n.err)
	}
	if n.letter != nil {
		ev = d.describe(ev, n.letter, n.letterID)
	}
	ev.Msg(n.message)
}
