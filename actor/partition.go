package actor

import (
	"math/rand/v2"
	"time"

	"github.com/jetfn/jetfn/internal/mutant"
)

// Partition is the state machine of one partition (PROTOCOL.md): a method for
// each event, requests for the outside as the only result. It has no
// goroutine, clock, randomness or I/O of its own, so that equal events give
// equal requests. It belongs to one caller at a time.
//
// The caller calls Open once; then, again and again, it sets the time, applies
// events, and calls Settle and Perform. A Processor does so in real time, the
// simulator in virtual time.
type Partition struct {
	cfg     Config
	catalog Catalog
	rand    *rand.Rand
	now     int64 // Unix milliseconds, never falling
	shift   int64 // ahead of the clock, since an earlier owner's clock was
	out     []Request
	alarms  alarms

	phase    phase
	failure  error
	doubted  error // what is to be said if we still own the journal
	draining bool
	recovery *recovery
	openedAt int64 // when it began to run

	writer  *journalWriter
	applier *applier
	outbox  *outbox
	sinks   [2]*sink
	states  *states
	timers  *timers
	sources []*intake

	routes routes

	activations   map[Address]*activation
	pauses        map[PauseKey]*pauseState
	bars          int                // of them that bar calls now
	missing       map[TypeName]int64 // removed functions that something waits for, and until when
	edits         map[Address][]*waitingEdit
	stalled       []*activation
	fetching      map[fetchKey][]*fetch
	inEach        int // inputs in the stored message that was read again last
	completed     []*completion
	commitAt      int64 // until then they wait for the rest of the burst
	burst         burst
	firing        int // size of the fired timers among them
	resident      int // inputs queued in memory
	residentBytes int
	spilled       int // inputs queued by reference
	calls         int // in flight

	checkpointDue  bool
	checkpointAt   int64
	checkpointSize int  // of the last one, in bytes
	trimming       bool // an alarm will trim
	trimTo         uint64
	purged         uint64

	stats Stats
}

// phase is where a partition's life stands.
type phase uint8

const (
	phaseNew phase = iota
	phaseOpening
	phaseReplaying
	phaseLoadingTimers
	phaseRunning
	phaseStopped
)

// NewPartition returns a partition that waits for Open. cfg must
// have its defaults filled in and a fresh Incarnation.
func NewPartition(cfg *Config, catalog Catalog) *Partition {
	p := &Partition{
		cfg: *cfg, catalog: catalog, rand: rand.New(rand.NewPCG(cfg.Incarnation, uint64(cfg.Partition))),
		activations: map[Address]*activation{}, fetching: map[fetchKey][]*fetch{}, edits: map[Address][]*waitingEdit{}, missing: map[TypeName]int64{},
		pauses: map[PauseKey]*pauseState{},
	}
	p.writer = &journalWriter{p: p, max: cfg.MaxRecord}
	p.applier = &applier{p: p}
	p.outbox = newOutbox(p)
	p.sinks = [2]*sink{newSink(p, sinkEgress), newSink(p, sinkDeadLetters)}
	p.states = newStates(p)
	p.timers = newTimers(p)
	return p
}

// SetTime tells the partition what time it is. A clock that went back is
// ignored.
func (p *Partition) SetTime(now int64) { p.now = max(p.now, now+p.shift) }

// Now is the partition's time in Unix milliseconds: that of its clock, or of
// its journal where that is later.
func (p *Partition) Now() int64 { return p.now }

// Wake is when the partition wants Settle to be called next; ok is false if
// it only waits for events.
func (p *Partition) Wake() (at int64, ok bool) {
	if p.stopped() {
		return 0, false
	}
	at, ok = p.alarms.next()
	if due, armed := p.timers.nextDue(); armed && p.mayFire() && (!ok || due < at) {
		at, ok = due, true
	}
	if len(p.completed) > 0 && p.lingers() && p.writer.idle() && (!ok || p.commitAt < at) {
		at, ok = p.commitAt, true
	}
	return at - p.shift, ok
}

// take returns the requests made since the last take, in order.
func (p *Partition) take() []Request {
	out := p.out
	p.out = nil
	return out
}

func (p *Partition) request(r Request) { p.out = append(p.out, r) }

func (p *Partition) after(ms int64, do func()) {
	p.alarms.set(p.now+ms, func() {
		if !p.stopped() {
			do()
		}
	})
}

func (p *Partition) notice(level noticeLevel, message string, target Address, err error) {
	p.request(notice{level: level, message: message, target: target, err: err})
}

func (p *Partition) warn(message string, target Address, detail string) {
	p.request(notice{level: noticeWarn, message: message, target: target, detail: detail})
}

// noticeLetter is the one line of the log about a message that was given up,
// once that is durable.
func (p *Partition) noticeLetter(d *DeadLetter, id SinkID) {
	p.request(notice{
		level: noticeWarn, message: "message dead-lettered", target: d.Envelope.Target,
		detail: d.Reason + ": " + d.Error, letter: d, letterID: id,
	})
}

// fail stops the partition for good: it drops all it holds (J5).
func (p *Partition) fail(err error) {
	if p.phase != phaseStopped {
		p.phase, p.failure = phaseStopped, err
	}
}

