package sim

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// folding is a commit that is being compared with the answers of the
// functions it says it packs.
type folding struct {
	g    *ghost
	rec  *actor.RecordView
	c    *actor.CommitView
	sent []actor.Envelope // by invocations, in order
	out  []actor.EgressMessage
	set  []*armed
	dead int // dead letters met

	clocks []actor.Address // cron ingresses that were called

	onward []actor.Envelope // of routed inputs, in order

	cancelled []actor.TimerID // by invocations
	others    []actor.TimerID // that the commit cancels, besides the operator's
	consumed  map[actor.Source][]actor.InputID
}

// armed is a timer that the commit's invocations set.
type armed struct {
	actor.Timer
	gone bool // cancelled within the commit
}

// fold takes a complete commit.
func (g *ghost) fold(rec *actor.RecordView, body []byte) {
	c, err := actor.InspectCommit(body)
	if err != nil {
		g.fail("commit %d: %v", rec.Commit, err)
		return
	}
	f := &folding{g: g, rec: rec, c: &c, consumed: map[actor.Source][]actor.InputID{}}
	for i := range c.Progress {
		g.source(c.Progress[i].Source).broken(&c.Progress[i])
	}
	fired := f.fire()
	f.others = f.cancel()
	for i := range c.Invocations {
		f.invocation(&c.Invocations[i])
	}
	f.progress()
	f.replies(&fired)
	f.sends(fired)
	f.timers()
	f.checkClocks()
	f.sinks()
	if f.dead != len(c.DeadLetters) {
		g.fail("commit %d has %d dead letters, of which %d belong to inputs", rec.Commit, len(c.DeadLetters), f.dead)
	}
}

// fire takes the timers that fired: each was set and neither fired nor was
// cancelled before (T2, invariant 6).
func (f *folding) fire() (sends []actor.Envelope) {
	g := f.g
	for _, id := range f.c.Fired {
		t, ok := g.timers[id]
		switch {
		case !ok:
			g.fail("commit %d fires timer %v, which is not set (T2)", f.rec.Commit, id)
			continue
		case t.DueAt > f.c.Time:
			g.fail("commit %d of %d fires timer %v, which is due at %d", f.rec.Commit, f.c.Time, id, t.DueAt)
		}
		sends = append(sends, t.Envelope)
		g.forget(id)
	}
	return sends
}

func (g *ghost) forget(id actor.TimerID) {
	t := g.timers[id]
	delete(g.timers, id)
	g.gone[id] = true
	if key := (tokenKey{t.Envelope.Caller.ID, t.Token}); g.tokens[key] == id {
		delete(g.tokens, key)
	}
}

// invocation compares one batch with what its function was shown and answered.
func (f *folding) invocation(v *actor.InvocationView) {
	var envelopes []actor.Envelope
	for _, id := range v.Consumed {
		in := f.g.source(id.Source).consume(id, v.Target)
		if in == nil {
			return
		}
		f.consumed[id.Source] = append(f.consumed[id.Source], id)
		if in.Route != nil && in.Problem == nil {
			f.routed(v, in)
			return
		}
		envelopes = append(envelopes, in.Envelope)
	}
	c := f.g.w.functions.find(v)
	switch {
	case c != nil:
		f.answer(v, c, envelopes)
	case len(v.Consumed) == 0 && len(v.Mutations) > 0:
		f.swept(v)
	case len(v.Mutations) == 0 && f.deadLetter(envelopes):
	case f.g.w.functions.quiet[inputNames(envelopes)] != nil:
		f.silent(v, envelopes)
	default:
		f.g.fail("commit %d consumes %s, but no call answered so", f.rec.Commit, inputNames(envelopes))
	}
}

