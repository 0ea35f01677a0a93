package jspub

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/groupsync"
)

// DefaultTimeout is how long a publish waits for its acknowledgement before
// its outcome counts as unknown.
const DefaultTimeout = 5 * time.Second

// ErrTimeout means that no acknowledgement came in time.
var ErrTimeout = errors.New("no acknowledgement in time")

// ErrClosed means that the publisher or its connection was closed before the
// acknowledgement came.
var ErrClosed = errors.New("closed before the acknowledgement")

// Ack is the outcome of a publish.
type Ack struct {
	actor.WriteResult
	// Duplicate says that the stream had the message already, at Seq.
	Duplicate bool
}

// Publisher publishes messages to streams and tells each caller the outcome.
// Unlike the client library's asynchronous publish it never retries, never
// stalls, and knows for every error whether the message may be stored.
//
// Messages published by one goroutine are stored in the order of the calls,
// unless one fails.
type Publisher struct {
	nc      *nats.Conn
	sub     *nats.Subscription
	prefix  string
	timeout time.Duration
	letters sync.Pool         // of *letter
	syncer  *groupsync.Syncer // nil: an acknowledgement is all there is to wait for

	mu     sync.Mutex
	calls  []call // in the order of their ids, from base on
	base   uint64
	timer  *time.Timer // armed while calls isn't empty
	armed  bool
	closed bool
}

// call is a publish that waits; done is nil once it has been answered.
type call struct {
	done     func(Ack)
	parse    func(*nats.Msg) Ack  // nil: parseAck
	batch    *fastBatch           // whose answers these are; most have none
	each     func(*nats.Msg) bool // takes one of several answers; nil: there is but one
	deadline time.Time
}

// New returns a Publisher on nc. A timeout of zero means DefaultTimeout.
func New(nc *nats.Conn, timeout time.Duration) (*Publisher, error) {
	return NewSynced(nc, timeout, nil)
}

// NewSynced is New for a server that acknowledges what it has not synced, and
// whose file system syncer syncs: nobody is told that a message is stored, or
// in the way, before a sync that began after the acknowledgement. If that
// fails, the outcome is unknown. The time limit is for the acknowledgement.
func NewSynced(nc *nats.Conn, timeout time.Duration, syncer *groupsync.Syncer) (*Publisher, error) {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	p := &Publisher{nc: nc, prefix: nc.NewInbox() + ".", timeout: timeout, syncer: syncer}
	sub, err := nc.Subscribe(p.prefix+">", p.onAck)
	if err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	sub.SetClosedHandler(func(string) { p.abandon() })
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	p.sub = sub
	return p, nil
}

// Publish hands m to the network and calls done once with the outcome,
// possibly before it returns. It sets m.Reply.
func (p *Publisher) Publish(m *nats.Msg, done func(Ack)) { p.publish(m, nil, done) }

// publish has parse read the acknowledgement.
func (p *Publisher) publish(m *nats.Msg, parse func(*nats.Msg) Ack, done func(Ack)) {
	id, ok := p.register(call{done: done, parse: parse})
	if !ok {
		done(unknown(ErrClosed))
		return
	}
	m.Reply = p.prefix + strconv.FormatUint(id, 36)
	err := p.nc.PublishMsg(m)
	if err == nil {
		return
	}
	if done, _ := p.take(id); done != nil {
		done(localError(err))
	}
}

// Forward publishes m and calls done once with the answer, once what that says
// is durable. If nobody knows whether m is stored, it is nil. It sets m.Reply.
func (p *Publisher) Forward(m *nats.Msg, done func(answer *nats.Msg)) {
	var answer *nats.Msg
	var said actor.Outcome
	p.publish(m, func(got *nats.Msg) Ack {
		ack := parseAck(got)
		answer, said = got, ack.Outcome
		return ack
	}, func(ack Ack) {
		if ack.Outcome != said { // it was not synced
			answer = nil
		}
		done(answer)
	})
}

// Connection is the number of the connection that there is now: another one
// after each time that it was lost.
func (p *Publisher) Connection() uint64 { return p.nc.Stats().Reconnects + 1 }

// Do publishes m and waits. The error is that of ctx; the outcome is then
// unknown.
func (p *Publisher) Do(ctx context.Context, m *nats.Msg) (Ack, error) {
	answer := make(chan Ack, 1)
	p.Publish(m, func(a Ack) { answer <- a })
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return Ack{}, ctx.Err()
	}
}

