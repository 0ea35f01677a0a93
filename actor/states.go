package actor

import (
	"errors"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// statePause is the first pause before a read or write of the state store is
// repeated, in milliseconds; it doubles up to statePauseMax.
const (
	statePause    = 100
	statePauseMax = 5000
	lostPause     = 30_000
)

// states caches the state of addresses and brings the state of durable
// commits into the store (PROTOCOL K1–K6).
type states struct {
	p       *Partition
	entries map[StateKey]*entry // in use, or with changes that aren't stored
	resting *resting            // all others that are in memory
	// merging is how many of the last changes, in parts of mergingAll, would
	// have shared a record with the one before if that had waited longer.
	merging int64
	crowded bool // much is unapplied: nothing waits longer than it must
}

// mergingAll stands for all changes.
const mergingAll = 1 << 20

// entry is what one record of the store holds: an address's states, or an
// entry of a table of its.
type entry struct {
	key    StateKey
	addr   Address // of key
	users  int     // activations and queries that need it here
	loaded bool
	lost   error // why the state can't be loaded
	pause  int64

	current State // after every completed invocation
	durable State // after every durable commit
	asked   uint64
	settled uint64 // changes proposed and durable, counted
	waiting []stateWaiter
	loading []func()

	overlay []overlay // replayed commits, until the record is loaded

	base     uint64 // commit of the record that was loaded
	revision uint64 // of the stored record
	stored   uint64 // commit of the stored record
	absent   bool   // the stored record is none, or a removal
	epoch    uint64 // of the newest durable commit
	commit   uint64
	pending  []*applying // commits that no acknowledged record contains
	rewrite  bool        // restore the record over a foreign one
	inFlight bool
	written  uint64 // commit of the write in flight
	removed  bool   // the write in flight is a removal
	flushing bool   // an alarm will write it
	changed  int64  // when the newest durable change was made; zero: not known
	// passing says that only a sweep has needed it: it leaves memory with that.
	passing bool
	// shown says that a pending commit left something in the state, so that a
	// former owner may still write that: a removal needs its marker (K6).
	shown bool
}

type overlay struct {
	epoch, commit uint64
	mutations     []stateMutation
	effect        *applying
}

type stateWaiter struct {
	need  uint64
	reply func()
}

func newStates(p *Partition) *states {
	return &states{p: p, entries: map[StateKey]*entry{}, resting: newResting(p.cfg.CachedStates, p.cfg.CachedBytes)}
}

func (s *states) entry(k StateKey) *entry {
	e := s.entries[k]
	if e == nil {
		e = &entry{key: k, addr: k.Address, pause: statePause}
		s.resting.take(e)
		s.entries[k] = e
	}
	return e
}

// known reports whether the record of k is in memory, or on its way.
func (s *states) known(k StateKey) bool { return s.entries[k] != nil || s.resting.has(k) }

// use returns the entry of k and keeps it in memory until release.
func (s *states) use(k StateKey) *entry {
	e := s.entry(k)
	e.users++
	e.passing = false
	return e
}

func (s *states) release(e *entry) {
	e.users--
	s.rest(e)
}

// rest lets go of an entry that nobody needs: what it says may be evicted (K5).
// One that rests already, maybe since a caller's caller had it do so, stays as
// it is: its key may have another entry by now.
func (s *states) rest(e *entry) {
	if e.users > 0 || !e.clean() || s.entries[e.key] != e {
		return
	}
	delete(s.entries, e.key)
	if e.loaded && !e.passing {
		s.resting.put(e)
	}
}

func (e *entry) clean() bool {
	return !e.inFlight && !e.rewrite && (len(e.pending) == 0 || mutant.On("state-dirty-eviction")) && len(e.overlay) == 0 && len(e.loading) == 0 && len(e.waiting) == 0 && e.asked == e.settled
}

// whenLoaded calls then at once or when the record is here. It is not called
// while e.lost is set; the load is tried again from time to time.
func (s *states) whenLoaded(e *entry, then func()) {
	if e.loaded {
		then()
		return
	}
	e.loading = append(e.loading, then)
	if len(e.loading) == 1 {
		s.p.request(loadState{key: e.key})
	}
}

// answered takes a read of the store: a load, or the look at what was stored
// in our place.
func (s *states) answered(k StateKey, l LoadedState, err error) {
	e := s.entries[k]
	if e == nil || s.p.stopped() {
		return
	}
	if err != nil {
		s.readFailed(e, err)
		return
	}
	e.pause, e.lost = statePause, nil
	switch {
	case !e.loaded:
		s.load(e, l)
	case e.inFlight:
		s.conflict(e, l)
	}
}

// unread takes note that a read with others brought nothing.
func (s *states) unread(k StateKey) {
	if !s.p.stopped() {
		s.p.request(loadState{key: k, alone: true})
	}
}

func (s *states) readFailed(e *entry, err error) {
	pause := e.pause
	e.pause = min(2*e.pause, statePauseMax)
	if errors.Is(err, ErrStateLost) {
		if e.lost == nil {
			s.p.stats.StateConflicts++
			s.p.notice(noticeError, "state lost to a foreign write, the address stands still", e.addr, err)
		}
		e.lost = err
		pause = lostPause
		s.p.refuseEdits(e.addr, err)
	}
	s.p.after(pause, func() { s.p.request(loadState{key: e.key}) })
}

func (s *states) load(e *entry, l LoadedState) {
	e.revision, e.absent = l.Revision, true
	if r := l.Record; r != nil {
		if r.Commit > s.p.writer.commit {
			s.p.doubt("the state of %s holds commit %d, the journal ends at %d", e.addr, r.Commit, s.p.writer.commit)
			return
		}
		e.durable, e.base, e.stored, e.commit, e.epoch = r.State, r.Commit, r.Commit, r.Commit, r.Epoch
		e.absent = len(r.State) == 0
	}
	e.loaded = true
	for _, o := range e.overlay {
		if o.commit <= e.stored { // K4
			s.p.done(o.effect)
			continue
		}
		e.change(o.mutations)
		e.commit, e.epoch = o.commit, o.epoch
		e.pending = append(e.pending, o.effect)
	}
	e.overlay = nil
	if e.settled == e.asked || mutant.On("entries-blind-lost") { // otherwise current has what entries were set to without being read
		e.current = e.durable
	}
	if l.Foreign {
		s.foreign(e, l.Detail)
		e.rewrite = true
	}
	if len(e.pending) > 0 || e.rewrite {
		s.flushLater(e)
	}
	waiting := e.loading
	e.loading = nil
	for _, then := range waiting {
		then()
	}
	s.rest(e)
}

func (s *states) foreign(e *entry, detail string) {
	s.p.stats.StateConflicts++
	s.p.warn("foreign write to the state bucket, overwritten", e.addr, detail)
}

// propose applies an invocation's mutations for the invocations that follow.
func (s *states) propose(a Address, muts []stateMutation) {
	for _, g := range byKey(a, muts) {
		e := s.entry(g.key)
		e.current = e.current.apply(g.mutations)
		e.asked++
	}
}

// keyed is the mutations of one record.
type keyed struct {
	key       StateKey
	mutations []stateMutation
}

// byKey divides an invocation's mutations by the records that they change.
func byKey(a Address, muts []stateMutation) []keyed {
	if !slices.ContainsFunc(muts, func(m stateMutation) bool { return IsEntry(m.name) }) {
		if len(muts) == 0 {
			return nil
		}
		return []keyed{{StateKey{Address: a}, muts}}
	}
	var out []keyed
	at := map[StateKey]int{}
	for i := range muts {
		k := keyOf(a, muts[i].name)
		if _, ok := at[k]; !ok {
			at[k] = len(out)
			out = append(out, keyed{key: k})
		}
		out[at[k]].mutations = append(out[at[k]].mutations, muts[i])
	}
	return out
}

// commit applies the mutations of a durable commit.
func (s *states) commit(v *invocation, epoch uint64, effect *applying, recovered bool) {
	for _, g := range byKey(v.target, v.mutations) {
		effect.left++
		s.change(s.entry(g.key), overlay{epoch, effect.number, g.mutations, effect}, recovered)
	}
}

// change applies a durable commit's mutations of one record. One that isn't
// loaded yet, while recovering or because an entry was written without being
// read, takes them when it is.
func (s *states) change(e *entry, o overlay, recovered bool) {
	effect := o.effect
	if !recovered {
		e.settled++
	}
	switch {
	case !e.loaded:
		e.overlay = append(e.overlay, o)
		if len(e.loading) == 0 {
			s.whenLoaded(e, func() {})
		}
		return
	case recovered && (effect.number <= e.base || mutant.On("state-replay-newest") && effect.number <= max(e.commit, e.stored)): // K4
		s.p.done(effect)
		s.rest(e)
		return
	}
	e.change(o.mutations)
	s.observe(e)
	e.epoch, e.commit = o.epoch, o.commit
	e.pending = append(e.pending, effect)
	if effect.number <= e.stored && !mutant.On("state-older-over-newer") { // a zombie has written it meanwhile
		s.acknowledge(e, e.stored)
	}
	if e.settled == e.asked {
		e.current = e.durable
	}
	s.flushLater(e)
}

// relieve writes what waits if too many commits wait for it.
func (s *states) relieve() {
	waiting := len(s.p.applier.queue)
	if crowded := 2*waiting > s.p.cfg.MaxUnapplied; !crowded || s.crowded {
		s.crowded = crowded
		return
	}
	s.crowded = true
	s.hurry()
}

// change applies the mutations of a durable commit.
func (e *entry) change(muts []stateMutation) {
	e.durable = e.durable.apply(muts)
	e.shown = e.shown || len(e.durable) > 0
}

// answerWaiting is called when all that a durable commit changed is in e, so
// that a commit's number stands for one state.
func (s *states) answerWaiting(k StateKey) {
	e := s.entries[k]
	if e == nil {
		return
	}
	for len(e.waiting) > 0 && e.waiting[0].need <= e.settled {
		e.waiting[0].reply()
		e.waiting = e.waiting[1:]
	}
	s.rest(e)
}

// query answers with the state after every invocation that is completed now,
// once all of them are durable.
func (s *states) query(a Address, reply func(StateView, error)) {
	e := s.use(StateKey{Address: a})
	if e.lost != nil {
		s.release(e)
		reply(StateView{}, e.lost)
		return
	}
	answer := func() {
		view := s.view(e)
		view.State = view.State.Alive(s.p.now)
		s.release(e)
		reply(view, nil)
	}
	s.whenSettled(e, answer)
}

// whenSettled calls then with all changes durable that are proposed now.
func (s *states) whenSettled(e *entry, then func()) {
	s.whenLoaded(e, func() {
		if e.settled == e.asked {
			then()
			return
		}
		e.waiting = append(e.waiting, stateWaiter{need: e.asked, reply: then})
	})
}

// view is the state as it is durable.
func (s *states) view(e *entry) StateView {
	return StateView{State: e.durable, Partition: s.p.cfg.Partition, Commit: e.commit, Revision: e.revision}
}
