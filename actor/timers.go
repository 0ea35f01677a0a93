package actor

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/jetfn/jetfn/internal/mutant"
)

// timerPause is the pause before a write of the timer store is repeated, in
// milliseconds.
const timerPause = 1000

// timerWindow is how many writes of the timer store a partition has on their
// way at once. All partitions of a worker share its connection: with many more,
// a busy server would not answer within the time that a write is given, and
// they would all be made again.
const timerWindow = 64

// timers are the delayed messages that addresses of this partition have set
// (PROTOCOL T1–T5).
type timers struct {
	p      *Partition
	used   bool // the store may hold timers of this partition
	byID   map[TimerID]*timer
	tokens map[timerToken]*timer
	due    dueList // those that are armed, unless replaying
	queue  []timerWrite
	// writing is how many writes of the store are on their way.
	writing int

	replaying bool
	loading   []*timer              // what has been read from the store so far
	run       int                   // of loads: a failed one is begun again
	scratch   []byte                // of pack
	gone      map[TimerID]*applying // replayed removals of timers that the store may hold
	removing  map[TimerID]*applying // removals under way
	armed     int
}

// timerToken is a cancellation token in its scope: the id of the sender.
type timerToken struct{ id, token string }

// timer is a Timer in memory. There may be a million: once it is armed, its
// message is kept as bytes of its own, which is one object in place of ten and
// holds nothing else in memory.
type timer struct {
	id      TimerID
	dueAt   int64
	token   timerToken // zero: can't be cancelled by its sender
	message *Envelope  // until it is armed
	packed  []byte     // the message, from then on

	state  timerState
	stored timerStored
	effect *applying // of the commit that set it, while its put is awaited
}

// timerWrite is a write of the timer store that waits for its turn.
type timerWrite struct {
	put    *timer  // nil: a removal
	remove TimerID // unless put
}

type timerState uint8

const (
	timerProposed  timerState = iota // in an invocation that isn't in a commit yet
	timerCommitted                   // in a commit that may not be durable yet
	timerArmed
	timerGone // fired or cancelled
)

type timerStored uint8

const (
	storedNo timerStored = iota
	storedMaybe
	storedWriting
	storedYes
)

func newTimers(p *Partition) *timers {
	return &timers{
		p: p, byID: map[TimerID]*timer{}, tokens: map[timerToken]*timer{},
		gone: map[TimerID]*applying{}, removing: map[TimerID]*applying{}, replaying: true,
	}
}

// newTimer takes t over.
func newTimer(t *Timer) *timer {
	tm := &timer{id: t.ID, dueAt: t.DueAt, message: &t.Envelope}
	if t.Token != "" {
		tm.token = timerToken{t.Envelope.Caller.ID, t.Token}
	}
	return tm
}

// pack makes the message bytes.
func (t *timers) pack(tm *timer) {
	if tm.message != nil {
		t.scratch = AppendEnvelope(t.scratch[:0], tm.message)
		tm.packed, tm.message = bytes.Clone(t.scratch), nil
	}
}

// envelope is the message.
func (tm *timer) envelope() Envelope {
	if tm.message != nil {
		return *tm.message
	}
	e, err := ParseEnvelope(tm.packed)
	if err != nil {
		panic(fmt.Sprintf("actor: a timer's own bytes: %v", err))
	}
	return e
}

// timer is tm as others see it.
func (tm *timer) timer() Timer {
	return Timer{ID: tm.id, DueAt: tm.dueAt, Token: tm.token.token, Envelope: tm.envelope()}
}

// pending returns the timer that token names in the scope of id.
func (t *timers) pending(id, token string) *timer { return t.tokens[timerToken{id, token}] }

// propose adds a timer that an invocation set. Its token must be free.
func (t *timers) propose(tm *timer) {
	if tm.token != (timerToken{}) {
		t.tokens[tm.token] = tm
	}
}

// forget makes tm gone for all that is decided from now on.
func (t *timers) forget(tm *timer) {
	if tm.state == timerArmed {
		t.armed--
		if !t.replaying {
			t.due.remove(tm)
		}
	}
	tm.state = timerGone
	if t.tokens[tm.token] == tm {
		delete(t.tokens, tm.token)
	}
}

// assembled gives tm its id.
func (t *timers) assembled(tm *timer, id TimerID) {
	tm.id = id
	t.byID[id] = tm
	if tm.state == timerProposed {
		tm.state = timerCommitted
	}
}

// commit applies a durable commit's timers: those it set, then those it
// removed.
func (t *timers) commit(c *commit, effect *applying, recovered bool) {
	set := make([]*timer, len(c.timersSet))
	for i := range c.timersSet {
		set[i] = t.set(&c.timersSet[i], effect, recovered)
	}
	if len(set) > 0 {
		t.p.after(t.p.cfg.FlushInterval, func() {
			for _, tm := range set {
				t.write(timerWrite{put: tm})
			}
		})
	}
	for _, g := range c.timersGone {
		t.remove(g.id, effect)
	}
}

func (t *timers) set(set *Timer, effect *applying, recovered bool) *timer {
	t.used = true
	tm := t.byID[set.ID]
	if tm == nil {
		tm = newTimer(set)
		t.byID[set.ID] = tm
		t.propose(tm)
	}
	if recovered {
		tm.stored = storedMaybe
	}
	effect.left++
	tm.effect = effect
	if tm.state != timerGone {
		t.arm(tm)
	}
	if mutant.On("timer-not-awaited") {
		t.p.done(effect)
		tm.effect, tm.stored = nil, storedYes
	}
	return tm
}