// Ask publishes m and waits for whatever is answered, which no sync is waited
// for. The error is that of ctx, or why no answer came.
func (p *Publisher) Ask(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	answer := make(chan *nats.Msg, 1)
	answered := make(chan error, 1)
	p.AskAll(m, func(got *nats.Msg) bool { answer <- got; return true }, func(err error) { answered <- err })
	select {
	case err := <-answered:
		if err != nil {
			return nil, err
		}
		got := <-answer
		if len(got.Data) == 0 && got.Header.Get("Status") == "503" {
			return got, nats.ErrNoResponders
		}
		return got, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// AskAll publishes m and hands each answer to it over, one after the other,
// until one of them is the last, which each reports. Then it calls done, or
// else, once, with the reason why no more come; each may still run then.
func (p *Publisher) AskAll(m *nats.Msg, each func(*nats.Msg) (last bool), done func(error)) {
	id, ok := p.register(call{each: each, done: func(a Ack) { done(a.Err) }})
	if !ok {
		done(ErrClosed)
		return
	}
	m.Reply = p.prefix + strconv.FormatUint(id, 36)
	if err := p.nc.PublishMsg(m); err != nil {
		if done, _ := p.take(id); done != nil {
			done(localError(err))
		}
	}
}

// Close ends the publisher. The outcome of what waits is unknown.
func (p *Publisher) Close() {
	p.abandon()
	_ = p.sub.Unsubscribe() // it fails if the connection is closed, which ends it as well
}

func (p *Publisher) register(c call) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, false
	}
	id := p.base + uint64(len(p.calls))
	c.deadline = time.Now().Add(p.timeout)
	p.calls = append(p.calls, c)
	if !p.armed {
		p.arm(p.timeout)
	}
	return id, true
}

// arm starts the timer; mu is held.
func (p *Publisher) arm(d time.Duration) {
	p.armed = true
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.expire)
		return
	}
	p.timer.Reset(d)
}

// take removes the call with this id, and returns nil if it is answered.
func (p *Publisher) take(id uint64) (done func(Ack), parse func(*nats.Msg) Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id < p.base || id-p.base >= uint64(len(p.calls)) {
		return nil, nil
	}
	c := &p.calls[id-p.base]
	done, parse = c.done, c.parse
	c.done, c.parse, c.batch, c.each = nil, nil, nil, nil
	p.drop()
	if parse == nil {
		parse = parseAck
	}
	return done, parse
}

// drop forgets answered calls at the head; mu is held.
func (p *Publisher) drop() {
	n := 0
	for n < len(p.calls) && p.calls[n].done == nil {
		n++
	}
	p.calls = p.calls[n:]
	p.base += uint64(n)
}

func (p *Publisher) onAck(m *nats.Msg) {
	token, ok := strings.CutPrefix(m.Subject, p.prefix)
	if !ok {
		return
	}
	if strings.HasSuffix(token, fastSuffix) {
		p.onFastAnswer(token, m)
		return
	}
	id, err := strconv.ParseUint(token, 36, 64)
	if err != nil {
		return
	}
	if each := p.each(id); each != nil {
		if !each(m) {
			return
		}
		if done, _ := p.take(id); done != nil {
			done(Ack{})
		}
		return
	}
	if done, parse := p.take(id); done != nil {
		p.tell(done, parse(m))
	}
}

// each returns what takes the answers to the call with this id; nil if it takes
// but one.
func (p *Publisher) each(id uint64) func(*nats.Msg) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id < p.base || id-p.base >= uint64(len(p.calls)) {
		return nil
	}
	return p.calls[id-p.base].each
}

// tell passes an acknowledgement on, once what it says is durable. All of them
// go that way, so that they come in their order.
func (p *Publisher) tell(done func(Ack), ack Ack) {
	if p.syncer == nil {
		done(ack)
		return
	}
	p.syncer.After(func(err error) {
		if err != nil && (ack.Outcome == actor.Stored || ack.Outcome == actor.Rejected) {
			ack = unknown(fmt.Errorf("stored, and not synced: %w", err))
		}
		done(ack)
	})
}

// expire answers what has waited too long.
func (p *Publisher) expire() {
	var late []func(Ack)
	p.mu.Lock()
	now := time.Now()
	for i := range p.calls {
		c := &p.calls[i]
		if c.deadline.After(now) {
			break
		}
		if c.done != nil {
			late = append(late, c.done)
			c.done = nil
		}
	}
	p.drop()
	p.armed = false
	if len(p.calls) > 0 && !p.closed {
		p.arm(p.calls[0].deadline.Sub(now))
	}
	p.mu.Unlock()
	for _, done := range late {
		done(unknown(ErrTimeout))
	}
}

// abandon answers all that waits and takes no more.
func (p *Publisher) abandon() {
	p.mu.Lock()
	calls := p.calls
	p.calls, p.closed = nil, true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range calls {
		if c.done != nil {
			c.done(unknown(ErrClosed))
		}
	}
}
