package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// Fault is a kind of fault that a world can have.
type Fault string

// The faults.
const (
	Crash         Fault = "crash"          // an owner is gone in one moment
	CrashAtStep   Fault = "crash-at-step"  // the same, in the middle of what it does
	Freeze        Fault = "freeze"         // an owner stands still and goes on later
	Supersede     Fault = "supersede"      // one more owner opens the partition
	ClockOffset   Fault = "clock-offset"   // clocks of owners differ
	ClockJump     Fault = "clock-jump"     // an owner's clock jumps
	Drain         Fault = "drain"          // a partition is handed over in order
	Lost          Fault = "lost"           // a packet never arrives
	AckLate       Fault = "ack-late"       // it or its answer comes late, but in time
	AckLost       Fault = "ack-lost"       // it is stored, its answer is lost
	Late          Fault = "late"           // it is stored long after it was given up
	Duplicate     Fault = "duplicate"      // the network repeats it
	Reorder       Fault = "reorder"        // packets of one connection overtake each other
	Break         Fault = "break"          // a connection breaks with what is on it
	DeadPacket    Fault = "dead-packet"    // a dead owner's packet arrives
	Full          Fault = "full"           // a stream refuses for a while
	Busy          Fault = "busy"           // 10164: another append is on its way
	ReadError     Fault = "read-error"     // a read fails
	Foreign       Fault = "foreign-write"  // somebody else has written to the state bucket
	Ask           Fault = "query"          // somebody asks for a state
	SlowRead      Fault = "slow-read"      // a read takes long, others overtake it
	StaleRead     Fault = "stale-read"     // a read is answered by a deposed leader
	Redeliver     Fault = "redeliver"      // the consumer starts again further back
	LateTrim      Fault = "late-trim"      // a purge or trim lands late
	CallFails     Fault = "call-fails"     // an answered failure
	CallUnreached Fault = "call-unreached" // the function surely did not run
	CallHangs     Fault = "call-hangs"     // until its time-out
	CallOutlives  Fault = "call-outlives"  // it answers when its owner is gone
	Parts         Fault = "parts"          // a commit takes several records
	Spill         Fault = "spill"          // inputs are read again later
	MarkEvicted   Fault = "mark-evicted"   // limits remove a sink's marker
	TornPipeline  Fault = "torn-pipeline"  // a crash between two publishes of one commit
	PassedWindow  Fault = "passed-window"  // a deduplication window is over
	Split         Fault = "split"          // a batch fails and is split
	Entries       Fault = "entries"        // a call asks for entries of tables
	EditState     Fault = "edit"           // an operator changes a state
	Pause         Fault = "pause"          // an operator pauses function types
	CancelTimer   Fault = "cancel-timer"   // an operator cancels a delayed message
	FailurePause  Fault = "failure-pause"  // a failure pauses an address, or a function type
	Sweep         Fault = "sweep"          // what has expired is looked for and removed
	Batch         Fault = "batch"          // writes go together, all or none
	BatchRefused  Fault = "batch-refused"  // because of one of them
	BatchCut      Fault = "batch-cut"      // writes go together one by one, and end before one of them
	ReplayMoved   Fault = "replay-moved"   // a former owner's write lands during a replay
	Reload        Fault = "reload"         // an operator changes the functions there are
	Cron          Fault = "cron"           // a schedule is added, changed or removed
	LostTail      Fault = "lost-tail"      // the power fails, and a stream has lost its end
	Removed       Fault = "removed"        // the owner of a foreign stream removes records, read or not
)

// Faults lists all kinds.
func Faults() []Fault {
	return []Fault{
		Crash, CrashAtStep, Freeze, Supersede, ClockOffset, ClockJump, Drain, Lost, AckLate, AckLost, Late, Duplicate, Reorder,
		Break, DeadPacket, Full, Busy, ReadError, Foreign, Ask, SlowRead, StaleRead, Redeliver, LateTrim, CallFails, CallUnreached, CallHangs,
		CallOutlives, Parts, Spill, MarkEvicted, TornPipeline, PassedWindow, Split, Entries, Batch, BatchRefused, BatchCut, ReplayMoved, EditState, Pause, FailurePause, Sweep,
		Removed, Reload, CancelTimer, Cron, LostTail,
	}
}