func (t *timers) arm(tm *timer) {
	tm.state = timerArmed
	t.armed++
	t.pack(tm)
	if !t.replaying {
		t.due.add(tm)
	}
}

// write makes a write of the store when its turn comes.
func (t *timers) write(w timerWrite) {
	t.queue = append(t.queue, w)
	t.pump()
}

// pump makes the writes whose turn has come.
func (t *timers) pump() {
	for t.writing < timerWindow && len(t.queue) > 0 {
		w := t.queue[0]
		t.queue[0] = timerWrite{}
		t.queue = t.queue[1:]
		switch {
		case w.put == nil:
			t.writing++
			t.p.request(deleteTimer{w.remove})
		case w.put.effect != nil && w.put.stored != storedWriting: // otherwise it needs none any more
			t.writing++
			w.put.stored = storedWriting
			t.p.request(putTimer{w.put.timer()})
		}
	}
	if len(t.queue) == 0 {
		t.queue = nil
	}
}

// putDone takes the outcome of a put.
func (t *timers) putDone(id TimerID, res WriteResult) {
	t.writing--
	defer t.pump()
	tm := t.byID[id]
	if tm == nil {
		return
	}
	_, removed := t.removing[id]
	switch {
	case res.Outcome == Stored || removed: // once removed it is never put again
		tm.stored = storedYes
		t.p.done(tm.effect)
		tm.effect = nil
	default:
		tm.stored = storedMaybe
		t.p.after(timerPause, func() { t.write(timerWrite{put: tm}) })
		return
	}
	if removed {
		t.erase(id)
	}
}

// remove applies the durable removal of a timer.
func (t *timers) remove(id TimerID, effect *applying) {
	tm := t.byID[id]
	if tm == nil && !t.replaying {
		t.p.breach("timer %v is removed but was never set", id)
		return
	}
	if t.replaying {
		t.gone[id] = effect
	}
	if tm == nil { // set before the checkpoint: the store has it, or had
		effect.left++
		t.removing[id] = effect
		t.erase(id)
		return
	}
	t.forget(tm)
	if tm.stored == storedNo {
		delete(t.byID, id)
		t.p.done(tm.effect)
		tm.effect = nil
		return
	}
	effect.left++
	t.removing[id] = effect
	if tm.stored == storedWriting {
		return // putDone goes on
	}
	if tm.effect != nil {
		t.p.done(tm.effect)
		tm.effect = nil
	}
	t.erase(id)
}

func (t *timers) erase(id TimerID) { t.write(timerWrite{remove: id}) }

// deleted takes the outcome of a removal.
func (t *timers) deleted(id TimerID, res WriteResult) {
	t.writing--
	defer t.pump()
	effect := t.removing[id]
	if effect == nil {
		return
	}
	if res.Outcome != Stored {
		t.p.after(timerPause, func() { t.erase(id) })
		return
	}
	delete(t.removing, id)
	delete(t.byID, id)
	t.p.done(effect)
}

// load reads the store from its start.
func (t *timers) load() {
	t.run++
	t.loading = nil
	t.p.request(loadTimers{t.run})
}

// read takes some of the timers that the store holds.
func (t *timers) read(run int, stored []Timer) {
	if t.p.phase != phaseLoadingTimers || run != t.run {
		return
	}
	for i := range stored {
		tm := newTimer(&stored[i])
		tm.stored = storedYes
		t.pack(tm)
		t.loading = append(t.loading, tm)
	}
}

// resume ends replay with the timers that the store holds: the journal's tail
// goes over them.
func (t *timers) resume() {
	t.replaying = false
	stored := t.loading
	t.loading = nil
	for _, tm := range stored {
		if t.gone[tm.id] != nil && !mutant.On("timers-without-tail") || t.byID[tm.id] != nil {
			continue
		}
		t.byID[tm.id] = tm
		t.propose(tm)
		t.armed++
		tm.state = timerArmed
	}
	t.gone = nil
	due := make([]*timer, 0, t.armed)
	for _, tm := range t.byID {
		if tm.state == timerArmed {
			due = append(due, tm)
		}
	}
	t.due = newDueList(due)
}

// nextDue is when the next timer fires; ok is false if none is armed.
func (t *timers) nextDue() (at int64, ok bool) {
	tm := t.due.first()
	if tm == nil {
		return 0, false
	}
	return tm.dueAt, true
}

// fire takes the next timer that is due; nil if there is none. The caller
// puts its removal into a commit.
func (t *timers) fire(now int64) *timer {
	tm := t.due.first()
	if tm == nil || tm.dueAt > now {
		return nil
	}
	t.forget(tm)
	return tm
}

// TimerPlace is a place in the order in which a partition's timers fire: by
// due time, equal times by id.
type TimerPlace struct {
	DueAt int64 // Unix milliseconds
	ID    TimerID
}

// place is where tm stands.
func (tm *timer) place() TimerPlace { return TimerPlace{tm.dueAt, tm.id} }

// Compare is negative if p is before o, positive if it is behind.
func (p TimerPlace) Compare(o TimerPlace) int {
	return cmp.Or(cmp.Compare(p.DueAt, o.DueAt), cmp.Compare(p.ID.Epoch, o.ID.Epoch),
		cmp.Compare(p.ID.Commit, o.ID.Commit), cmp.Compare(p.ID.Index, o.ID.Index))
}
