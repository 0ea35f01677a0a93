package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// errStopped is why a generation ends that was told to.
var errStopped = errors.New("stopped")

// generation is one ownership of all partitions.
type generation struct {
	worker *worker
	*backbone
	arranged

	seats []*seat
	calls *actor.Calls

	owners  sync.WaitGroup // processors
	intakes sync.WaitGroup // feeds and playground ports
}

// seat is one partition's place in a generation.
type seat struct {
	partition int
	processor *actor.Processor
	ended     chan struct{}
}

func newGeneration(w *worker, b *backbone) *generation {
	g := &generation{worker: w, backbone: b, calls: actor.NewCalls(w.cfg.MaxPerTask), arranged: arranged{
		ports: map[int]*port{}, foreign: map[actor.TypeName]*feeding{}, reached: map[actor.TypeName]uint64{},
	}}
	g.calls.Tell(w.circuitChanged)
	for p := range b.app.Partitions() {
		ports := b.app.Ports(p)
		ports.State = b.state.Partition(p)
		ports.Journal = w.meters.journals.measured(ports.Journal, p)
		ports.Outbox = countingOutbox{ports.Outbox, w.meters.tally, w.meters.Tracer}
		ports.Egress = tellingSink{ports.Egress, w.meters.tally.tails, b.app.DeadLetterID}
		ports.DeadLetters = tellingSink{ports.DeadLetters, w.meters.tally.tails, b.app.DeadLetterID}
		ports.Egress = countingSink{ports.Egress, w.meters.tally, w.meters.Tracer}
		ports.DeadLetters = countingSink{ports.DeadLetters, w.meters.tally, w.meters.Tracer}
		ports.Inbox = w.rooted(b.app).inbox(ports.Inbox)
		ports.Replies = replies{w.desk, b.app}
		cfg := actor.Config{
			Partition: p, Partitions: b.app.Partitions(),
			TrimDelay: w.cfg.trimDelay(), EgressLimited: w.cfg.EgressMaxBytes > 0,
			MarkerLife: w.cfg.egressMaxAge(),
			Observer:   observer{w.meters.tally, w.meters.Tracer, w.meters.tally.tails}, LetterID: b.app.DeadLetterID,
		}
		w.cfg.Limits.apply(&cfg)
		g.seats = append(g.seats, &seat{
			partition: p,
			processor: actor.NewProcessor(cfg, ports, w.catalog, g.calls, w.cfg.Log),
			ended:     make(chan struct{}),
		})
	}
	return g
}

// run owns the partitions until ctx ends, then drains them and returns nil;
// or until they are lost, or held ends, then it returns why. When it returns,
// all that it started has ended.
func (g *generation) run(ctx, held context.Context) error {
	g.worker.status.begin()
	defer g.worker.censuses.forget()
	began := time.Now()
	work, stop := context.WithCancelCause(held)
	defer g.owners.Wait()
	defer stop(errStopped)

	paused, err := g.app.Paused(ctx)
	if err != nil {
		return err
	}
	g.worker.pauses.attach(g.seats, paused)
	for _, s := range g.seats {
		g.spawn(&g.owners, stop, func() error { return g.own(work, s) })
	}
	if !g.opened(ctx, work) {
		return ignoreStop(context.Cause(work))
	}
	intake, stopIntake := context.WithCancel(work)
	g.intake, g.stop = intake, stop
	defer g.intakes.Wait()
	defer stopIntake()
	defer g.leave()
	if err := g.begin(ctx); err != nil {
		return err
	}
	shut, err := g.openGate(ctx, intake, stop)
	defer shut()
	if err != nil {
		return ignoreStop(err)
	}
	g.intakes.Go(func() { g.wakeCron(intake, nil, g.worker.modules.module()) })
	g.intakes.Go(func() { g.sweep(intake) })
	g.worker.meters.recovered(time.Since(began))
	g.ready()
	defer g.worker.current.Store(nil)

	select {
	case <-work.Done():
		return ignoreStop(context.Cause(work))
	case <-ctx.Done():
	}
	g.worker.status.set(phaseDraining)
	shut()
	g.leave()
	stopIntake()
	g.intakes.Wait()
	g.drain(work)
	return nil
}

