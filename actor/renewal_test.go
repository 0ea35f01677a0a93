package actor_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

func TestAMarkerIsWrittenAgainBeforeItsStreamRemovesIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		messages    int
		pause, life time.Duration
		least, most int // markers
	}{
		"with messages all the time": {3000, 100 * time.Millisecond, time.Minute, 10, 22},
		"with some now and then":     {20, 50 * time.Minute, time.Hour, 20, 22},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := actortest.NewMemory()
				ports := m.Ports(0)
				sink := &agingSink{Sink: ports.Egress, life: c.life}
				ports.Egress = sink
				cfg := actor.Config{Partitions: 1, MarkerLife: c.life}
				a := run(t, m, actor.NewProcessor(cfg, ports, catalog{"counter": {Function: function(counter)}}, actor.NewCalls(0), zerolog.Nop()))
				defer a.end()
				a.send(to("counter", "a"), "x")
				time.Sleep(time.Second)
				scans := sink.scans.Load()
				for i := range c.messages {
					a.send(to("counter", strconv.Itoa(i%7)), "x")
					time.Sleep(c.pause)
				}
				a.want("messages stored", len(a.emitted()), c.messages+1)
				a.want("messages refused", int(sink.refused.Load()), 0)
				a.want("scans", int(sink.scans.Load()-scans), 0)
				if marks := int(sink.marks.Load()); marks < c.least || marks > c.most {
					t.Errorf("%d markers were written, want %d to %d", marks, c.least, c.most)
				}
			})
		})
	}
}

func TestAMarkerIsNotWrittenAgainWhileMessagesAreOnTheirWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		ports := m.Ports(0)
		aging := &agingSink{Sink: ports.Egress, life: time.Hour}
		sink := &heldSink{Sink: aging}
		ports.Egress = sink
		cfg := actor.Config{Partitions: 1, MarkerLife: time.Minute}
		a := run(t, m, actor.NewProcessor(cfg, ports, catalog{"counter": {Function: function(counter)}}, actor.NewCalls(0), zerolog.Nop()))
		defer a.end()
		// The first marker is there before anything else is appended: a commit
		// whose append had begun when it was written makes for another (E6).
		a.send(to("counter", "first"), "x")
		time.Sleep(time.Second)
		sink.answer(1)
		for i := range 3 {
			a.send(to("counter", strconv.Itoa(i)), "x")
		}
		time.Sleep(time.Minute)
		a.want("markers while messages are on their way", int(aging.marks.Load()), 1)
		a.send(to("counter", "late"), "x")
		time.Sleep(time.Second)
		a.want("messages on their way while the marker is due", sink.waiting(), 3)
		sink.answer(3)
		time.Sleep(time.Second)
		a.want("markers after that", int(aging.marks.Load()), 2)
		a.want("messages on their way after that", sink.waiting(), 1)
		sink.answer(1)
		time.Sleep(time.Second)
		a.want("messages stored", len(a.emitted()), 5)
		a.want("scans", int(aging.scans.Load()), 1) // the first owner found no marker
	})
}

// agingSink is one whose stream removes what is older than life.
type agingSink struct {
	actor.Sink

	life                  time.Duration
	marked                atomic.Int64
	marks, scans, refused atomic.Int64
}

var errRemoved = errors.New("the marker is not there any more")

func (s *agingSink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	if time.Since(time.Unix(0, s.marked.Load())) > s.life {
		s.refused.Add(1)
		done(actor.WriteResult{Outcome: actor.Rejected, Err: errRemoved})
		return
	}
	s.Sink.Publish(m, mark, done)
}

func (s *agingSink) Mark(body []byte, after uint64, done func(actor.WriteResult)) {
	s.marks.Add(1)
	s.marked.Store(time.Now().UnixNano())
	s.Sink.Mark(body, after, done)
}

func (s *agingSink) Scan(ctx context.Context, after, through uint64) ([]actor.SinkID, error) {
	s.scans.Add(1)
	return s.Sink.Scan(ctx, after, through)
}