func (p *Partition) stopped() bool { return p.phase == phaseStopped }

// Running reports whether the partition is recovered and takes deliveries.
func (p *Partition) Running() bool { return p.phase == phaseRunning }

// Err is why the partition has stopped for good; nil while it hasn't.
func (p *Partition) Err() error { return p.failure }

// Positions are where each source's deliveries have to go on; a source that
// is missing starts at 1.
func (p *Partition) Positions() map[Source]uint64 {
	out := make(map[Source]uint64, len(p.sources))
	for _, n := range p.sources {
		out[n.source], _ = n.breaks.seq(n.read + 1)
	}
	return out
}

// Query calls reply with the state of a after every invocation that is
// completed now, once all of these are durable. The partition must be Running:
// before, it doesn't know what the journal holds.
func (p *Partition) Query(a Address, reply func(StateView, error)) { p.states.query(a, reply) }

// Stats returns a snapshot.
func (p *Partition) Stats() Stats {
	s := p.stats
	s.Newest = p.writer.commit
	s.Unapplied, s.Timers, s.Resident = len(p.applier.queue), p.timers.armed, p.resident+len(p.routes.waiting)
	s.Spilled, s.CachedAddresses = p.spilled, len(p.states.entries)+len(p.states.resting.index)
	s.EgressPending = len(p.sinks[sinkEgress].queue) + len(p.sinks[sinkDeadLetters].queue)
	for _, n := range p.sources {
		s.Drops += n.dropsTotal
	}
	return s
}

func (p *Partition) done(effect *applying) { p.applier.done(effect) }

// intake returns the progress of a source.
func (p *Partition) intake(source Source) *intake {
	for _, n := range p.sources {
		if n.source == source {
			return n
		}
	}
	n := newIntake(source)
	if p.Running() {
		n.resume(p.now, p.cfg.DedupWindow.Milliseconds())
	}
	p.sources = append(p.sources, n)
	return n
}

// Deliver takes a stored message of a source.
func (p *Partition) Deliver(d *Delivery) {
	if !p.Running() {
		return
	}
	n := p.intake(d.Source)
	place, verdict := n.admit(d, p.now, p.cfg.DedupWindow.Milliseconds())
	if n.losses != (losses{}) {
		p.tellLost(n)
	}
	if n.fresh == 0 && d.Time >= p.openedAt {
		n.fresh = place
	}
	switch verdict {
	case skip, drop:
	case back:
		p.wentBack(n, d)
	case lost:
		p.doubt("%d open inputs of %s below %d are not in the stream any more", n.awaiting, d.Source, d.Seq)
	case take:
		p.stats.Accepted += uint64(len(d.Inputs))
		for i := range d.Inputs {
			p.accepted(&d.Inputs[i])
			p.input(InputID{d.Source, place, i}, &d.Inputs[i])
		}
	case redo:
		for _, i := range n.holes.of(place) {
			in := Input{Problem: &Problem{Reason: ReasonBadAddress, Detail: "the ingress no longer has this target"}}
			if i < len(d.Inputs) {
				in = d.Inputs[i]
			}
			p.input(InputID{d.Source, place, i}, &in)
		}
	}
}

// accepted counts an input that no owner before has counted.
func (p *Partition) accepted(in *Input) {
	if p.cfg.Observer != nil && in.Route == nil && in.Problem == nil {
		p.cfg.Observer.Accepted(in.Envelope.Target.Type)
	}
}

func (p *Partition) input(id InputID, in *Input) {
	if in.Route != nil && (in.Problem == nil || !mutant.On("route-problem-first")) {
		p.route(id, in)
		return
	}
	if in.Problem != nil {
		p.giveUp(id, &in.Envelope, &DeadLetter{Reason: in.Problem.Reason, Error: in.Problem.Detail})
		return
	}
	p.enqueue(id, &in.Envelope)
}

// Room reports whether the partition wants more deliveries of source.
func (p *Partition) Room(source Source) bool {
	return p.spilled < p.cfg.SpilledInputs && len(p.completed) < p.cfg.MaxUnapplied && p.routes.room(source)
}

// Settle does what the events since the last call, and the time, have made
// possible. It is called after every event or after several.
func (p *Partition) Settle() {
	p.alarms.goOff(p.now)
	if p.stopped() {
		return
	}
	if p.Running() {
		p.fireTimers()
		p.sendOn()
		p.states.relieve()
		p.unstall()
	}
	if p.writer.idle() && p.Running() {
		switch {
		case p.wantsCheckpoint():
			p.writeCheckpoint()
		case len(p.completed) > 0 && !p.lingers():
			p.assemble()
		}
	}
	if p.stopped() || p.phase < phaseRunning {
		return
	}
	p.outbox.pump()
	for _, s := range p.sinks {
		s.pump()
	}
}

// Drain stops taking input and hurries everything under way into its place.
func (p *Partition) Drain() {
	p.draining = true
	p.states.hurry()
}

// quiet reports whether everything done is in place.
func (p *Partition) quiet() bool {
	return p.Running() && p.calls == 0 && len(p.completed) == 0 && p.writer.idle() && len(p.applier.queue) == 0
}

