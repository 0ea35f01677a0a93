package actor

import (
	"fmt"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// inputRef is an input within its source.
type inputRef struct {
	seq   uint64
	index int
}

func (a inputRef) compare(b inputRef) int {
	switch {
	case a.seq != b.seq && a.seq < b.seq:
		return -1
	case a.seq != b.seq:
		return 1
	}
	return a.index - b.index
}

// pairNumber is a send number of the pair of partitions that has peer as its
// other side.
type pairNumber struct {
	peer   int
	number uint64
	epoch  uint64 // of an accepted one, if that is known
}

// progress is how far a source is decided (PROTOCOL M3). In a commit it holds
// the increments: refs are the holes that it opens. In a checkpoint it holds
// everything: refs are all holes.
type progress struct {
	source   Source
	high     uint64
	accepted []pairNumber // by peer
	refs     []inputRef   // in order

	newest int64 // see intake; zero in records of earlier versions
	since  uint64
	breaks breaks // all, or in a commit none if they haven't changed

	lost []inputRef // in a commit: holes of earlier ones that are given up
}

// stateMutation is a change of one state of an address. A renewal holds only
// the new deadline, in value.ExpiresAt.
type stateMutation struct {
	name   string
	delete bool
	renew  bool
	value  StateValue
}

func (s State) apply(muts []stateMutation) State {
	for i := range muts {
		switch m := &muts[i]; {
		case m.delete:
			s = s.Without(m.name)
		case m.renew && mutant.On("renewal-forgotten"):
		case m.renew:
			s = s.renewed(m.name, m.value.ExpiresAt)
		default:
			s = s.With(m.value)
		}
	}
	return s
}

// renewed is s with another deadline of the value called name, if there is one.
func (s State) renewed(name string, expiresAt int64) State {
	v, ok := s.Get(name)
	if !ok {
		return s
	}
	v.ExpiresAt = expiresAt
	return s.With(v)
}

// Alive is s less what has expired at now, in Unix milliseconds.
func (s State) Alive(now int64) State { return s.apply(s.expired(now)) }

// expired returns the removals of what has expired (PROTOCOL K8).
func (s State) expired(now int64) (muts []stateMutation) {
	for i := range s {
		if s[i].ExpiresAt != 0 && s[i].ExpiresAt <= now && !mutant.On("expired-kept") {
			muts = append(muts, stateMutation{name: s[i].Name, delete: true})
		}
	}
	return muts
}

// invocation is one completed batch of a commit.
type invocation struct {
	target    Address
	time      int64
	consumed  []InputID
	mutations []stateMutation
}

type numberedSend struct {
	to       int
	number   uint64
	envelope Envelope
}

type egressEffect struct {
	source  Address
	trace   Trace
	message EgressMessage
}

type goneTimer struct {
	id    TimerID
	fired bool // else cancelled
}

// commit is the body of a commit record: everything that the invocations it
// packs read and did.
type commit struct {
	time        int64
	progress    []progress
	invocations []invocation
	sends       []numberedSend // numbers contiguous per target partition
	timersSet   []Timer        // ids are (epoch, commit, place in this list)
	timersGone  []goneTimer
	egress      []egressEffect
	deadLetters []DeadLetter
	replies     []Envelope // each to a WaitingCaller
}

func (w *fieldWriter) progress(p *progress) {
	w.text(1, string(p.source))
	w.uint(2, p.high)
	for _, a := range p.accepted {
		w.message(3, func(w *fieldWriter) {
			w.int(1, a.peer)
			w.uint(2, a.number)
			w.uint(3, a.epoch)
		})
	}
	var prev uint64
	for _, ref := range p.refs {
		w.message(4, func(w *fieldWriter) {
			w.uint(1, ref.seq-prev)
			w.int(2, ref.index)
		})
		prev = ref.seq
	}
	w.int64(5, p.newest)
	w.uint(6, p.since)
	for _, b := range p.breaks {
		w.message(7, func(w *fieldWriter) {
			w.uint(1, b.at)
			w.uint(2, b.shift)
		})
	}
	for _, ref := range p.lost {
		w.message(8, func(w *fieldWriter) {
			w.int(1, ref.index)
			w.uint(2, ref.seq)
		})
	}
}

func readPair(b []byte) (p pairNumber, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			p.peer = f.int()
		case 2:
			p.number = f.v
		case 3:
			p.epoch = f.v
		}
		return nil
	})
	return p, err
}

