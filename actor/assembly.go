package actor

import (
	"slices"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// assemble packs what is completed into one commit and starts its append
// (PROTOCOL M3, S1, J7). The writer must be idle.
func (p *Partition) assemble() {
	batch := p.takeCompleted()
	p.writer.commit++
	number := p.writer.commit
	c := newCommit(p.now, batch)
	consumed := map[Source][]inputRef{}
	var set []*timer
	var told []func()
	cancelled := cancelledBy(batch)
	for _, done := range batch {
		if done.told != nil {
			told = append(told, done.told)
		}
		p.pack(c, done, consumed)
		for _, tm := range done.set {
			if cancelled[tm] { // set and cancelled within this commit
				continue
			}
			p.timers.assembled(tm, TimerID{p.writer.epoch, number, len(set)})
			set = append(set, tm)
			c.timersSet = append(c.timersSet, tm.timer())
		}
		for _, tm := range done.cancelled {
			if tm.id != (TimerID{}) {
				c.timersGone = append(c.timersGone, goneTimer{id: tm.id})
			}
		}
		if done.fired != nil && !mutant.On("fired-not-recorded") {
			c.timersGone = append(c.timersGone, goneTimer{id: done.fired.id, fired: true})
		}
	}
	if !p.advance(c, consumed) {
		return
	}
	if mutant.On("effects-before-durable") {
		for _, s := range c.sends {
			p.request(publishSend{OutboundSend{From: p.cfg.Partition, To: s.to, Number: s.number, Epoch: p.writer.epoch, Commit: number, Envelope: s.envelope}})
		}
	}
	if mutant.On("reply-before-durable") {
		p.reply(c)
	}
	d := durableCommit{commit: c, epoch: p.writer.epoch, number: number, told: told, observed: p.observe(number, batch)}
	for i, s := range p.sinks {
		d.sinksAt[i] = s.highest
	}
	p.writer.write(kindCommit, c.encode(), func(seq uint64) {
		d.seq = seq
		p.committed(&d)
	})
}

// newCommit returns a commit with room for what batch did.
func newCommit(now int64, batch []*completion) *commit {
	sends, egress := 0, 0
	for _, done := range batch {
		sends += len(done.sends)
		egress += len(done.egress)
	}
	return &commit{
		time:        now,
		invocations: make([]invocation, 0, len(batch)),
		sends:       make([]numberedSend, 0, sends),
		egress:      make([]egressEffect, 0, egress),
	}
}

// cancelledBy returns the timers that batch cancels. A timer that a later
// commit cancels has to be set by its own: that one may never become durable.
func cancelledBy(batch []*completion) map[*timer]bool {
	out := map[*timer]bool{}
	for _, done := range batch {
		for _, tm := range done.cancelled {
			out[tm] = true
		}
	}
	return out
}

// takeCompleted takes the oldest completions, as many as go into one record
// well, at least one.
func (p *Partition) takeCompleted() []*completion {
	n, size := 0, 0
	for n < len(p.completed) && (n == 0 || size+p.completed[n].size <= p.cfg.MaxPack) {
		size += p.completed[n].size
		n++
	}
	batch := p.completed[:n:n]
	p.completed = p.completed[n:]
	for _, c := range batch {
		if c.fired != nil {
			p.firing -= c.size
		}
	}
	return batch
}

func (p *Partition) pack(c *commit, done *completion, consumed map[Source][]inputRef) {
	for _, id := range done.consumed {
		consumed[id.Source] = append(consumed[id.Source], inputRef{id.Seq, id.Index})
	}
	if len(done.consumed)+len(done.mutations) > 0 {
		c.invocations = append(c.invocations, invocation{
			target: done.target, time: done.time, consumed: done.consumed, mutations: done.mutations,
		})
	}
	for i := range done.sends {
		p.send(c, &done.sends[i])
	}
	for i := range done.egress {
		c.egress = append(c.egress, egressEffect{source: done.target, trace: done.trace, message: done.egress[i]})
	}
	for i := range done.letters {
		p.tellCaller(c, &done.letters[i], len(c.deadLetters))
		c.deadLetters = append(c.deadLetters, done.letters[i])
	}
}

// advance decides the sources up to what the commit consumes.
func (p *Partition) advance(c *commit, consumed map[Source][]inputRef) bool {
	sources := make([]Source, 0, len(consumed))
	for source := range consumed {
		sources = append(sources, source)
	}
	slices.SortFunc(sources, func(a, b Source) int { return strings.Compare(string(a), string(b)) })
	for _, source := range sources {
		refs := consumed[source]
		slices.SortFunc(refs, inputRef.compare)
		n := p.intake(source)
		for i, ref := range refs {
			if !n.consumable(ref) || i > 0 && ref == refs[i-1] {
				p.breach("input %s/%d/%d is consumed but not open", source, ref.seq, ref.index)
				return false
			}
		}
		c.progress = append(c.progress, n.advance(refs))
	}
	return true
}

// committed is called when a commit is durable: its effects may leave now.
func (p *Partition) committed(d *durableCommit) {
	p.stats.Commits++
	for i := range d.deadLetters {
		p.noticeLetter(&d.deadLetters[i], SinkID{p.cfg.Partition, d.epoch, d.number, i})
	}
	if d.observed != nil {
		p.request(tellCommit{d.observed})
	}
	for _, n := range p.sources {
		n.settle()
	}
	p.applier.hand(d)
	for _, tell := range d.told {
		tell()
	}
	p.checkpointLater()
}
