package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

const (
	// timerChunk is how many timers are handed out at once.
	timerChunk = 500
	// gatherLoads is how long a load waits for others to go with it.
	gatherLoads = 20 * time.Millisecond
)

// timerLoads are the reads of the timers' bucket. Those of several partitions
// that come together share one pass over it: a server finds the messages of one
// partition among a million by looking at most of them.
type timerLoads struct {
	mu      sync.Mutex
	waiting []*timerLoad
	busy    bool // one of those who load makes a pass
}

// timerLoad is one run of LoadAll.
type timerLoad struct {
	partition int
	fence     uint64
	take      func([]actor.Timer)
	chunk     []actor.Timer

	passed bool
	err    error
	done   chan struct{} // closed once passed or err is set
	lead   chan struct{} // closed when it has to make a pass
}

// LoadAll writes a fence and reads through it: what was stored before is then
// seen for certain.
func (t *timers) LoadAll(ctx context.Context, take func([]actor.Timer)) error {
	fence, err := t.app.pub.Do(ctx, &nats.Msg{Subject: t.subject + timerFence(t.partition)})
	if err == nil {
		err = fence.Err
	}
	if err != nil {
		return fmt.Errorf("load timers of partition %d: write the fence: %w", t.partition, err)
	}
	l := &timerLoad{partition: t.partition, fence: fence.Seq, take: take, done: make(chan struct{}), lead: make(chan struct{})}
	if err := t.app.timerLoads.load(ctx, t.app, l); err != nil {
		return fmt.Errorf("load timers of partition %d: %w", t.partition, err)
	}
	return nil
}

// load has l read, by this goroutine or by that of another load.
func (s *timerLoads) load(ctx context.Context, app *App, l *timerLoad) error {
	s.mu.Lock()
	s.waiting = append(s.waiting, l)
	if !s.busy {
		s.busy = true
		close(l.lead)
	}
	s.mu.Unlock()
	select {
	case <-l.done:
		return l.err
	case <-l.lead:
	case <-ctx.Done():
		s.leave(l)
		return ctx.Err()
	}
	wait := time.NewTimer(gatherLoads)
	select {
	case <-wait.C:
	case <-ctx.Done():
		wait.Stop()
	}
	s.mu.Lock()
	group := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	err := app.passTimers(ctx, group)
	for _, one := range group {
		if !one.passed && one.err == nil {
			one.err = err
		}
		close(one.done)
	}
	s.next()
	return l.err
}

// leave takes l out. If it has been chosen to make a pass, another one is.
func (s *timerLoads) leave(l *timerLoad) {
	s.mu.Lock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o *timerLoad) bool { return o == l })
	s.mu.Unlock()
	select {
	case <-l.lead:
		s.next()
	default:
	}
}

// next lets another load make a pass, if any waits.
func (s *timerLoads) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy = len(s.waiting) > 0; s.busy {
		close(s.waiting[0].lead)
	}
}

// passTimers reads the bucket once, for all loads of a group.
func (a *App) passTimers(ctx context.Context, group []*timerLoad) error {
	p := &timerPass{app: a, subject: bucketSubject(a.names.timersBucket()), loads: map[int][]*timerLoad{}, left: len(group), next: 1}
	filter := p.subject + ">"
	for _, l := range group {
		p.loads[l.partition] = append(p.loads[l.partition], l)
	}
	if len(p.loads) == 1 {
		filter = p.subject + timerPrefix(group[0].partition) + ">"
	}
	for {
		from := p.next
		cfg := jetstream.ConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, FilterSubject: filter}
		err := a.follow(ctx, bucketStream(a.names.timersBucket()), cfg, p.message)
		switch {
		case errors.Is(err, errLoaded):
			return nil
		case ctx.Err() != nil, p.next == from:
			return err
		}
		// A consumer that broke down is not a reason to begin again.
	}
}

// timerPass is one pass over the bucket.
type timerPass struct {
	app     *App
	subject string // of the bucket, ends in a dot
	loads   map[int][]*timerLoad
	left    int
	next    uint64 // sequence to go on from
}

var errLoaded = errors.New("passed the fence")

// message takes one message of the bucket, which keeps one revision a key, so
// that nothing comes twice. It returns errLoaded when all fences are passed.
func (p *timerPass) message(m jetstream.Msg, md *jetstream.MsgMetadata) error {
	p.next = md.Sequence.Stream + 1
	key := strings.TrimPrefix(m.Subject(), p.subject)
	first, _, _ := strings.Cut(key, ".")
	partition, err := strconv.Atoi(first)
	if err != nil {
		p.foreign(key)
		partition = -1 // nobody's
	}
	for _, l := range p.loads[partition] {
		if l.passed || l.err != nil {
			continue
		}
		if md.Sequence.Stream >= l.fence {
			l.flush()
			l.passed = true
			p.left--
			continue
		}
		if err := p.take(l, key, m); err != nil {
			l.err = err
			p.left--
		}
	}
	if p.left == 0 {
		return errLoaded
	}
	return nil
}

// take adds the timer that a message holds.
func (p *timerPass) take(l *timerLoad, key string, m jetstream.Msg) error {
	if m.Headers().Get(headerOperation) != "" {
		return nil
	}
	id, ok := parseTimerKey(key)
	if !ok {
		if key != timerFence(l.partition) {
			p.foreign(key)
		}
		return nil
	}
	timer, err := decodeTimer(m.Data())
	if err != nil {
		return fmt.Errorf("timer %s in bucket %s: %w", key, p.app.names.timersBucket(), err)
	}
	timer.ID = id
	if l.chunk = append(l.chunk, timer); len(l.chunk) == timerChunk {
		l.flush()
	}
	return nil
}

func (l *timerLoad) flush() {
	if len(l.chunk) > 0 {
		l.take(l.chunk)
		l.chunk = nil
	}
}

func (p *timerPass) foreign(key string) {
	p.app.cfg.Log.Warn().Str("key", key).Str("bucket", p.app.names.timersBucket()).Msg("foreign key among the timers ignored")
}