// spawn runs f in a goroutine; its error ends the generation.
func (g *generation) spawn(group *sync.WaitGroup, stop context.CancelCauseFunc, f func() error) {
	group.Go(func() {
		if err := f(); err != nil {
			stop(err)
		}
	})
}

// own runs one partition's processor. A corrupt partition stays down while
// the others go on.
func (g *generation) own(work context.Context, s *seat) error {
	defer close(s.ended)
	err := s.processor.Run(work)
	switch {
	case work.Err() != nil:
		return nil
	case errors.Is(err, actor.ErrCorrupt):
		g.worker.log.Error().Err(err).Int("partition", s.partition).Msg("partition is down, the others go on")
		g.worker.status.partitionDown(s.partition, err)
		return nil
	case err == nil:
		return fmt.Errorf("partition %d ended by itself", s.partition)
	}
	return fmt.Errorf("partition %d: %w", s.partition, err)
}

// opened waits until all partitions are recovered or down. It is false if the
// generation ended before.
func (g *generation) opened(ctx, work context.Context) bool {
	for _, s := range g.seats {
		select {
		case <-s.processor.Opened():
		case <-s.ended:
		case <-work.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
	return work.Err() == nil && ctx.Err() == nil
}

// openGate lets outside messages in, if a gate takes them. The first function
// it returns shuts it and waits until what it had taken is answered.
func (g *generation) openGate(ctx, intake context.Context, stop context.CancelCauseFunc) (shut func(), err error) {
	if !g.worker.cfg.embedded() {
		return func() {}, nil
	}
	gate, end := context.WithCancel(intake)
	var keeper sync.WaitGroup
	shut = func() {
		end()
		keeper.Wait()
	}
	opened := make(chan struct{})
	g.spawn(&keeper, stop, func() error { return g.app.Gather(gate, func() { close(opened) }) })
	select {
	case <-opened:
		return shut, nil
	case <-ctx.Done():
		return shut, errStopped
	case <-intake.Done():
		return shut, context.Cause(intake)
	}
}

// position is where the feed of source has to begin; false if no partition is
// up.
func (g *generation) position(source actor.Source) (uint64, bool) {
	start, found := uint64(0), false
	for _, s := range g.seats {
		if s.down() {
			continue
		}
		if p := s.processor.Position(source); !found || p < start {
			start, found = p, true
		}
	}
	return start, found
}

func (s *seat) down() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// deliver hands an input to its partition. The inputs of a partition that is
// down stay in their stream.
func (g *generation) deliver(ctx context.Context, partition int, d actor.Delivery) error {
	s := g.seats[partition]
	if s.down() {
		return nil
	}
	err := s.processor.Deliver(ctx, d)
	if err == nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-s.ended: // whether the generation goes on without it is own's to say
		return nil
	case <-ctx.Done():
		return err
	}
}

func (g *generation) ready() {
	w := g.worker
	w.current.Store(g)
	w.status.set("")
	addresses := Addresses{HTTP: w.listener.Addr().String(), NATS: g.url}
	w.log.Info().Str("http", addresses.HTTP).Str("nats", addresses.NATS).Int("partitions", len(g.seats)).Msg("ready")
	if w.cfg.OnReady != nil {
		w.cfg.OnReady(addresses)
	}
}

// drain lets the calls in flight end and what they did become durable.
func (g *generation) drain(work context.Context) {
	limited, cancel := context.WithTimeout(work, drainLimit)
	defer cancel()
	began := time.Now()
	var all sync.WaitGroup
	for _, s := range g.seats {
		if s.down() {
			continue
		}
		all.Go(func() {
			if err := s.processor.Drain(limited); err != nil {
				g.worker.log.Warn().Err(err).Int("partition", s.partition).Msg("partition not drained; the next start repeats what was in flight")
			}
		})
	}
	all.Wait()
	g.worker.log.Info().Dur("took", time.Since(began)).Msg("drained")
}

func (g *generation) stats() map[int]actor.Stats {
	out := make(map[int]actor.Stats, len(g.seats))
	for _, s := range g.seats {
		out[s.partition] = s.processor.Stats()
	}
	return out
}