// Drained reports whether everything done is in place and checkpointed.
func (p *Partition) Drained() bool { return p.stopped() || p.quiet() && !p.checkpointDue }

// Config of a partition. Zero fields mean the defaults.
type Config struct {
	Partition  int
	Partitions int
	// Incarnation is a random number of this owner's own, never used before.
	// The default is a random one.
	Incarnation uint64
	// Observer is told what becomes of messages. The default is nobody.
	Observer Observer
	// LetterID is how a dead letter is named in the log. By default it isn't.
	LetterID func(SinkID) string
	// TrimDelay postpones the removal of journal records and inputs after
	// they are covered by a checkpoint. The default is none.
	TrimDelay time.Duration
	// DedupWindow is how long inputs under an outside Nats-Msg-Id stay in
	// their stream. The default is 2 minutes.
	DedupWindow time.Duration
	// EgressLimited says that the egress stream may refuse messages, so that
	// each address has one unacknowledged message there.
	EgressLimited bool
	// FlushInterval, in milliseconds, is how long state changes and timers
	// gather before they are written. The default is 500.
	FlushInterval int64
	// FlushMost is how long state changes gather, in milliseconds, while
	// addresses change again within it, but seldom within FlushInterval. The
	// default is 5,000.
	FlushMost int64
	// CheckpointInterval is the least time between checkpoints, in
	// milliseconds. The default is 1,000.
	CheckpointInterval int64
	// MaxRecord is the largest journal record in bytes. The default, which
	// comes from the journal in a Processor, is 1 MiB.
	MaxRecord int
	// MaxPack is the size in bytes up to which one commit takes further
	// invocations. The default is half of MaxRecord, at most 1 MiB.
	MaxPack int
	// MaxMessage is the largest message sent or emitted, in bytes. The default
	// is MaxRecord.
	MaxMessage int
	// MaxEffects caps the messages of one call, in bytes. The default is
	// 64 MiB.
	MaxEffects int
	// MaxSends caps the messages of one call, those to functions, delayed ones
	// and those to egresses together. The default is 250,000.
	MaxSends int
	// MaxState is the largest state of an address, in bytes. The default,
	// which comes from the store in a Processor, is 512 KiB; the store's limit
	// holds, too.
	MaxState int
	// MaxUnapplied is how many commits may wait for their effects to be in
	// place before no further call is made. The default is 1,024.
	MaxUnapplied int
	// MaxUnappliedBytes bounds the memory of what these commits send, to
	// functions, egresses and dead letters, in the same way. The default is
	// 128 MiB by the number of partitions, 512 KiB at least.
	MaxUnappliedBytes int
	// ResidentInputs and ResidentBytes bound the queued inputs in memory; what
	// exceeds them is read again later. The defaults are 4,096 and 4 MiB.
	ResidentInputs int
	ResidentBytes  int
	// SpilledInputs bounds the queued inputs of which only the position is
	// known. The default is 1,000,000; beyond it Deliver waits.
	SpilledInputs int
	// CachedStates is how many idle addresses keep their state in memory. The
	// default is 16,384.
	CachedStates int
	// CachedBytes bounds the memory that these states take. The default is a
	// share of 128 MiB, 512 KiB at least.
	CachedBytes int
	// SinkWindow is how many egress messages may be on their way at once. The
	// default is 1,024, as many as go in one batch.
	SinkWindow int
	// MarkerLife is after what time the streams of egress and dead letters
	// remove a message; zero: never. Markers there are written again before.
	MarkerLife time.Duration
}

// WithDefaults returns cfg with its zero fields filled in.
func (cfg Config) WithDefaults() Config {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	def(&cfg.Partitions, 1)
	def(&cfg.MaxRecord, 1<<20)
	def(&cfg.MaxPack, min(cfg.MaxRecord/2, 1<<20))
	def(&cfg.MaxMessage, cfg.MaxRecord)
	def(&cfg.MaxEffects, 64<<20)
	def(&cfg.MaxSends, 250_000)
	def(&cfg.MaxState, 512<<10)
	def(&cfg.MaxUnapplied, 1024)
	def(&cfg.MaxUnappliedBytes, max(128<<20/cfg.Partitions, 512<<10))
	def(&cfg.ResidentInputs, 4096)
	def(&cfg.ResidentBytes, 4<<20)
	def(&cfg.SpilledInputs, 1_000_000)
	def(&cfg.CachedStates, 16_384)
	def(&cfg.CachedBytes, max(128<<20/cfg.Partitions, 512<<10))
	def(&cfg.SinkWindow, 1024)
	if cfg.Incarnation == 0 {
		cfg.Incarnation = rand.Uint64()
	}
	if cfg.DedupWindow == 0 {
		cfg.DedupWindow = 2 * time.Minute
	}
	if cfg.FlushInterval == 0 {
		cfg.FlushInterval = 500
	}
	if cfg.FlushMost == 0 {
		cfg.FlushMost = 5000
	}
	if cfg.CheckpointInterval == 0 {
		cfg.CheckpointInterval = 1000
	}
	return cfg
}
