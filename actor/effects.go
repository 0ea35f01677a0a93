package actor

import (
	"fmt"
	"time"

	"github.com/jetfn/jetfn/internal/mutant"
)

// completion is something done that waits for its place in a commit: an
// invocation, a dead letter, or a timer that fired.
type completion struct {
	target    Address
	time      int64
	trace     Trace
	consumed  []InputID
	mutations []stateMutation
	sends     []Envelope
	set       []*timer
	cancelled []*timer
	fired     *timer
	told      func() // called once it is durable; nil: nobody waits
	egress    []EgressMessage
	letters   []DeadLetter
	size      int // about its share of the commit, in bytes

	batch []queuedInput // what was processed, for an observer
	span  Span
	calls int
}

// complete queues c for the next commit.
func (p *Partition) complete(c *completion) {
	c.time = p.now
	p.completed = append(p.completed, c)
}

// accept checks what a call asked for and makes a completion of it. After an
// error nothing has changed.
func (p *Partition) accept(act *activation, effects *Effects) error {
	if effects == nil {
		effects = &Effects{}
	}
	expired := act.expired() // the function did not see it (K8)
	next, muts := p.mutate(act.state.current.apply(expired), effects.Mutations)
	if len(expired) > 0 {
		muts = append(expired, muts...)
	}
	if err := p.checkStates(act.addr, next, muts); err != nil {
		return err
	}
	size, err := p.checkEffects(act.addr, effects)
	if err != nil {
		return err
	}
	c := &completion{
		target: act.addr, consumed: make([]InputID, 0, len(act.batch)), mutations: muts, egress: effects.Egress, size: size + 64,
	}
	if p.cfg.Observer != nil {
		c.batch, c.span, c.calls, c.trace = act.batch, act.span, act.calls, act.span.Trace
	}
	for _, m := range muts {
		c.size += len(m.name) + len(m.value.Value.Type) + len(m.value.Value.Data) + 32
	}
	for _, q := range act.batch {
		c.consumed = append(c.consumed, q.id)
		if c.trace.Parent == "" {
			c.trace = q.envelope.Trace
		}
	}
	for i := range effects.Sends {
		s := &effects.Sends[i]
		e := Envelope{Target: s.Target, Caller: act.addr, Value: s.Value, Trace: c.trace}
		if s.Caller != nil {
			e.Caller = *s.Caller
		}
		c.sends = append(c.sends, e)
	}
	for i := range effects.Delayed {
		p.delay(c, &effects.Delayed[i])
	}
	p.states.propose(act.addr, muts)
	p.linger()
	p.complete(c)
	return nil
}

func (p *Partition) mutate(s State, list []Mutation) (State, []stateMutation) {
	muts := make([]stateMutation, 0, len(list))
	for i := range list {
		m := &list[i]
		mut := stateMutation{name: m.Name, delete: m.Delete, renew: m.Renew && !m.Delete}
		switch _, there := s.Get(m.Name); {
		case mut.renew && !there:
			continue // nothing to renew
		case mut.renew:
			mut.value.ExpiresAt = p.deadline(m.ExpireAfter)
		case !m.Delete:
			mut.value = StateValue{Name: m.Name, Value: m.Value, WrittenAt: p.now, ExpiresAt: p.deadline(m.ExpireAfter)}
		}
		muts = append(muts, mut)
		if !IsEntry(m.Name) { // those have records of their own
			s = s.apply(muts[len(muts)-1:])
		}
	}
	return s, muts
}

// deadline is when what lives that long from now on expires; zero is never.
func (p *Partition) deadline(lifetime time.Duration) int64 {
	if lifetime <= 0 {
		return 0
	}
	return p.now + max(lifetime.Milliseconds(), 1)
}

// delay sets or cancels a timer.
func (p *Partition) delay(c *completion, d *Delayed) {
	if d.Cancel {
		if tm := p.timers.pending(c.target.ID, d.Token); tm != nil {
			if !mutant.On("cancelled-fires") {
				p.timers.forget(tm)
			}
			c.cancelled = append(c.cancelled, tm)
		}
		return
	}
	trace := c.trace
	if c.span.Traced() {
		trace = trace.delayed()
	}
	tm := newTimer(&Timer{
		DueAt: p.now + d.Delay.Milliseconds(), Token: d.Token,
		Envelope: Envelope{Target: d.Target, Caller: c.target, Value: d.Value, Trace: trace},
	})
	p.timers.propose(tm)
	c.set = append(c.set, tm)
}