func readBreak(b []byte) (s streamBreak, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			s.at = f.v
		case 2:
			s.shift = f.v
		}
		return nil
	})
	return s, err
}

func readProgress(b []byte) (p progress, err error) {
	var prev uint64
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			p.source = Source(f.text())
		case 2:
			p.high = f.v
		case 3:
			pair, err := readPair(f.data)
			p.accepted = append(p.accepted, pair)
			return err
		case 4:
			pair, err := readPair(f.data) // the same two fields
			prev += uint64(pair.peer)
			p.refs = append(p.refs, inputRef{seq: prev, index: int(pair.number)})
			return err
		case 5:
			p.newest = f.int64()
		case 6:
			p.since = f.v
		case 7:
			var err error
			p.breaks, err = appendRead(p.breaks, f, readBreak)
			return err
		case 8:
			pair, err := readPair(f.data) // the same two fields
			p.lost = append(p.lost, inputRef{seq: pair.number, index: pair.peer})
			return err
		}
		return nil
	})
	return p, err
}

func (w *fieldWriter) mutation(m *stateMutation) {
	w.text(1, m.name)
	w.bool(2, m.delete)
	if !m.delete && !m.renew {
		w.value(3, m.value.Value)
		w.int64(4, m.value.WrittenAt)
	}
	if !m.delete {
		w.int64(5, m.value.ExpiresAt)
	}
	w.bool(6, m.renew)
}

func readMutation(b []byte) (m stateMutation, err error) {
	err = readFields(b, func(f *field) (err error) {
		switch f.num {
		case 1:
			m.name = f.text()
			m.value.Name = m.name
		case 2:
			m.delete = f.v != 0
		case 3:
			m.value.Value, err = readValue(f.data)
		case 4:
			m.value.WrittenAt = f.int64()
		case 5:
			m.value.ExpiresAt = f.int64()
		case 6:
			m.renew = f.v != 0
		}
		return err
	})
	switch {
	case m.delete:
		m.value, m.renew = StateValue{}, false
	case m.renew:
		m.value = StateValue{ExpiresAt: m.value.ExpiresAt}
	}
	return m, err
}

func (w *fieldWriter) inputID(id InputID) {
	w.text(1, string(id.Source))
	w.uint(2, id.Seq)
	w.int(3, id.Index)
}

func readInputID(b []byte) (id InputID, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			id.Source = Source(f.text())
		case 2:
			id.Seq = f.v
		case 3:
			id.Index = f.int()
		}
		return nil
	})
	return id, err
}

func (w *fieldWriter) invocation(v *invocation) {
	w.address(1, v.target)
	w.int64(2, v.time)
	for _, id := range v.consumed {
		w.message(3, func(w *fieldWriter) { w.inputID(id) })
	}
	for i := range v.mutations {
		w.message(4, func(w *fieldWriter) { w.mutation(&v.mutations[i]) })
	}
}

func readInvocation(b []byte) (v invocation, err error) {
	err = readFields(b, func(f *field) (err error) {
		switch f.num {
		case 1:
			v.target, err = readAddress(f.data)
		case 2:
			v.time = f.int64()
		case 3:
			var id InputID
			id, err = readInputID(f.data)
			v.consumed = append(v.consumed, id)
		case 4:
			var m stateMutation
			m, err = readMutation(f.data)
			v.mutations = append(v.mutations, m)
		}
		return err
	})
	return v, err
}

// size is about what encode returns, in bytes.
func (c *commit) size() int {
	n := 64
	for i := range c.invocations {
		v := &c.invocations[i]
		n += 64 + len(v.target.ID) + 24*len(v.consumed)
		for j := range v.mutations {
			m := &v.mutations[j]
			n += 32 + 2*len(m.name) + len(m.value.Value.Type) + len(m.value.Value.Data)
		}
	}
	for i := range c.sends {
		n += c.sends[i].envelope.Size() + 16
	}
	for i := range c.timersSet {
		n += c.timersSet[i].Envelope.Size() + 32
	}
	for i := range c.replies {
		n += c.replies[i].Size() + 8
	}
	for i := range c.egress {
		m := &c.egress[i].message
		n += 96 + len(c.egress[i].source.ID) + len(c.egress[i].trace.Parent) + len(m.Key) + len(m.Value.Type) + len(m.Value.Data)
	}
	return n
}

