package actor

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/internal/faultpoint"
)

// perform carries out what the state machine asked for, in order.
func (p *Processor) perform(ctx context.Context) {
	for _, r := range p.part.take() {
		switch r := r.(type) {
		case appendRecord:
			p.ports.Journal.Append(r.data, r.after, func(res WriteResult) {
				faultpoint.Hit("after-append")
				p.post(func(part *Partition) { part.writer.appended(res) })
			})
		case publishSend:
			faultpoint.Hit("before-sends")
			p.ports.Outbox.Publish(r.send, func(res WriteResult) {
				faultpoint.Hit("between-sends")
				p.post(func(part *Partition) { part.outbox.sent(r.send.To, r.send.Number, res) })
			})
		case sinkPublish:
			faultpoint.Hit("before-egress")
			p.sink(r.sink).Publish(r.message, r.mark, func(res WriteResult) {
				p.post(func(part *Partition) { part.sinks[r.sink].stored(r.message.ID, res) })
			})
		case sinkMark:
			p.sink(r.sink).Mark(r.body, r.after, func(res WriteResult) {
				p.post(func(part *Partition) { part.sinks[r.sink].marked(res) })
			})
		case writeState:
			faultpoint.Hit("before-state")
			p.ports.State.Write(r.target, r.record, r.revision, func(res WriteResult) {
				p.post(func(part *Partition) { part.states.written(r.target, res) })
			})
		case putTimer:
			p.ports.Timers.Put(r.timer, func(res WriteResult) {
				p.post(func(part *Partition) { part.timers.putDone(r.timer.ID, res) })
			})
		case deleteTimer:
			p.ports.Timers.Delete(r.id, func(res WriteResult) {
				p.post(func(part *Partition) { part.timers.deleted(r.id, res) })
			})
		case readyCall:
			p.calls.acquire(r.endpoint, r.limit, func() {
				if !p.post(func(part *Partition) { part.granted(r.target) }) {
					p.calls.release(r.endpoint, errAbandoned)
				}
			})
		case giveBack:
			p.calls.release(r.endpoint, errAbandoned)
		case invokeCall:
			p.invoke(ctx, r)
		case notice:
			p.notice(&r)
		default:
			p.read(ctx, r)
		}
	}
}

func (p *Processor) sink(i sinkIndex) Sink {
	if i == sinkEgress {
		return p.ports.Egress
	}
	return p.ports.DeadLetters
}

// read carries out a request that blocks, in a goroutine of its own.
func (p *Processor) read(ctx context.Context, r Request) {
	p.workers.Go(func() error {
		if p.reads.Acquire(ctx, 1) != nil {
			return nil // the processor is ending
		}
		defer p.reads.Release(1)
		if ev := p.blocking(ctx, r); ev != nil && ctx.Err() == nil {
			p.post(ev)
		}
		return nil
	})
}

func (p *Processor) blocking(ctx context.Context, r Request) event {
	switch r := r.(type) {
	case readLast:
		e, err := p.ports.Journal.Last(ctx)
		return func(part *Partition) { part.gotLast(e, err) }
	case readNext:
		e, err := p.ports.Journal.Next(ctx, r.from)
		return func(part *Partition) { part.gotNext(e, err) }
	case purgeJournal:
		p.logFailed("journal not purged", p.ports.Journal.Purge(ctx, r.before))
	case trimInputs:
		p.logFailed("inputs not trimmed", p.ports.Inbox.Trim(ctx, r.source, r.before))
	case fetchInput:
		d, err := p.ports.Inbox.Fetch(ctx, r.source, r.seq)
		return func(part *Partition) { part.fetched(r.source, r.seq, &d, err) }
	case sinkLastMark:
		m, err := p.sink(r.sink).LastMark(ctx)
		if errors.Is(err, ErrNotFound) {
			m, err = Mark{}, nil
		}
		return func(part *Partition) { part.sinks[r.sink].gotMark(m, err) }
	case sinkScan:
		ids, err := p.sink(r.sink).Scan(ctx, r.after, r.through)
		return func(part *Partition) { part.sinks[r.sink].scanned(ids, err) }
	case loadState:
		l, err := p.ports.State.Load(ctx, r.target)
		return func(part *Partition) { part.states.answered(r.target, l, err) }
	case loadTimers:
		list, err := p.ports.Timers.LoadAll(ctx)
		return func(part *Partition) { part.timersLoaded(list, err) }
	}
	return nil
}

// logFailed notes a clean-up that the next one will repeat.
func (p *Processor) logFailed(message string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		p.log.Debug().Err(err).Msg(message)
	}
}

// invoke makes a call; its place among the calls in flight is given back when
// it ends.
func (p *Processor) invoke(ctx context.Context, r invokeCall) {
	p.workers.Go(func() error {
		callCtx, cancel := context.WithTimeout(ctx, r.policy.Budget)
		effects, err := r.function.Invoke(callCtx, r.batch)
		cancel()
		if ctx.Err() != nil {
			p.calls.release(r.endpoint, errAbandoned)
			return nil //nolint:nilerr // abandoned: its effects must not count
		}
		p.calls.release(r.endpoint, err)
		p.post(func(part *Partition) { part.invoked(r.batch.Target, effects, err) })
		return nil
	})
}

func (p *Processor) notice(n *notice) {
	levels := map[noticeLevel]zerolog.Level{
		noticeDebug: zerolog.DebugLevel, noticeInfo: zerolog.InfoLevel, noticeWarn: zerolog.WarnLevel, noticeError: zerolog.ErrorLevel,
	}
	ev := p.log.WithLevel(levels[n.level])
	if !n.target.IsZero() {
		ev = ev.Stringer("target", n.target)
	}
	if n.detail != "" {
		ev = ev.Str("detail", n.detail)
	}
	if n.err != nil {
		ev = ev.Err(n.err)
	}
	ev.Msg(n.message)
}
