package actor

import (
	"context"
	"errors"
	"fmt"
)

// ErrUnanswered means that a processor was asked to do something and did not
// say whether it did.
var ErrUnanswered = errors.New("the partition gave no answer")

// StateView is the state of an address after all its durable commits.
type StateView struct {
	State     State
	Partition int
	Commit    uint64 // the newest one that changed it; zero: none that is known
	Revision  uint64 // of the stored record, which follows; zero: not stored yet
	// Entries are the entries that were asked for, whose values, if they have
	// any, are in State.
	Entries []EntryView
}

// EntryView is an entry of a table as it is durable.
type EntryView struct {
	Name   string // "<table>/<key>"
	Commit uint64 // the newest one that changed it; zero: none that is known
}

// Query returns the state of a. It sees every call whose commit was durable
// before.
func (p *Processor) Query(ctx context.Context, a Address) (StateView, error) {
	return ask(ctx, p, func(part *Partition, reply func(StateView, error)) { part.Query(a, reply) })
}

// QueryEntries returns the state of a with these entries of its tables. Each
// is as of every call whose commit was durable before.
func (p *Processor) QueryEntries(ctx context.Context, a Address, names []string) (StateView, error) {
	return ask(ctx, p, func(part *Partition, reply func(StateView, error)) { part.QueryEntries(a, names, reply) })
}

// Edit has decide change the state of a between two of its calls, and returns
// the state as changed once that is durable. After an error that wraps
// ErrUnanswered it may be changed, now or later; after any other it is not.
func (p *Processor) Edit(ctx context.Context, a Address, decide Edit) (StateView, error) {
	return ask(ctx, p, func(part *Partition, reply func(StateView, error)) { part.Edit(a, decide, reply) })
}

// Sweep removes what has expired of k's record, unless k's address is at work,
// and returns what is left.
func (p *Processor) Sweep(ctx context.Context, k StateKey) (Swept, error) {
	return ask(ctx, p, func(part *Partition, reply func(Swept, error)) { part.Sweep(k, reply) })
}

// Backlog counts the messages that wait or are being handled, by function
// type.
func (p *Processor) Backlog(ctx context.Context) (map[TypeName]int, error) {
	return ask(ctx, p, func(part *Partition, reply func(map[TypeName]int, error)) { reply(part.Backlog(), nil) })
}

// Pause takes news of what gets no calls. Once the channel it returns is
// closed, no such call begins. It may be called before Run, which then begins
// with what it was told.
func (p *Processor) Pause(news ...PauseNews) (done <-chan struct{}) {
	applied := make(chan struct{})
	posted := p.Post(func(part *Partition) {
		part.Pause(news...)
		close(applied)
	})
	if !posted {
		close(applied) // it has ended
	}
	return applied
}

// Reload says that the catalog has changed: what waits for functions that are
// back goes on.
func (p *Processor) Reload() { p.Post((*Partition).Reload) }

// ask waits until the processor takes questions, and for the answer.
func ask[T any](ctx context.Context, p *Processor, question func(*Partition, func(T, error))) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	select {
	case <-p.opened:
	case <-p.ended:
		return none, ErrEnded
	case <-ctx.Done():
		return none, ctx.Err()
	}
	answers := make(chan answer, 1)
	if !p.Post(func(part *Partition) { question(part, func(v T, err error) { answers <- answer{v, err} }) }) {
		return none, ErrEnded
	}
	var why error
	select {
	case got := <-answers:
		return got.value, got.err
	case <-p.ended:
		why = ErrEnded
	case <-ctx.Done():
		why = ctx.Err()
	}
	return none, fmt.Errorf("%w: %w", ErrUnanswered, why)
}
