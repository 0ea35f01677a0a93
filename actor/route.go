package actor

import (
	"fmt"
	"time"

	"github.com/jetfn/jetfn/internal/mutant"
)

// Route says what becomes of an accepted input in place of an invocation: the
// commit that consumes it sends its message on, or sets a timer that will.
// The targets see a message from outside.
type Route struct {
	// DueAt is when the message goes on, in Unix milliseconds; at once if that
	// is not later than now.
	DueAt int64
	// Targets are the function types that get the message, each at the id of
	// the envelope's target. None means the envelope's target alone.
	Targets []TypeName
}

// ParseDelay reads how long a message from outside is to be delayed.
func ParseDelay(text string) (time.Duration, *Problem) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, &Problem{Reason: ReasonProtocol, Detail: fmt.Sprintf("the delay %q is no duration; write it as 500ms, 10s or 1h30m", text)}
	case d < 0:
		return 0, &Problem{Reason: ReasonProtocol, Detail: fmt.Sprintf("the delay %q is negative", text)}
	case d > maxDelay:
		return 0, &Problem{Reason: ReasonLimit, Detail: fmt.Sprintf("the delay %q is too long, the limit is %v", text, maxDelay)}
	}
	return d, nil
}

// routes are the inputs that wait to be routed: no more is committed while
// too much is unapplied (P2). They keep their order, so that a foreign
// source, all of whose inputs are routed, is consumed without holes: what its
// owner removes there is never missed.
type routes struct {
	waiting []routedInput
	bytes   int
}

type routedInput struct {
	id InputID
	in Input
}

// Bounds of the inputs that wait to be routed. Those of foreign sources leave
// room for others.
const (
	maxRouting      = 4096
	maxRoutingBytes = 16 << 20
	foreignShare    = 4
)

// room reports whether more deliveries of source may come.
func (r *routes) room(source Source) bool {
	share := 1
	if source.Foreign() {
		share = foreignShare
	}
	return len(r.waiting) < maxRouting/share && r.bytes < maxRoutingBytes/share
}

// route takes an accepted input that is routed.
func (p *Partition) route(id InputID, in *Input) {
	p.routes.waiting = append(p.routes.waiting, routedInput{id, *in})
	p.routes.bytes += in.Envelope.Size()
}

// sendOn routes what waits, unless too much is unapplied.
func (p *Partition) sendOn() {
	if p.draining || len(p.routes.waiting) == 0 || p.applier.crowded(1) {
		return
	}
	list := p.routes.waiting
	p.routes = routes{}
	for i := range list {
		p.consume(list[i].id, &list[i].in)
	}
}

// consume makes a completion of an input that is routed.
func (p *Partition) consume(id InputID, in *Input) {
	e := &in.Envelope
	c := &completion{target: e.Target, trace: e.Trace, consumed: []InputID{id}, size: e.Size()}
	if mutant.On("route-not-consumed") {
		c.consumed = nil
	}
	if in.Problem != nil {
		p.refuse(c, e, &DeadLetter{Reason: in.Problem.Reason, Error: in.Problem.Detail})
		p.complete(c)
		return
	}
	targets := in.Route.Targets
	if len(targets) == 0 {
		targets = []TypeName{e.Target.Type}
	}
	for _, t := range targets {
		next := *e
		next.Target.Type = t
		p.pass(c, &next, in.Route.DueAt)
		c.size += next.Size()
	}
	p.complete(c)
}

// pass adds one message of a routed input to its completion.
func (p *Partition) pass(c *completion, e *Envelope, due int64) {
	if _, known := p.catalog.Lookup(e.Target.Type); !known {
		p.refuse(c, e, p.unserved(e.Target.Type))
		return
	}
	if n := messageSize(&e.Value, e.Target.ID); n > p.cfg.MaxMessage {
		p.refuse(c, e, &DeadLetter{
			Reason: ReasonLimit,
			Error:  fmt.Sprintf("the message takes %d bytes on its way to %s, the limit is %d", n, e.Target, p.cfg.MaxMessage),
		})
		return
	}
	if due <= p.now {
		c.sends = append(c.sends, *e)
		return
	}
	tm := newTimer(&Timer{DueAt: due, Envelope: *e})
	p.timers.propose(tm)
	c.set = append(c.set, tm)
}
