package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// The two sinks, as indexes.
const (
	egress = iota
	letters
)

// ghost knows what a partition's journal means: it folds every record that
// was ever stored, apart from the code under test, and judges what the
// partition's owners do by it.
type ghost struct {
	w    *World
	part int

	records []actor.Entry // all that were ever stored
	lastSeq uint64
	lastSum uint64
	epoch   uint64
	commit  uint64
	time    int64
	run     []byte // bodies of the parts so far
	covered uint64 // by the checkpoints: applied position
	begins  uint64 // the newest complete checkpoint begins here
	begun   uint64 // the checkpoint being written begins here

	sources map[actor.Source]*inputs
	states  map[actor.StateKey][]version
	next    map[int]uint64         // numbers of sends, by target partition
	sends   map[sendKey]sentRecord // durable ones
	replies map[string]int         // how often each of the durable ones left
	timers  map[actor.TimerID]actor.Timer
	gone    map[actor.TimerID]bool // fired or cancelled
	tokens  map[tokenKey]actor.TimerID
	clocks  map[actor.Address]*clockwork
	asked   map[actor.TimerID]bool // an operator wants it cancelled
	// cancelled are those that an operator has cancelled.
	cancelled map[actor.TimerID]bool
	marks     [2][]actor.Mark
	wanted    [2][]actor.SinkMessage // by durable commits, in order
	place     [2]map[actor.SinkID]int
	found     [2]map[actor.SinkID]bool
	newest    [2]map[actor.Address]int // place of the newest stored message, by source
}

// version is what a record holds as of a commit, and after the commit's earlier
// invocations of its address.
type version struct {
	commit  uint64
	state   actor.State
	earlier []actor.State
}

type sendKey struct {
	to     int
	number uint64
}

type sentRecord struct {
	commit, epoch uint64
	envelope      actor.Envelope
}

type tokenKey struct{ id, token string }

func newGhost(w *World, part int) *ghost {
	g := &ghost{
		w: w, part: part, sources: map[actor.Source]*inputs{}, states: map[actor.StateKey][]version{}, next: map[int]uint64{},
		sends: map[sendKey]sentRecord{}, replies: map[string]int{}, timers: map[actor.TimerID]actor.Timer{}, gone: map[actor.TimerID]bool{}, tokens: map[tokenKey]actor.TimerID{}, asked: map[actor.TimerID]bool{}, cancelled: map[actor.TimerID]bool{},
		clocks: map[actor.Address]*clockwork{},
	}
	for i := range 2 {
		g.place[i], g.found[i], g.newest[i] = map[actor.SinkID]int{}, map[actor.SinkID]bool{}, map[actor.Address]int{}
	}
	return g
}

func (g *ghost) fail(format string, args ...any) {
	g.w.fail("partition %d: "+format, append([]any{g.part}, args...)...)
}

// record folds a record that was stored (J1, J2, invariant 1).
func (g *ghost) record(seq uint64, data []byte) {
	r, err := actor.Inspect(data)
	if err != nil {
		g.fail("record %d: %v", seq, err)
		return
	}
	complete := r.Kind == "commit" || r.PartOf == "commit" && r.Part == r.Parts-1
	want := g.commit
	if r.Kind == "commit" || r.PartOf == "commit" {
		want++
	}
	switch {
	case r.PrevSeq != g.lastSeq || r.PrevSum != g.lastSum:
		g.fail("record %d says that it follows %d, but it follows %d (J1)", seq, r.PrevSeq, g.lastSeq)
	case r.Kind == "open" && r.Epoch <= g.epoch, r.Kind != "open" && r.Epoch != g.epoch:
		g.fail("record %d, %s, has epoch %d after %d (J2)", seq, r.Kind, r.Epoch, g.epoch)
	case r.Commit != want:
		g.fail("record %d, %s, is of commit %d, want %d", seq, r.Kind, r.Commit, want)
	case r.Time < g.time:
		g.fail("record %d has time %d, behind %d", seq, r.Time, g.time)
	case r.Part != 0 && len(g.run) == 0:
		g.fail("record %d is part %d of nothing (J7)", seq, r.Part)
	}
	g.records = append(g.records, actor.Entry{Seq: seq, Data: data})
	g.lastSeq, g.lastSum, g.epoch, g.time = seq, r.Sum, r.Epoch, r.Time
	body := r.Body
	if r.Kind == "part" {
		g.w.hit(Parts)
		if r.Part == 0 {
			g.run, g.begun = nil, seq
		}
		g.run = append(g.run, r.Body...)
		body = g.run
	} else {
		g.run, g.begun = nil, seq
	}
	if complete {
		g.commit = r.Commit
		g.fold(&r, body)
	}
	if r.Kind == "checkpoint" || r.PartOf == "checkpoint" && r.Part == r.Parts-1 {
		g.checkpoint(seq, body)
	}
	if complete || r.Part == r.Parts-1 {
		g.run = nil
	}
}

// checkpoint compares a checkpoint with the fold (C1, invariant 4).
func (g *ghost) checkpoint(seq uint64, body []byte) {
	c, err := actor.InspectCheckpoint(body)
	if err != nil {
		g.fail("checkpoint at %d: %v", seq, err)
		return
	}
	if c.Applied < g.covered || c.Applied >= seq {
		g.fail("the checkpoint at %d says that %d is applied, the one before said %d (C2)", seq, c.Applied, g.covered)
	}
	g.covered, g.begins = c.Applied, g.begun
	for i := range c.Progress {
		g.source(c.Progress[i].Source).compare(&c.Progress[i])
	}
	for to, number := range g.next {
		if c.Next[to] != number || c.Delivered[to] > number {
			g.fail("the checkpoint at %d has numbers %d and %d for partition %d, %d were given (S1)", seq, c.Next[to], c.Delivered[to], to, number)
		}
	}
}

