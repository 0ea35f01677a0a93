package actor

import (
	"context"
	"fmt"

	"github.com/jetfn/jetfn/internal/mutant"
)

// timerScan is how many timers one question looks at, so that a partition with
// many of them goes on meanwhile.
const timerScan = 2000

// TimerQuery asks for timers that are pending, in the order in which they
// fire.
type TimerQuery struct {
	After TimerPlace        // only those behind it; zero: all
	Limit int               // at most so many
	Match func(*Timer) bool // only those it is true of; nil: all. It must not block.
}

// TimerPage is the answer to a TimerQuery.
type TimerPage struct {
	Timers []Timer
	// More says that there may be others behind Next.
	More bool
	Next TimerPlace
}

// Timers lists the timers that are pending. It looks at a bounded number of
// them, so that a page may be short, and even empty, although there are more.
func (p *Partition) Timers(q TimerQuery) (page TimerPage) {
	looked := 0
	p.timers.due.after(q.After, func(tm *timer) bool {
		if len(page.Timers) >= q.Limit || looked >= timerScan {
			page.More = true
			return false
		}
		looked++
		page.Next = tm.place()
		if t := tm.timer(); q.Match == nil || q.Match(&t) {
			page.Timers = append(page.Timers, t)
		}
		return true
	})
	return page
}

// Timer returns the timer called id; false unless it is pending.
func (p *Partition) Timer(id TimerID) (Timer, bool) {
	tm := p.timers.byID[id]
	if tm == nil || tm.state != timerArmed {
		return Timer{}, false
	}
	return tm.timer(), true
}

// CancelTimer cancels a timer that is pending, as its sender could by its
// token, and calls reply once that is durable; or with ErrNotFound once it is
// certain that there is no such timer, since it has fired, was cancelled, or
// never was. The partition must be Running.
func (p *Partition) CancelTimer(id TimerID, reply func(Timer, error)) {
	c := &completion{size: 64}
	tm := p.timers.byID[id]
	if tm == nil || tm.state != timerArmed {
		// What is known here may not be durable yet, or not be the newest: a
		// commit without effects tells.
		c.told = func() {
			if p.timers.byID[id] != nil && p.timers.removing[id] == nil { // what sets or removes it was on its way
				p.CancelTimer(id, reply)
				return
			}
			reply(Timer{}, fmt.Errorf("timer %v is not pending: %w", id, ErrNotFound))
		}
		p.complete(c)
		return
	}
	p.timers.forget(tm)
	t := tm.timer()
	c.target, c.cancelled = t.Envelope.Caller, []*timer{tm}
	c.told = func() { reply(t, nil) }
	if mutant.On("timer-cancel-early") {
		c.told()
		c.told = nil
	}
	p.complete(c)
}

// Timers lists the partition's pending timers; see Partition.Timers.
func (p *Processor) Timers(ctx context.Context, q TimerQuery) (TimerPage, error) {
	return ask(ctx, p, func(part *Partition, reply func(TimerPage, error)) { reply(part.Timers(q), nil) })
}

// Timer returns a pending timer, or ErrNotFound.
func (p *Processor) Timer(ctx context.Context, id TimerID) (Timer, error) {
	return ask(ctx, p, func(part *Partition, reply func(Timer, error)) {
		tm, ok := part.Timer(id)
		if !ok {
			reply(tm, fmt.Errorf("timer %v is not pending: %w", id, ErrNotFound))
			return
		}
		reply(tm, nil)
	})
}

// CancelTimer cancels a pending timer and returns it once that is durable, or
// ErrNotFound. After an error that wraps ErrUnanswered it may be cancelled, now
// or later; after any other it is not.
func (p *Processor) CancelTimer(ctx context.Context, id TimerID) (Timer, error) {
	return ask(ctx, p, func(part *Partition, reply func(Timer, error)) { part.CancelTimer(id, reply) })
}
