package sim

import (
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// host is a process that owners of several partitions, and former owners,
// live in. What they write to one stream is gathered, over one connection a
// stream.
type host struct {
	w       *World
	writers map[string]*writer // by port
}

func (w *World) host() *host {
	for len(w.hosts) < w.plan.Knobs.Hosts {
		w.hosts = append(w.hosts, &host{w: w, writers: map[string]*writer{}})
	}
	return w.hosts[w.rnd.IntN(len(w.hosts))]
}

// gathered is a write of an owner.
type gathered struct {
	o     *owner
	key   string      // what check is about, if the write changes it
	check func() bool // whether the store would take it; nil: always
	do    func() actor.WriteResult
	may   func() bool // whether it may be sent; nil: always
}

// writer is a host's way into a stream.
type writer struct {
	w      *World
	name   string // of the port
	port   string // that may be full; empty: it never is
	loose  bool   // messages may overtake each other, and get lost singly
	fast   bool   // a batch is stored one by one
	number int    // of the connection
	lane   *lane
	gather *gather.Gatherer[*gathered]
}

func (h *host) writer(name, port string, loose bool) *writer {
	s := h.writers[name]
	if s == nil {
		s = &writer{w: h.w, name: name, port: port, loose: loose, fast: h.w.plan.Knobs.Fast && !loose}
		s.connect()
		s.gather = gather.New(s, h.w.plan.Knobs.Gather)
		h.writers[name] = s
	}
	return s
}

// connect makes a connection, the first one or one in place of a broken one.
func (s *writer) connect() {
	s.number++
	s.lane = &lane{marked: true}
	s.lane.broke = func() { s.w.after(s.w.rnd.Int64N(2*s.w.plan.Knobs.Timeout), s.connect) }
}

func (s *writer) packet() packet {
	p := packet{port: s.port, lane: s.lane, whole: !s.loose, twice: s.loose}
	if s.loose {
		p.lane = nil
	}
	return p
}

// Single is part of gather.Stream.
func (s *writer) Single(g *gathered, done func(actor.WriteResult)) {
	if g.may != nil && !g.may() {
		done(actor.WriteResult{Outcome: actor.Unknown, Err: errTimeout})
		return
	}
	p := s.packet()
	p.do, p.done = g.do, done
	g.o.write(p)
}

// Batch is part of gather.Stream.
func (s *writer) Batch(list []*gathered, done func(gather.BatchResult)) {
	for _, g := range list {
		if g.may != nil && !g.may() {
			done(gather.BatchResult{Rest: actor.Refused, Err: errTimeout})
			return
		}
	}
	s.w.hit(Batch)
	store := s.store
	if s.fast {
		store = s.storeEach
	}
	r := gather.BatchResult{}
	p := s.packet()
	p.do = func() (res actor.WriteResult) {
		r.Stored, r.Seq, res = store(list)
		return res
	}
	p.done = func(res actor.WriteResult) {
		if res.Outcome == actor.Unknown { // nobody heard what became of it
			r = gather.BatchResult{}
		}
		r.Rest, r.Err = res.Outcome, res.Err
		done(r)
	}
	list[0].o.write(p)
}

// store stores all writes of a batch or none.
func (s *writer) store(list []*gathered) (n int, seq uint64, last actor.WriteResult) {
	keys := map[string]bool{}
	for _, g := range list {
		if g.check != nil && (keys[g.key] || !g.check()) {
			s.w.hit(BatchRefused)
			s.w.log(g.o, "  "+s.name, "a batch of %d is refused", len(list))
			return 0, 0, actor.WriteResult{Outcome: actor.Rejected, Err: errBusy}
		}
		if g.key != "" {
			keys[g.key] = true
		}
	}
	s.w.log(list[0].o, "  "+s.name, "a batch of %d is stored", len(list))
	for _, g := range list {
		if last = g.do(); last.Outcome != actor.Stored {
			s.w.fail("a write in a batch for %s is not stored: %v", s.name, last)
		}
	}
	return len(list), last.Seq, last
}

// storeEach stores one write after the other, up to the first that may not be
// stored, or is lost.
func (s *writer) storeEach(list []*gathered) (n int, seq uint64, last actor.WriteResult) {
	lost := len(list)
	if s.w.chance(s.w.plan.Knobs.Cut, BatchCut) {
		lost = s.w.rnd.IntN(len(list))
	}
	for i, g := range list {
		if i == lost || !g.check() {
			s.w.hit(BatchCut)
			s.w.log(g.o, "  "+s.name, "a batch of %d ends before its write %d", len(list), i)
			return i, seq, actor.WriteResult{Outcome: actor.Rejected, Err: errBusy}
		}
		if last = g.do(); last.Outcome != actor.Stored {
			s.w.fail("a write in a batch for %s is not stored: %v", s.name, last)
		}
		seq = last.Seq
	}
	return len(list), seq, last
}

// Now is part of gather.Stream.
func (s *writer) Now() time.Duration { return time.Duration(s.w.now) * time.Millisecond }

// After is part of gather.Stream.
func (s *writer) After(d time.Duration, f func()) { s.w.after(d.Milliseconds(), f) }

// isLast says whether the partition's last marker is the one at sequence mark.
func (s *sink) isLast(mark uint64) bool {
	m, err := s.inner.LastMark(s.o.ctx)
	return err == nil && m.Seq == mark
}

// writer is where the sink's messages are gathered.
func (s *sink) writer() *writer {
	port := "" // such a stream never refuses
	if s.limited() {
		port = s.port
	}
	return s.o.host.writer(s.port, port, false)
}
