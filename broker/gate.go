package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	gateEndLimit     = 5 * time.Second
	gateSettleLimit  = packDedup - 10*time.Second // from a pack's first publish to its last
	gateRetryPause   = 100 * time.Millisecond
	gateWarnPause    = 10 * time.Second
	gatePendingBytes = 256 << 20 // arrived, and not looked at yet
	fastBatchSuffix  = ".$FI"
)

// ErrClosed means that no gate is open, so that nothing was stored.
var ErrClosed = errors.New("not open to messages now")

// errUnsettled ends a gate that can't find out whether a pack is stored.
var errUnsettled = errors.New("the stream does not say whether a pack is stored")

// gate stands where outside messages come in, in place of the stream. While a
// pack of a partition is on its way to the stream, what arrives for the
// partition is gathered for the next one. Publishers are answered as the
// stream would, once their message is stored.
type gate struct {
	app    *App
	nonce  string // of pack ids
	packs  uint64
	stream string
	ack    string // begins every acknowledgement
	closed chan struct{}
	again  []*pack // to be published once more
	warned time.Time

	*gathering
}

// Gather takes outside messages until ctx ends, and then those that have
// arrived already. It calls opened when it has begun. Config.Gate must be set.
//
// What an application holds that is not stored yet is bounded by
// Config.GateBytes; beyond it publishers are answered with JetStream's error
// 429. What exceeds Config.Room is refused with its error 10023.
func (a *App) Gather(ctx context.Context, opened func()) error {
	if !a.cfg.Gate {
		return errors.New("gather outside messages: this application's streams take them directly")
	}
	g := &gate{
		app: a, nonce: rand.Text()[:10] + "-", stream: a.names.mailboxStream(),
		closed: make(chan struct{}),
	}
	g.ack = fmt.Sprintf(`{"stream":%q,"seq":`, g.stream)
	limit := min(maxPackBytes, int(a.nc.MaxPayload())/2)
	g.gathering = newGathering(a.creation.Partitions, limit, a.cfg.GateBytes)
	watch, unwatch := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer unwatch()
	sub, err := g.begin(ctx, watch, &watching)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("gather outside messages: %w", err)
	}
	sub.SetClosedHandler(func(string) { close(g.closed) })
	ingress, err := openRelay(ctx, a)
	if err != nil {
		_ = sub.Unsubscribe()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	a.gate.Store(g)
	opened()
	err = errors.Join(g.run(ctx, sub), ingress.end())
	a.gate.CompareAndSwap(g, nil)
	_ = sub.Unsubscribe() // it is, unless something failed
	g.abandon()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		a.cfg.Log.Warn().Err(err).Msg("the last outside messages are not answered, their publishers can't know")
		return nil
	}
	return fmt.Errorf("gather outside messages: %w", err)
}

// begin finds out what is to be known before messages are taken, and
// subscribes. What it starts in watching ends with watch.
func (g *gate) begin(ctx, watch context.Context, watching *sync.WaitGroup) (*nats.Subscription, error) {
	if err := g.loadIDs(ctx); err != nil {
		return nil, err
	}
	if g.app.cfg.Room != nil {
		if err := g.watchRoom(watch, watching); err != nil {
			return nil, err
		}
	}
	return g.app.listen(ctx, g.app.names.fnAll(), g.arrived)
}

// listen subscribes to what comes from outside, and returns when the server
// knows it.
func (a *App) listen(ctx context.Context, subject string, arrived nats.MsgHandler) (*nats.Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	sub, err := a.nc.Subscribe(subject, arrived)
	if err != nil {
		return nil, err
	}
	err = sub.SetPendingLimits(-1, gatePendingBytes)
	if err == nil {
		err = a.nc.FlushWithContext(ctx)
	}
	if err != nil {
		_ = sub.Unsubscribe()
		return nil, err
	}
	return sub, nil
}