// routed compares an input that is sent on: to each target at once, or by a
// timer; an unknown one gives a dead letter.
func (f *folding) routed(v *actor.InvocationView, in *actor.Input) {
	if len(v.Consumed) != 1 || len(v.Mutations) > 0 {
		f.g.fail("commit %d invokes something with %v, which are routed", f.rec.Commit, v.Consumed)
	}
	targets := in.Route.Targets
	if len(targets) == 0 {
		targets = []actor.TypeName{in.Envelope.Target.Type}
	}
	for _, t := range targets {
		e := in.Envelope
		e.Target.Type = t
		switch _, known := f.g.w.functions.Lookup(t); {
		case !known:
			if !f.deadLetter([]actor.Envelope{e}) {
				f.g.fail("commit %d routes %s to %s, which nobody serves, without a dead letter", f.rec.Commit, readOp(e.Value).ID, t)
			}
		case in.Route.DueAt <= v.Time:
			f.onward = append(f.onward, e)
		default:
			f.set = append(f.set, &armed{Timer: actor.Timer{DueAt: in.Route.DueAt, Envelope: e}})
		}
	}
}

// find returns the call that an invocation names by a mutation of its own.
func (f *functions) find(v *actor.InvocationView) *call {
	if n := len(v.Mutations); n > 0 {
		return f.calls[strings.TrimPrefix(v.Mutations[n-1].Name, "#")]
	}
	return nil
}

// silent takes an invocation without effects; what had expired is removed
// nevertheless.
func (f *folding) silent(v *actor.InvocationView, envelopes []actor.Envelope) {
	if len(v.Mutations) == 0 {
		return
	}
	state := f.g.state(actor.StateKey{Address: v.Target}).state
	for i := range v.Mutations {
		state = state.Without(v.Mutations[i].Name)
	}
	f.answer(v, &call{id: "(silent)", target: v.Target, inputs: envelopes, state: state, effects: &actor.Effects{}}, envelopes)
}

func (f *folding) deadLetter(envelopes []actor.Envelope) bool {
	if f.dead >= len(f.c.DeadLetters) || len(envelopes) != 1 || !sameEnvelope(&envelopes[0], &f.c.DeadLetters[f.dead].Envelope) {
		return false
	}
	f.g.checkWait(&f.c.DeadLetters[f.dead], f.c.Time)
	f.dead++
	return true
}

// answer takes an invocation's effects.
func (f *folding) answer(v *actor.InvocationView, c *call, envelopes []actor.Envelope) {
	g := f.g
	want, _ := changes(c.state, c.effects.Mutations, v.Time)
	expired := max(len(v.Mutations)-len(want), 0)
	shown := g.shown(v.Target, c.entries)
	for i := range v.Mutations[:expired] {
		name := v.Mutations[i].Name
		if old, _ := shown.Get(name); !v.Mutations[i].Delete || old.ExpiresAt == 0 || old.ExpiresAt > v.Time {
			g.fail("call %s of %s: %s has not expired (K8)", c.id, v.Target, name)
		}
		shown = shown.Without(name)
	}
	for i := range c.state {
		if at := c.state[i].ExpiresAt; at != 0 && at <= c.from {
			g.fail("call %s of %s at %d saw %s, which expired at %d (K8)", c.id, v.Target, c.from, c.state[i].Name, at)
		}
	}
	switch {
	case c.done:
		g.fail("call %s of %s counts twice", c.id, v.Target)
	case c.target != v.Target || !slices.EqualFunc(c.inputs, envelopes, func(a, b actor.Envelope) bool { return sameEnvelope(&a, &b) }):
		g.fail("call %s of %s was for %s, but the commit consumes %s", c.id, v.Target, inputNames(c.inputs), inputNames(envelopes))
	case !sameState(shown, c.state):
		g.fail("call %s of %s saw %s, but the state was %s (K4)", c.id, v.Target, stateText(c.state), stateText(shown))
	case !slices.EqualFunc(want, v.Mutations[expired:], sameMutation):
		g.fail("call %s of %s changed %v, but the commit says %v", c.id, v.Target, want, v.Mutations)
	}
	c.done = true
	f.ticked(v, c)
	_, after := changes(shown, c.effects.Mutations, v.Time)
	f.changed(v, after)
	for _, s := range c.effects.Sends {
		f.sent = append(f.sent, actor.Envelope{Target: s.Target, Caller: cmp.Or(c.caller, v.Target), Value: s.Value})
	}
	f.out = append(f.out, c.effects.Egress...)
	for i := range c.effects.Delayed {
		f.delay(v, &c.effects.Delayed[i])
	}
}