// Plan is what a seed decides before anything happens.
type Plan struct {
	Seed  uint64
	Knobs Knobs
	Items []Item
}

// Knobs are a world's rates and sizes. Rates are in per mille.
type Knobs struct {
	Partitions, Addresses                 int
	Messages                              int   // from outside
	Window                                int64 // in which they come, in milliseconds
	Active                                int64 // milliseconds until everything heals
	Delay, LongDelay                      int64 // of a packet, in milliseconds
	Timeout                               int64 // of a port
	LongDelays, Lose, LoseAck, Delaying   int
	Repeat, Breaks, ReadErrors, StaleRead int
	LateTrims, LateAck, SlowReads         int
	SlowScans, Foreign                    int
	Reorder, Replicated, Limited          bool
	SlowAppend                            int64
	Fail, Unreach, Hang                   int
	CallTime                              int64
	Offset                                int64
	MaxBatch, Attempts, Calls             int
	Budget                                time.Duration
	Then                                  actor.Then
	Ops                                   []string // that messages from outside ask for
	Config                                actor.Config
	Gather                                gather.Limits // zero: writes are not gathered
	Fast                                  bool          // batches for sinks are stored one by one
	Cut                                   int           // of a thousand of these get lost from somewhere on
	Hosts                                 int           // processes whose owners gather
}