// purge judges the removal of journal records (J6, C3).
func (g *ghost) purge(before uint64) {
	if before > g.covered || before > g.begins {
		g.fail("the journal is purged below %d, but the checkpoint at %d covers up to %d (J6, C3)", before, g.begins, g.covered)
	}
}

// published judges a send on its way (J5, S1).
func (g *ghost) published(s *actor.OutboundSend) {
	d, ok := g.sends[sendKey{s.To, s.Number}]
	if !ok || d.commit != s.Commit || d.epoch != s.Epoch || !sameEnvelope(&d.envelope, &s.Envelope) || s.From != g.part {
		g.fail("send %d to partition %d leaves, but is not in a durable commit (J5)", s.Number, s.To)
	}
}

func sameEnvelope(a, b *actor.Envelope) bool {
	return a.Target == b.Target && a.Caller == b.Caller && string(a.Value.Data) == string(b.Value.Data) && a.Value.Type == b.Value.Type
}

// sinkPublished judges an egress message or dead letter on its way (J5).
func (g *ghost) sinkPublished(index int, m *actor.SinkMessage) {
	at, ok := g.place[index][m.ID]
	if !ok || !sameSinkMessage(&g.wanted[index][at], m) {
		g.fail("sink message %v leaves, but is not in a durable commit (J5, E1)", m.ID)
	}
}

func sameSinkMessage(a, b *actor.SinkMessage) bool {
	if a.Egress != nil {
		return b.Egress != nil && a.Source == b.Source && string(a.Egress.Value.Data) == string(b.Egress.Value.Data)
	}
	return b.DeadLetter != nil && a.Source == b.Source && sameEnvelope(&a.DeadLetter.Envelope, &b.DeadLetter.Envelope)
}

// sinkStored judges what a stream holds: each message once, in order for each
// address (E1–E8).
func (g *ghost) sinkStored(index int, m *actor.SinkMessage) {
	if g.found[index][m.ID] {
		g.fail("sink message %v is stored twice (E)", m.ID)
	}
	g.found[index][m.ID] = true
	at := g.place[index][m.ID]
	if last, ok := g.newest[index][m.Source]; ok && at < last {
		g.fail("sink message %v of %s is stored behind a later one (E8)", m.ID, m.Source)
	}
	g.newest[index][m.Source] = at
}

// stateWritten judges a record on its way to the state store (J5, K4).
func (g *ghost) stateWritten(a actor.StateKey, r *actor.StateRecord) {
	for _, v := range slices.Backward(g.states[a]) {
		if v.commit == r.Commit {
			if !sameState(v.state, r.State) {
				g.fail("the record of %s for commit %d holds %s, want %s (K4)", a, r.Commit, stateText(r.State), stateText(v.state))
			}
			return
		}
	}
	g.fail("the record of %s is written for commit %d, which did not change it (J5)", a, r.Commit)
}

// answered judges an answer to a query at now: the state as of its commit
// (O3), less what has expired (K8).
func (g *ghost) answered(a actor.Address, v *actor.StateView, now int64) {
	for _, old := range slices.Backward(g.states[actor.StateKey{Address: a}]) {
		same := func(s actor.State) bool { return sameState(unexpired(s, now), v.State) }
		if old.commit == v.Commit && (same(old.state) || slices.ContainsFunc(old.earlier, same)) {
			return
		}
	}
	g.fail("a query for %s is answered %s of commit %d, which it never was (O3)", a, stateText(v.State), v.Commit)
}

func sameState(a, b actor.State) bool {
	return slices.EqualFunc(a, b, func(x, y actor.StateValue) bool { return x.Name == y.Name && sameValue(&x, &y) })
}

func sameValue(a, b *actor.StateValue) bool {
	return string(a.Value.Data) == string(b.Value.Data) && a.WrittenAt == b.WrittenAt && a.ExpiresAt == b.ExpiresAt
}

// unexpired is s less what has expired at now.
func unexpired(s actor.State, now int64) actor.State {
	return slices.DeleteFunc(slices.Clone(s), func(v actor.StateValue) bool { return v.ExpiresAt != 0 && v.ExpiresAt <= now })
}

func stateText(s actor.State) string {
	var b strings.Builder
	for i := range s {
		b.WriteString(s[i].Name + "=" + string(s[i].Value.Data) + " ")
	}
	return "{" + strings.TrimSpace(b.String()) + "}"
}

// state is the newest version of k.
func (g *ghost) state(k actor.StateKey) version {
	if list := g.states[k]; len(list) > 0 {
		return list[len(list)-1]
	}
	return version{}
}

// timerPut judges a timer on its way to its store (J5).
func (g *ghost) timerPut(t *actor.Timer) {
	if _, set := g.timers[t.ID]; !set && !g.gone[t.ID] {
		g.fail("timer %v is put, but no durable commit set it (J5)", t.ID)
	}
}

// timerDeleted judges the removal of a timer (J5, T3).
func (g *ghost) timerDeleted(id actor.TimerID) {
	if !g.gone[id] {
		g.fail("timer %v is deleted, but no durable commit removed it (J5)", id)
	}
}

// sortedKeys makes the order of a map's keys part of no result.
func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