// checkEffects refuses what can't be committed, and measures the rest.
func (p *Partition) checkEffects(self Address, effects *Effects) (size int, err error) {
	if n := len(effects.Sends) + len(effects.Egress) + len(effects.Delayed); n > p.cfg.MaxSends {
		return 0, limitError("%s asks for %d messages in one call, the limit is %d", self, n, p.cfg.MaxSends)
	}
	message := func(v *Value, target Address) {
		n := messageSize(v, target.ID) + len(self.ID)
		size += n - messageRoom + messageOverhead
		if n > p.cfg.MaxMessage && err == nil {
			err = limitError("%s sends a message of %d bytes, the limit is %d", self, n, p.cfg.MaxMessage)
		}
	}
	for i := range effects.Sends {
		s := &effects.Sends[i]
		message(&s.Value, s.Target)
		if bad := s.Target.Check(); bad != nil && err == nil {
			err = &InvokeError{Kind: Final, Reason: ReasonBadAddress, Err: fmt.Errorf("%s sends to a bad address: %w", self, bad)}
		}
	}
	for i := range effects.Egress {
		e := &effects.Egress[i]
		message(&e.Value, Address{ID: e.Key})
	}
	for i := range effects.Delayed {
		if d := &effects.Delayed[i]; !d.Cancel {
			message(&d.Value, d.Target)
		}
	}
	switch {
	case err != nil:
		return 0, err
	case size > p.cfg.MaxEffects:
		return 0, limitError("%s asks for effects of %d bytes in one call, the limit is %d", self, size, p.cfg.MaxEffects)
	}
	return size, p.checkDelayed(self, effects.Delayed)
}

// messageRoom is what a message takes at most besides its value, its type and
// its ids; messageOverhead is about what it takes.
const (
	messageRoom     = 512
	messageOverhead = 96
)

// messageSize is what a message for an address of id takes at most, besides
// its caller's id.
func messageSize(v *Value, id string) int { return len(v.Data) + len(v.Type) + len(id) + messageRoom }

func (p *Partition) checkDelayed(self Address, list []Delayed) error {
	here := map[string]bool{} // tokens set or cancelled by this list
	for i := range list {
		d := &list[i]
		switch {
		case d.Cancel && d.Token == "":
			return protocolError("%s cancels a delayed message without a token", self)
		case d.Cancel:
			here[d.Token] = false
			continue
		case d.Delay < 0:
			return protocolError("%s sends a message with a negative delay of %v", self, d.Delay)
		case d.Delay > maxDelay:
			return protocolError("%s sends a message with a delay of %v, the limit is %v", self, d.Delay, maxDelay)
		}
		if bad := d.Target.Check(); bad != nil {
			return &InvokeError{Kind: Final, Reason: ReasonBadAddress, Err: fmt.Errorf("%s sends to a bad address: %w", self, bad)}
		}
		if d.Token == "" {
			continue
		}
		taken, decided := here[d.Token]
		if !decided {
			taken = p.timers.pending(self.ID, d.Token) != nil
		}
		if taken {
			return protocolError("%s uses the cancellation token %q again while its message is pending", self, d.Token)
		}
		here[d.Token] = true
	}
	return nil
}

// maxDelay keeps due times within range.
const maxDelay = 100 * 365 * 24 * time.Hour

func limitError(format string, args ...any) error {
	return &InvokeError{Kind: Final, Reason: ReasonLimit, Err: fmt.Errorf(format, args...)}
}

func protocolError(format string, args ...any) error {
	return &InvokeError{Kind: Final, Reason: ReasonProtocol, Err: fmt.Errorf(format, args...)}
}

// fireTimers turns what is due into completions: firing is a send of the
// partition that holds the timer (T1).
func (p *Partition) fireTimers() {
	for p.mayFire() {
		tm := p.timers.fire(p.now)
		if tm == nil {
			return
		}
		e := tm.envelope()
		c := &completion{target: e.Caller, trace: e.Trace, fired: tm, sends: []Envelope{e}, size: e.Size() + 64}
		p.firing += c.size
		p.complete(c)
	}
}

// mayFire reports whether timers that are due fire now. Many that are due at
// once take turns with what calls do: they fill half of a commit at most. Nor
// do they fire while too much is unapplied (P2).
func (p *Partition) mayFire() bool {
	return p.Running() && !p.draining && p.firing < max(p.cfg.MaxPack/2, 1) && !p.applier.crowded(1)
}

// doubt is for what must not be, unless another owner has taken over without
// our knowing: whether a record of ours can still be appended decides which
// (R3).
func (p *Partition) doubt(format string, args ...any) {
	if p.doubted == nil {
		p.doubted = fmt.Errorf("%w: partition %d: "+format, append([]any{ErrCorrupt, p.cfg.Partition}, args...)...)
		p.writer.prove()
	}
}

// breach stops the partition because an invariant of our own is broken.
func (p *Partition) breach(format string, args ...any) {
	p.fail(fmt.Errorf("%w: partition %d: invariant: "+format, append([]any{ErrCorrupt, p.cfg.Partition}, args...)...))
}