// shown is what a call that has asked for entries has to see.
func (g *ghost) shown(a actor.Address, entries []string) actor.State {
	s := g.state(actor.StateKey{Address: a}).state
	for _, name := range entries {
		for _, v := range g.state(actor.StateKey{Address: a, Entry: name}).state {
			s = s.With(v)
		}
	}
	return s
}

// changed notes what the records hold that an invocation has changed.
func (f *folding) changed(v *actor.InvocationView, after actor.State) {
	parts := map[actor.StateKey]actor.State{{Address: v.Target}: nil}
	for i := range v.Mutations {
		if name := v.Mutations[i].Name; actor.IsEntry(name) {
			parts[actor.StateKey{Address: v.Target, Entry: name}] = nil
		}
	}
	for _, value := range after {
		k := actor.StateKey{Address: v.Target}
		if actor.IsEntry(value.Name) {
			k.Entry = value.Name
		}
		if part, touched := parts[k]; touched {
			parts[k] = part.With(value)
		}
	}
	for k, part := range parts {
		f.g.change(k, f.rec.Commit, part)
	}
}

// change notes what a record holds after an invocation of a commit.
func (g *ghost) change(k actor.StateKey, commit uint64, state actor.State) {
	list := g.states[k]
	if last := len(list) - 1; last >= 0 && list[last].commit == commit {
		now := &list[last]
		now.earlier, now.state = append(now.earlier, now.state), state
		return
	}
	g.states[k] = append(list, version{commit: commit, state: state})
}

// changes are what the mutations of a call that ended at that time do to
// state: a renewal of what isn't there does nothing, and deadlines count from
// the call's end (K8).
func changes(state actor.State, list []actor.Mutation, at int64) (out []actor.MutationView, after actor.State) {
	for i := range list {
		m := &list[i]
		change := actor.MutationView{Name: m.Name, Delete: m.Delete, Renew: m.Renew}
		deadline := int64(0)
		if m.ExpireAfter > 0 {
			deadline = at + m.ExpireAfter.Milliseconds()
		}
		old, there := state.Get(m.Name)
		switch {
		case m.Delete:
			state = state.Without(m.Name)
		case m.Renew && !there:
			continue
		case m.Renew:
			change.Value.ExpiresAt, old.ExpiresAt = deadline, deadline
			state = state.With(old)
		default:
			change.Value = actor.StateValue{Name: m.Name, Value: m.Value, WrittenAt: at, ExpiresAt: deadline}
			state = state.With(change.Value)
		}
		out = append(out, change)
	}
	return out, state
}

func sameMutation(a, b actor.MutationView) bool {
	return a.Name == b.Name && a.Delete == b.Delete && a.Renew == b.Renew && (a.Delete || sameValue(&a.Value, &b.Value))
}

// delay sets or cancels a timer. Ids are given once the list is complete.
func (f *folding) delay(v *actor.InvocationView, d *actor.Delayed) {
	g, key := f.g, tokenKey{v.Target.ID, d.Token}
	if !d.Cancel {
		t := &armed{Timer: actor.Timer{
			DueAt: v.Time + d.Delay.Milliseconds(), Token: d.Token, Envelope: actor.Envelope{Target: d.Target, Caller: v.Target, Value: d.Value},
		}}
		f.set = append(f.set, t)
		return
	}
	for _, t := range f.set {
		if !t.gone && t.Token == d.Token && t.Envelope.Caller.ID == v.Target.ID {
			t.gone = true
			return
		}
	}
	if id, ok := g.tokens[key]; ok {
		f.cancelled = append(f.cancelled, id)
		g.forget(id)
	}
}

// progress checks how far the sources are decided.
func (f *folding) progress() {
	for i := range f.c.Progress {
		p := &f.c.Progress[i]
		f.g.source(p.Source).advance(p, f.consumed[p.Source])
		delete(f.consumed, p.Source)
	}
	for source, list := range f.consumed {
		f.g.fail("commit %d consumes %v of %s without progress", f.rec.Commit, list, source)
	}
}

