package actor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// ErrFenced means that another owner has opened the partition.
var ErrFenced = errors.New("fenced: another owner has opened the partition")

// ErrCorrupt means that the journal or an invariant is broken; the partition
// must not go on.
var ErrCorrupt = errors.New("partition is corrupt")

// ErrStalled means that the process was stopped for so long that the
// partition gives up what it holds and has to be opened again (PROTOCOL O4).
var ErrStalled = errors.New("the process stood still for too long")

// ErrEnded is returned by calls to a Processor whose Run has returned.
var ErrEnded = errors.New("the partition's processor has ended")

const (
	// stallLimit is how long a partition with effects under way may stand
	// still before it doubts its ownership.
	stallLimit = 30 * time.Second
	// blockingReads bounds a partition's reads of stores at once.
	blockingReads = 32
	// eventBacklog is how many deliveries may wait for the partition.
	eventBacklog = 1024
)

// Processor owns one partition: it feeds events into its state machine, one
// at a time, and carries out the requests that come out.
type Processor struct {
	cfg   Config
	ports Ports
	calls *Calls
	log   zerolog.Logger
	begun time.Time // for a clock that never jumps

	opened  chan struct{}
	ended   chan struct{}
	wake    chan struct{}    // capacity one; Run's goroutine waits for it alone
	room    [2]chan struct{} // capacity one; for our own sources and for foreign ones
	reads   *semaphore.Weighted
	workers *errgroup.Group
	callers *crew
	readers *crew
	done    context.Context //nolint:containedctx // Run's, for what it starts through the Host

	mu        sync.Mutex
	waiting   bool    // Run's goroutine waits for wake
	events    []Event // not applied yet
	delivered int     // deliveries among them
	full      [2]bool // the partition has no room for our own sources, for foreign ones
	closed    bool    // no event is applied any more
	positions map[Source]uint64
	anchors   map[Source]Anchor
	stats     Stats

	part  *Partition // belongs to Run's goroutine
	spare []Event    // room for events, likewise
}

// NewProcessor returns a processor for the partition that cfg names.
func NewProcessor(cfg Config, ports Ports, catalog Catalog, calls *Calls, log zerolog.Logger) *Processor {
	if ports.Journal != nil && cfg.MaxRecord == 0 {
		cfg.MaxRecord = ports.Journal.MaxRecord()
	}
	if ports.State != nil && (cfg.MaxState == 0 || cfg.MaxState > ports.State.MaxState()) {
		cfg.MaxState = ports.State.MaxState()
	}
	cfg = cfg.WithDefaults()
	return &Processor{
		cfg: cfg, ports: ports, calls: calls,
		log:    log.With().Int("partition", cfg.Partition).Logger(),
		opened: make(chan struct{}), ended: make(chan struct{}),
		wake: make(chan struct{}, 1), room: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)},
		reads: semaphore.NewWeighted(blockingReads),
		part:  NewPartition(&cfg, catalog),
	}
}

// Run opens the partition and works until ctx ends (nil), another owner takes
// over (ErrFenced), or the partition can't go on (ErrCorrupt or another
// error). A Processor runs once.
func (p *Processor) Run(ctx context.Context) error {
	defer close(p.ended)
	p.begun = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	p.workers, ctx = errgroup.WithContext(ctx)
	p.done = ctx
	start := func(member func(context.Context)) {
		p.workers.Go(func() error {
			member(ctx)
			return nil
		})
	}
	p.callers, p.readers = newCrew(start), newCrew(start)
	began := p.begun.UnixMilli()
	p.part.SetTime(began)
	p.part.Open()
	err := p.loop(ctx, began)
	cancel()
	p.callers.end()
	p.readers.end()
	_ = p.workers.Wait() // its functions return nil
	p.finish()
	return err
}

func (p *Processor) loop(ctx context.Context, start int64) error {
	alarm := newAlarmClock(p.begun, p.nudge)
	defer alarm.stop()
	defer context.AfterFunc(ctx, p.nudge)()
	last := time.Now()
	for ctx.Err() == nil {
		if gap := time.Since(last); gap > stallLimit && p.part.Stats().Unapplied > 0 {
			return ErrStalled
		}
		last = time.Now()
		p.part.SetTime(start + last.Sub(p.begun).Milliseconds())
		p.apply()
		p.part.Settle()
		p.part.Perform(&p.ports, p, &p.log)
		if err := p.publish(); err != nil {
			return err
		}
		at, ok := p.part.Wake()
		if !p.rest() {
			continue
		}
		if ok {
			alarm.set(at - start)
		}
		<-p.wake
	}
	return nil
}

// nudge has Run's goroutine look at the time and at its context.
func (p *Processor) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// apply feeds the waiting events into the state machine.
func (p *Processor) apply() {
	p.mu.Lock()
	events := p.events
	p.events, p.delivered, p.waiting = p.spare, 0, false
	p.mu.Unlock()
	for _, ev := range events {
		ev(p.part)
	}
	p.spare = roomOf(events)
}