// Item is something planned: a message from outside, or a fault.
type Item struct {
	At    int64 // milliseconds from the start
	Fault Fault // empty: a message
	// Part is where a fault strikes; Step and Count are the place of a
	// CrashAtStep or Freeze at a step; For is how long it lasts.
	Part  int
	Step  string
	Count int
	For   int64
	Then  *Item // what strikes the owner that a Supersede brings
	// Ops are a message's inputs, for To.
	Ops     []op
	To      int
	Ingress bool
	Dedup   bool
	Delay   int64            // of a message from outside, in milliseconds
	Foreign []actor.TypeName // set: a record of a foreign stream, for these
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// MakePlan derives a plan from a seed.
func MakePlan(seed uint64) *Plan {
	r := rand.New(rand.NewPCG(seed, 0x6a657466))
	p := &Plan{Seed: seed, Knobs: makeKnobs(r)}
	p.Knobs.Config.CachedBytes = [...]int{0, 150, 400}[seed/2%3]
	k := &p.Knobs
	switch r.IntN(8) {
	case 0, 1, 2:
		p.race(r)
	case 3:
		p.slowTakeover(r)
	case 4:
		p.timerRace(r)
	default:
		for range r.IntN(9) {
			p.Items = append(p.Items, makeFault(r, k))
		}
	}
	if r.IntN(3) == 0 {
		p.gather(r)
	}
	p.fast(rand.New(rand.NewPCG(seed, 0x66617374)))
	for range k.Messages {
		p.Items = append(p.Items, makeMessage(r, k, min(k.Window, k.Active)))
	}
	p.operate()
	p.reload()
	p.cancelTimers()
	p.misfortune()
	p.sweeps()
	p.route(rand.New(rand.NewPCG(seed, 0x726f757465)))
	p.cronSchedule()
	p.markerLife(rand.New(rand.NewPCG(seed, 0x6d61726b)))
	p.loseTails(rand.New(rand.NewPCG(seed, 0x7461696c)))
	k.Config.FlushMost = pick[int64](r, 1, 300, 2000)
	slices.SortStableFunc(p.Items, func(a, b Item) int { return int(a.At - b.At) })
	return p
}

// markerLife has sinks write their markers again from time to time, in some
// worlds.
func (p *Plan) markerLife(r *rand.Rand) {
	if r.IntN(3) == 0 {
		p.Knobs.Config.MarkerLife = pick(r, 40*time.Millisecond, 400*time.Millisecond, 4*time.Second)
	}
}

// route delays some of the messages, and lets others come from a foreign
// stream. It has a random source of its own: worlds without stay as they are.
func (p *Plan) route(r *rand.Rand) {
	if r.IntN(2) == 0 {
		return
	}
	k := &p.Knobs
	for i := range p.Items {
		it := &p.Items[i]
		switch {
		case it.Fault != "":
		case r.IntN(5) == 0:
			it.Delay = r.Int64N(pick[int64](r, 20, 300, 3000))
		case r.IntN(4) == 0:
			it.Ops, it.Ingress, it.Dedup = it.Ops[:1], false, false
			main, twin, unknown := typed(typeMain, 0).Type, typed(typeTwin, 0).Type, typed(typeUnknown, 0).Type
			it.Foreign = pick(r, []actor.TypeName{main}, []actor.TypeName{main, twin}, []actor.TypeName{twin, unknown})
		}
	}
	for range r.IntN(3) {
		p.Items = append(p.Items, Item{At: r.Int64N(k.Active), Fault: Removed})
	}
}

// race is a world in which an owner is superseded while a commit of its own is
// stored and it doesn't know.
func (p *Plan) race(r *rand.Rand) {
	k := &p.Knobs
	k.Delay, k.SlowAppend, k.LongDelays, k.Lose, k.Delaying, k.Breaks, k.ReadErrors, k.StaleRead = 2, 0, 0, 0, 0, 0, 0, 0
	k.Timeout, k.LoseAck, k.LateAck, k.CallTime = pick[int64](r, 400, 1000, 2500), pick(r, 0, 60), pick(r, 60, 200), 3
	k.Config.FlushInterval, k.Config.MaxPack = pick[int64](r, 1, 20, 150), pick(r, 1, 800)
	k.SlowScans, k.LongDelay = pick(r, 0, 400), 3000
	early, evicted := pick(r, 150, k.Active/2), 1
	switch r.IntN(4) {
	case 2: // scans overtake each other
		k.Ops, k.Fail, k.Unreach, k.Hang = []string{"count", "emit", "fan"}, 0, 0, 0
		k.SlowScans, k.Timeout, k.LoseAck, k.LateAck, k.Window = 600, 300, 150, 200, 1500
	case 0: // little happens, so that nothing else tells the old owner
		k.Ops, k.LoseAck, k.LateAck, k.Active = []string{"count", "emit", "put"}, 100, 300, 2500
		k.Fail, k.Unreach, k.Hang = 0, 0, 0
		k.Messages, k.Window, early, k.Addresses = 4+r.IntN(8), 1500, 1000, 1+r.IntN(3)
		k.Config.MaxRecord, k.Timeout = 10_000, pick[int64](r, 400, 1000)
	case 1: // many egress messages wait
		k.Timeout, evicted = 400, 2
		k.Ops = []string{"count", "emit", "emit", "fan"}
		k.MaxBatch, k.Config.SinkWindow, k.Fail, k.Unreach, k.Hang = pick(r, 5, 20), pick(r, 1, 64), 0, 0, 0
		k.Limited, k.Calls, k.Config.MaxRecord, k.Partitions = true, 8, 10_000, 1
		k.Config.EgressLimited, k.Config.Partitions, early = true, 1, 100
	}
	for range 2 + r.IntN(4) {
		it := makeFault(r, k)
		it.At, it.Fault, it.Step, it.Count = r.Int64N(early), Supersede, "append-unseen", 1+r.IntN(2)
		if r.IntN(3) < evicted {
			it.Then = &Item{Fault: MarkEvicted, Step: "sink-stored", Count: 1 + r.IntN(5)}
		}
		p.Items = append(p.Items, it)
	}
}

// slowTakeover is a world in which a new owner stops while it replays, and
// others take over and clean up meanwhile.
func (p *Plan) slowTakeover(r *rand.Rand) {
	k := &p.Knobs
	k.Active = 15_000
	k.Config.CheckpointInterval, k.Config.FlushInterval = 20, 150
	for range 1 + r.IntN(3) {
		it := makeFault(r, k)
		it.At, it.Fault, it.Step = r.Int64N(5000), Supersede, ""
		it.Then = &Item{Fault: Freeze, Step: "replay", Count: 1 + r.IntN(8), For: 5100 + r.Int64N(4000)}
		p.Items = append(p.Items, it)
	}
	for range r.IntN(3) {
		p.Items = append(p.Items, makeFault(r, k))
	}
}

// timerRace is a world whose owners fall while they write timers.
func (p *Plan) timerRace(r *rand.Rand) {
	k := &p.Knobs
	k.Ops = []string{"set", "set", "cancel", "delay", "race"}
	k.Config.FlushInterval, k.Config.CheckpointInterval, k.Unreach = 1, 20, 0
	for range 2 + r.IntN(4) {
		it := makeFault(r, k)
		it.Fault, it.Step = pick(r, CrashAtStep, Freeze), pick(r, "timer-delete", "timer-delete", "timer-put", "appended")
		it.Count = 1 + r.IntN(3)
		p.Items = append(p.Items, it)
	}
}

// gather has what the owners in one process write go in batches. In half of
// these worlds much of it is egress, of several partitions, and some lose
// their markers.
func (p *Plan) gather(r *rand.Rand) {
	k := &p.Knobs
	k.Gather = gather.Limits{
		Singles: pick(r, 1, 2, 8), Least: pick(r, 2, 2, 3, 6), Most: pick(r, 2, 4, 50), Bytes: pick(r, 3, 100),
		Rest: pick(r, 0, 1, 2), RestMost: 100 * time.Millisecond,
	}
	k.Hosts = 1 + r.IntN(2)
	if r.IntN(2) == 0 {
		return
	}
	k.Ops, k.Messages, k.Window, k.Calls, k.MaxBatch = []string{"emit", "emit", "fan", "count"}, 20+r.IntN(30), pick[int64](r, 200, 1000), 8, 20
	k.Config.SinkWindow, k.Config.MaxPack, k.Config.MaxRecord = 64, pick(r, 300, 6000), 10_000
	k.Delay, k.Timeout, k.CallTime, k.Fail, k.Unreach, k.Hang = pick[int64](r, 5, 20, 60), pick[int64](r, 200, 1000), 3, 0, 0, 0
	for range 2 + r.IntN(6) {
		it := makeFault(r, k)
		it.At, it.Fault, it.Step = r.Int64N(k.Window+300), pick(r, MarkEvicted, MarkEvicted, Supersede), ""
		p.Items = append(p.Items, it)
	}
	if r.IntN(2) == 0 { // refused batches whose refusal isn't heard
		k.LoseAck, k.Timeout, k.Breaks, k.Delay, k.Lose = 300, 200, 0, 20, 0
		k.Gather.Singles, k.Gather.Least, k.Gather.Most, k.Gather.Bytes = 1, 2, 4, 100
		k.Hosts, k.Addresses, k.Limited, k.Config.EgressLimited, k.Messages, k.Window = 1, 3, false, false, 60, 200
		for range 6 {
			it := makeFault(r, k)
			it.At, it.Fault, it.Step = r.Int64N(k.Window+1500), MarkEvicted, ""
			p.Items = append(p.Items, it)
		}
	}
}

// fast has the batches for sinks stored one by one, in half of the worlds with
// batches. It has a random source of its own, as route has.
func (p *Plan) fast(r *rand.Rand) {
	if p.Knobs.Hosts > 0 && r.IntN(2) == 0 {
		p.Knobs.Fast, p.Knobs.Cut = true, pick(r, 0, 20, 200)
	}
}

func makeKnobs(r *rand.Rand) Knobs {
	k := Knobs{
		Partitions: pick(r, 1, 2, 2, 2, 3), Addresses: 2 + r.IntN(5),
		Active: pick[int64](r, 800, 2500, 8000, 15_000), Delay: pick[int64](r, 2, 5, 20), LongDelay: pick[int64](r, 300, 1500, 7000),
		Timeout: pick[int64](r, 60, 200, 1000, 2500), LongDelays: pick(r, 0, 5, 20, 60), Lose: pick(r, 0, 10, 30, 60),
		LoseAck: pick(r, 0, 10, 30, 60), Delaying: pick(r, 0, 10, 30, 60), Repeat: pick(r, 0, 0, 10, 40), Breaks: pick(r, 0, 0, 10, 30),
		ReadErrors: pick(r, 0, 0, 20, 60), LateTrims: pick(r, 0, 100, 500), LateAck: pick(r, 0, 20, 80), SlowReads: pick(r, 0, 0, 30, 100), SlowScans: pick(r, 0, 0, 100), Foreign: pick(r, 0, 0, 60), Reorder: r.IntN(3) == 0, Replicated: r.IntN(3) == 0,
		Limited: r.IntN(3) == 0, SlowAppend: pick[int64](r, 0, 5, 15, 40), Fail: pick(r, 0, 20, 60, 150), Unreach: pick(r, 0, 0, 30, 60),
		Hang: pick(r, 0, 0, 10, 20), CallTime: pick[int64](r, 3, 15, 60), Offset: pick[int64](r, 0, 0, 50, 2000),
		MaxBatch: pick(r, 1, 2, 3, 5, 20), Attempts: pick(r, 2, 5, 1000), Calls: pick(r, 1, 3, 8), Budget: pick(r, 300*time.Millisecond, 1200*time.Millisecond),
	}
	if r.IntN(6) == 0 {
		k.StaleRead = 150
	}
	k.Messages, k.Window = 8+r.IntN(25), pick(r, 150, k.Active/2, k.Active)
	k.Ops = allOps()
	if r.IntN(2) == 0 { // more of less
		k.Ops = []string{pick(r, k.Ops...), pick(r, k.Ops...), pick(r, k.Ops...), pick(r, "count", "emit", "put", "clear")}
	}
	k.Config = actor.Config{
		Partitions: k.Partitions, MaxRecord: pick(r, 330, 500, 800, 10_000, 10_000), MaxPack: pick(r, 300, 800, 6000), MaxMessage: 4000, MaxEffects: 20_000,
		FlushInterval: pick[int64](r, 1, 20, 150), CheckpointInterval: pick[int64](r, 20, 60, 400), ResidentInputs: pick(r, 1, 4, 8, 1000),
		CachedStates: pick(r, 1, 2, 1000), MaxUnapplied: pick(r, 2, 16, 1000), SinkWindow: pick(r, 1, 4, 64), EgressLimited: k.Limited,
		MaxUnappliedBytes: pick(r, 1, 2000, 1<<20, 1<<20),
		DedupWindow:       pick(r, time.Millisecond, 500*time.Millisecond, 3*time.Second), TrimDelay: 0,
	}
	return k
}

func makeMessage(r *rand.Rand, k *Knobs, window int64) Item {
	it := Item{At: r.Int64N(window), To: r.IntN(k.Addresses), Ingress: r.IntN(4) == 0, Dedup: r.IntN(3) == 0}
	n := 1
	if it.Ingress {
		n += r.IntN(3)
	}
	for range n {
		it.Ops = append(it.Ops, makeOp(r, k, 1+r.IntN(5)))
	}
	return it
}

// steps are where an owner can be struck in the middle of what it does.
func steps() []string {
	return []string{
		"append", "appended", "publish", "sink-publish", "sink-stored", "mark", "marked", "state-write", "state-written",
		"timer-put", "timer-delete", "reply", "call", "purge", "trim", "load", "scan", "replay",
	}
}

func makeFault(r *rand.Rand, k *Knobs) Item {
	it := Item{At: r.Int64N(k.Active), Part: r.IntN(k.Partitions), For: pick[int64](r, 30, 300, 2000, 8000)}
	it.For = 1 + r.Int64N(it.For)
	it.Fault = pick(r, Crash, CrashAtStep, CrashAtStep, Freeze, Freeze, Supersede, Supersede, Supersede, ClockJump, Drain, Full, Redeliver, MarkEvicted, Ask, Ask)
	if it.Fault == CrashAtStep || it.Fault == Freeze && r.IntN(2) == 0 {
		it.Step, it.Count = pick(r, steps()...), 1+r.IntN(4)
	}
	if it.Fault == Supersede {
		// The old owner often has a commit on its way that it doesn't know to
		// be stored, and the new one often stops in the middle of its start.
		if r.IntN(2) == 0 {
			it.Step, it.Count = pick(r, "append-unseen", "append-unseen", "appended", "sink-publish", "state-write"), 1+r.IntN(3)
		}
		if r.IntN(3) == 0 {
			it.Then = &Item{Fault: pick(r, Freeze, Freeze, CrashAtStep), Step: pick(r, "replay", "replay", "append", "appended", "load", "scan", "mark", "marked", "sink-publish", "publish", "state-write"), Count: 1 + r.IntN(3), For: 1 + r.Int64N(9000)}
		}
	}
	return it
}