// sends checks the sends: those of the invocations and of the timers that
// fired, each in order, and their numbers (S1).
func (f *folding) sends(fired []actor.Envelope) {
	g := f.g
	for i := range f.c.Sends {
		s := &f.c.Sends[i]
		switch {
		case len(f.sent) > 0 && sameEnvelope(&f.sent[0], &s.Envelope):
			f.sent = f.sent[1:]
		case len(fired) > 0 && sameEnvelope(&fired[0], &s.Envelope):
			fired = fired[1:]
		case len(f.onward) > 0 && sameEnvelope(&f.onward[0], &s.Envelope):
			f.onward = f.onward[1:]
		default:
			g.fail("commit %d sends %s, which nobody asked for", f.rec.Commit, readOp(s.Envelope.Value).ID)
		}
		if to := s.Envelope.Target.Partition(g.w.plan.Knobs.Partitions); s.To != to || s.Number != g.next[s.To]+1 {
			g.fail("commit %d gives number %d of partition %d to a send for partition %d, the last one was %d (S1)", f.rec.Commit, s.Number, s.To, to, g.next[s.To])
		}
		g.next[s.To] = s.Number
		g.sends[sendKey{s.To, s.Number}] = sentRecord{f.rec.Commit, f.rec.Epoch, s.Envelope}
	}
	if n := len(f.sent) + len(fired) + len(f.onward); n > 0 {
		g.fail("commit %d lacks %d sends", f.rec.Commit, n)
	}
}

// timers checks the timers set and cancelled (T1, T2).
func (f *folding) timers() {
	g := f.g
	n := 0
	for _, want := range f.set {
		if want.gone {
			continue
		}
		if n >= len(f.c.TimersSet) {
			g.fail("commit %d lacks a timer of %s", f.rec.Commit, want.Envelope.Caller)
			return
		}
		got := f.c.TimersSet[n]
		id := actor.TimerID{Epoch: f.rec.Epoch, Commit: f.rec.Commit, Index: n}
		if got.ID != id || got.DueAt != want.DueAt || got.Token != want.Token || !sameEnvelope(&got.Envelope, &want.Envelope) {
			g.fail("commit %d sets timer %+v, want %+v as %v (T1)", f.rec.Commit, got, want.Timer, id)
		}
		g.timers[id] = got
		if got.Token != "" {
			g.tokens[tokenKey{got.Envelope.Caller.ID, got.Token}] = id
		}
		n++
	}
	if n != len(f.c.TimersSet) {
		g.fail("commit %d sets %d timers, want %d", f.rec.Commit, len(f.c.TimersSet), n)
	}
	if !slices.Equal(f.cancelled, f.others) {
		g.fail("commit %d cancels %v, want %v (T2)", f.rec.Commit, f.others, f.cancelled)
	}
}

// sinks notes the egress messages and dead letters that have to be stored.
func (f *folding) sinks() {
	g := f.g
	if !slices.EqualFunc(f.out, f.c.Egress, func(a, b actor.EgressMessage) bool { return string(a.Value.Data) == string(b.Value.Data) }) {
		g.fail("commit %d emits %d messages, want %d", f.rec.Commit, len(f.c.Egress), len(f.out))
		return
	}
	for i := range f.c.Egress {
		m := &f.c.Egress[i]
		g.want(egress, actor.SinkMessage{ID: f.id(i), Source: f.g.w.functions.source(m), Egress: m})
	}
	for i := range f.c.DeadLetters {
		l := &f.c.DeadLetters[i]
		g.want(letters, actor.SinkMessage{ID: f.id(i), Source: l.Envelope.Target, DeadLetter: l})
	}
}

func (f *folding) id(i int) actor.SinkID {
	return actor.SinkID{Partition: f.g.part, Epoch: f.rec.Epoch, Commit: f.rec.Commit, Index: i}
}

func (g *ghost) want(index int, m actor.SinkMessage) {
	g.place[index][m.ID] = len(g.wanted[index])
	g.wanted[index] = append(g.wanted[index], m)
}

// source is the address that emitted m, which begins with its call's id.
func (f *functions) source(m *actor.EgressMessage) actor.Address {
	id, _, _ := strings.Cut(string(m.Value.Data), ".")
	if c := f.calls[id]; c != nil {
		return c.target
	}
	return actor.Address{}
}