// publish makes what others may ask for visible.
func (p *Processor) publish() error {
	part := p.part
	p.mu.Lock()
	p.stats = part.Stats()
	p.full = [2]bool{!part.Room(SourceMailbox), !part.Room(foreignPrefix)}
	full, many := p.full, p.delivered >= eventBacklog
	if part.Running() && p.positions == nil {
		p.positions, p.anchors = part.Positions(), part.Anchors()
		close(p.opened)
	}
	p.mu.Unlock()
	for i := range full {
		if full[i] || many {
			continue
		}
		select {
		case p.room[i] <- struct{}{}:
		default:
		}
	}
	return part.Err()
}

// rest reports whether there is nothing to apply, so that Run's goroutine may
// wait. Whoever brings an event wakes it then.
func (p *Processor) rest() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = len(p.events) == 0
	return p.waiting
}

// post adds an event and wakes Run's goroutine if it waits; mu is held, and is
// not when post returns.
func (p *Processor) post(ev Event) {
	p.events = append(p.events, ev)
	waits := p.waiting
	p.waiting = false
	p.mu.Unlock()
	if waits {
		p.nudge()
	}
}

// Post queues an event and reports whether it will be applied. It never
// blocks: whoever posts was asked to by the partition, whose own bounds hold;
// deliveries wait for room before. It is part of Host.
func (p *Processor) Post(ev Event) bool {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return false
	}
	p.post(ev)
	return true
}

// Go runs f in a goroutine that ends before Run does. It is part of Host.
func (p *Processor) Go(kind Work, f func(ctx context.Context)) {
	if kind == WorkCall {
		p.callers.do(f)
		return
	}
	p.readers.do(func(ctx context.Context) {
		if p.reads.Acquire(ctx, 1) != nil {
			return // the processor is ending
		}
		defer p.reads.Release(1)
		f(ctx)
	})
}

// Acquire waits for a place among the worker's calls. It is part of Host.
func (p *Processor) Acquire(at Place, grant func()) { p.calls.Acquire(at, grant) }

// Release gives a place back. It is part of Host.
func (p *Processor) Release(at Place, r CallResult) { p.calls.Release(at, r) }

// finish gives back what was granted to a partition that has ended.
func (p *Processor) finish() {
	p.mu.Lock()
	p.closed = true
	events := p.events
	p.events = nil
	p.mu.Unlock()
	p.part.fail(ErrEnded)
	p.part.take()
	for _, ev := range events {
		ev(p.part)
	}
	for _, r := range p.part.take() {
		if back, ok := r.(giveBack); ok {
			p.calls.Release(back.place, CallResult{Err: ErrAbandoned})
		}
	}
}

// Opened is closed when the partition is recovered and takes deliveries.
func (p *Processor) Opened() <-chan struct{} { return p.opened }

// Position is the sequence at which source's deliveries have to start. It may
// be called once Opened is closed.
func (p *Processor) Position(source Source) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.positions[source], 1)
}

// Anchor says how to see that source's stream is the one that Position is
// about. It may be called once Opened is closed.
func (p *Processor) Anchor(source Source) Anchor {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.anchors[source]
}

// WentBack says that source's stream isn't the one that Anchor is about: it has
// lost its end.
func (p *Processor) WentBack(source Source) {
	p.Post(func(part *Partition) { part.WentBack(source) })
}

// Deliver hands a stored message over, in stream order per source. It blocks
// while the partition has no room, and fails only when the processor has
// ended or ctx is done.
func (p *Processor) Deliver(ctx context.Context, d Delivery) error {
	kind := 0
	if d.Source.Foreign() {
		kind = 1
	}
	for {
		p.mu.Lock()
		if !p.full[kind] && p.delivered < eventBacklog {
			p.delivered++
			p.post(func(part *Partition) { part.Deliver(&d) })
			return nil
		}
		p.mu.Unlock()
		select {
		case <-p.room[kind]:
		case <-p.ended:
			return ErrEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Passed says that everything of source below seq has been given to Deliver.
// The partition says in turn what of it may be removed, even if none of it is
// its own.
func (p *Processor) Passed(source Source, seq uint64) {
	p.Post(func(part *Partition) { part.Passed(source, seq) })
}

// Drain stops taking input, waits for the calls in flight, commits and
// applies what they did, and writes a checkpoint. Run goes on; end it by its
// context afterwards. Drain returns early when ctx is done.
func (p *Processor) Drain(ctx context.Context) error {
	p.Post(func(part *Partition) { part.Drain() })
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		drained := make(chan bool, 1)
		p.Post(func(part *Partition) { drained <- part.Drained() })
		select {
		case done := <-drained:
			if done {
				return nil
			}
		case <-p.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stats are a partition's counters and gauges.
type Stats struct {
	Epoch, Commits, Accepted, Invocations, Messages, Retries, DeadLetters, StateConflicts, Drops uint64
	Unapplied, Timers, Resident, Spilled, CachedAddresses, EgressPending                         int
	CheckpointAt                                                                                 int64 // Unix milliseconds
	// Newest is the number of the newest commit, durable or on its way.
	Newest uint64
	// Covered is the newest commit below which, and including which, no later
	// owner puts effects in place again.
	Covered uint64
}

// Stats returns a snapshot.
func (p *Processor) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}
