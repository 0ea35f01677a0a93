package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
)

// generator publishes messages to random keys, and takes the broker's
// acknowledgements. It is as lean as can be, since it shares the machine.
type generator struct {
	nc      *nats.Conn
	acks    *nats.Subscription
	inbox   string
	ledger  *ledger
	clock   clock
	slots   chan struct{} // closed loop: one for each message in flight
	sent    []uint64      // by key
	payload []byte
	random  *rand.Rand
	subject string // of every key, without it
	open    bool   // publishes whatever becomes of it, so that it may be refused
}

// clock counts nanoseconds since the run's start, from 1.
type clock struct{ start time.Time }

func (c clock) now() int64 { return int64(time.Since(c.start)) + 1 }

func newGenerator(nc *nats.Conn, l *ledger, c clock, cfg Config) (*generator, error) {
	g := &generator{
		open: cfg.Rate > 0,
		nc:   nc, inbox: nc.NewInbox() + ".", ledger: l, clock: c,
		slots: make(chan struct{}, max(1, cfg.InFlight)), sent: make([]uint64, cfg.Keys),
		payload: message(nil, cfg.Payload, 0), random: rand.New(rand.NewPCG(1, 2)),
	}
	g.subject = strings.TrimSuffix(appName+".fn."+actor.Address{Type: counterType(), ID: "k"}.Key(), "k")
	var err error
	if g.acks, err = nc.Subscribe(g.inbox+"*", g.acknowledged); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	if err := g.acks.SetPendingLimits(-1, -1); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	return g, nil
}

func (g *generator) acknowledged(m *nats.Msg) {
	now := g.clock.now()
	index, err := strconv.ParseUint(m.Subject[len(g.inbox):], 10, 64)
	if err == nil && g.open && bytes.Contains(m.Data, []byte(`"code":429`)) {
		g.ledger.refuse(index, now)
		return
	}
	if err == nil && (len(m.Data) == 0 || bytes.Contains(m.Data, []byte(`"error"`))) {
		err = fmt.Errorf("message %d was refused: %s %s", index, m.Data, m.Header.Get("Status"))
	}
	if err != nil {
		g.ledger.mu.Lock()
		g.ledger.fail(err)
		g.ledger.mu.Unlock()
		return
	}
	g.ledger.ack(index, now)
}

// publish sends one message that was due at the given time.
func (g *generator) publish(due int64) error {
	key := g.random.IntN(len(g.sent))
	index := g.ledger.send(key, due, g.clock.now())
	putIndex(g.payload, index)
	g.sent[key]++
	if err := g.nc.PublishRequest(g.subject+keyText(key), g.inbox+strconv.FormatUint(index, 10), g.payload); err != nil {
		return fmt.Errorf("publish message %d: %w", index, err)
	}
	return nil
}

// closedLoop keeps as many messages in flight as there are slots, until ctx
// ends.
func (g *generator) closedLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case g.slots <- struct{}{}:
		}
		if err := g.publish(g.clock.now()); err != nil {
			return err
		}
	}
}

// openLoop publishes at a fixed rate until ctx ends, whatever becomes of the
// messages.
func (g *generator) openLoop(ctx context.Context, rate float64) error {
	interval := float64(time.Second) / rate
	begin := g.clock.now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; {
		due := begin + int64(float64(n)*interval)
		if wait := due - g.clock.now(); wait > 0 {
			timer.Reset(time.Duration(wait))
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
			continue
		}
		if n%256 == 0 && ctx.Err() != nil {
			return nil
		}
		if err := g.publish(due); err != nil {
			return err
		}
		n++
	}
}

// delivered gives a slot back.
func (g *generator) delivered() {
	select {
	case <-g.slots:
	default: // the open loop has none
	}
}