// run publishes packs and answers until ctx ends, and then until all is
// answered.
func (g *gate) run(ctx context.Context, sub *nats.Subscription) error {
	end, closed, ending := ctx.Done(), g.closed, false
	var limit, retry <-chan time.Time
	for {
		if err := g.work(); err != nil {
			return err
		}
		if retry == nil && len(g.again) > 0 {
			retry = time.After(gateRetryPause)
		}
		if closed == nil && g.idle() {
			return nil
		}
		select {
		case <-end:
			end, ending, limit = nil, true, time.After(gateEndLimit)
			g.app.gate.CompareAndSwap(g, nil)
			g.close()
			if err := sub.Drain(); err != nil {
				return err
			}
		case <-closed:
			if closed = nil; !ending {
				return errors.New("the subscription ended by itself")
			}
		case <-limit:
			return errUnsettled
		case <-retry:
			retry = nil
			g.repeat()
		case <-g.wake:
			// Messages come in bursts: where the processors are busy, the rest
			// of this one gets into the pack. Else there is nothing to wait for.
			runtime.Gosched()
		}
	}
}

// work handles the outcomes there are and publishes the next packs.
func (g *gate) work() error {
	finished := g.takeFinished()
	var answers []answered
	for _, p := range finished {
		if p.ack.Outcome != actor.Unknown {
			answers = append(answers, g.conclude(p)...)
			continue
		}
		if errors.Is(p.ack.Err, jspub.ErrClosed) || time.Since(p.first) > gateSettleLimit || p.msg.Header.Get(headerMsgID) == "" {
			return fmt.Errorf("%w: %w", errUnsettled, p.ack.Err)
		}
		g.app.cfg.Log.Warn().Err(p.ack.Err).Int("partition", p.partition).Int("messages", len(p.messages)).Msg("outcome of a pack unknown, repeating it")
		g.again = append(g.again, p)
	}
	for p := g.next(); p != nil; p = g.next() {
		g.write(p)
		g.publish(p)
	}
	for i := range answers {
		g.answer(answers[i].to, answers[i].answer)
	}
	return nil
}

// repeat publishes again what may be stored. The packs' ids keep the stream
// from storing them twice.
func (g *gate) repeat() {
	packs := g.again
	g.again = nil
	for _, p := range packs {
		g.publish(p)
	}
}

// write makes the message that p is stored as.
func (g *gate) write(p *pack) {
	g.packs++
	p.first = time.Now()
	id := fmt.Sprintf("%s%d", g.nonce, g.packs)
	b := appendPackStart(make([]byte, 0, p.bytes+packOverhead))
	for _, m := range p.messages {
		b = m.append(b)
	}
	p.msg = &nats.Msg{Subject: g.app.names.pack(p.partition), Header: nats.Header{headerMsgID: {id}}, Data: b}
	limit := int(g.app.nc.MaxPayload())
	if len(p.messages) > 1 || len(b)+headerRoom <= limit {
		return
	}
	// A message that barely fits is stored as the stream itself would.
	m := p.messages[0]
	p.msg.Subject, p.msg.Data = g.app.names.external(p.partition, m.key), m.data
	setText(p.msg.Header, HeaderType, m.said.valueType)
	setText(p.msg.Header, headerContentType, m.said.contentType)
	setText(p.msg.Header, HeaderDelay, m.said.delay)
	setTrace(p.msg.Header, m.said.trace)
	setText(p.msg.Header, headerMsgID, m.said.msgID)
	if m.said.msgID == "" && len(m.data)+headerSize(p.msg.Header) > limit {
		delete(p.msg.Header, headerMsgID)
	}
}

func (g *gate) publish(p *pack) {
	g.app.pub.Publish(p.msg, func(ack jspub.Ack) {
		p.ack = ack
		g.finish(p)
	})
}

// abandon answers what is left when the gate has failed.
func (g *gate) abandon() {
	waiting, unknown := g.rest()
	for _, m := range waiting {
		g.answer(m, answer{err: notTaken(), outcome: actor.Refused})
	}
	for _, m := range unknown { // publishers over NATS get no answer
		if m.done != nil {
			m.done(answer{err: errUnsettled, outcome: actor.Unknown})
		}
	}
}