func (c *commit) encode() []byte {
	w := fieldWriter{b: make([]byte, 0, c.size())}
	w.int64(1, c.time)
	for i := range c.progress {
		w.message(2, func(w *fieldWriter) { w.progress(&c.progress[i]) })
	}
	for i := range c.invocations {
		w.message(3, func(w *fieldWriter) { w.invocation(&c.invocations[i]) })
	}
	for i := range c.sends {
		s := &c.sends[i]
		w.message(4, func(w *fieldWriter) {
			w.int(1, s.to)
			w.uint(2, s.number)
			w.envelope(3, &s.envelope)
		})
	}
	for i := range c.timersSet {
		start := w.begin(5)
		w.b = AppendTimer(w.b, &c.timersSet[i])
		w.end(start)
	}
	for _, g := range c.timersGone {
		w.message(6, func(w *fieldWriter) {
			w.timerID(g.id)
			w.bool(4, g.fired)
		})
	}
	for i := range c.egress {
		w.message(7, func(w *fieldWriter) { w.egress(&c.egress[i]) })
	}
	for i := range c.deadLetters {
		w.message(8, func(w *fieldWriter) { w.deadLetter(&c.deadLetters[i]) })
	}
	for i := range c.replies {
		w.envelope(9, &c.replies[i])
	}
	return w.b
}

func readSend(b []byte) (s numberedSend, err error) {
	err = readFields(b, func(f *field) (err error) {
		switch f.num {
		case 1:
			s.to = f.int()
		case 2:
			s.number = f.v
		case 3:
			s.envelope, err = ParseEnvelope(f.data)
		}
		return err
	})
	return s, err
}

func decodeCommit(body []byte) (*commit, error) {
	c := &commit{}
	err := readFields(body, func(f *field) error { return c.read(f) })
	if err != nil {
		return nil, fmt.Errorf("decode commit: %w", err)
	}
	return c, nil
}

func (c *commit) read(f *field) (err error) {
	switch f.num {
	case 1:
		c.time = f.int64()
	case 2:
		c.progress, err = appendRead(c.progress, f, readProgress)
	case 3:
		c.invocations, err = appendRead(c.invocations, f, readInvocation)
	case 4:
		c.sends, err = appendRead(c.sends, f, readSend)
	case 5:
		c.timersSet, err = appendRead(c.timersSet, f, ParseTimer)
	case 6:
		var g goneTimer
		g.id, g.fired, err = readTimerID(f.data)
		c.timersGone = append(c.timersGone, g)
	case 7:
		c.egress, err = appendRead(c.egress, f, readEgress)
	case 8:
		c.deadLetters, err = appendRead(c.deadLetters, f, readDeadLetter)
	case 9:
		c.replies, err = appendRead(c.replies, f, ParseEnvelope)
	}
	return err
}

func appendRead[T any](list []T, f *field, read func([]byte) (T, error)) ([]T, error) {
	item, err := read(f.data)
	return append(list, item), err
}

// sortedPairs returns m by peer: map order must not reach a record.
func sortedPairs(m map[int]uint64) []pairNumber {
	out := make([]pairNumber, 0, len(m))
	for peer, number := range m {
		out = append(out, pairNumber{peer: peer, number: number})
	}
	slices.SortFunc(out, func(a, b pairNumber) int { return a.peer - b.peer })
	return out
}

// sortedAccepted is the same for accepted numbers.
func sortedAccepted(m map[int]accepted) []pairNumber {
	out := make([]pairNumber, 0, len(m))
	for peer, a := range m {
		out = append(out, pairNumber{peer, a.number, a.epoch})
	}
	slices.SortFunc(out, func(a, b pairNumber) int { return a.peer - b.peer })
	return out
}
