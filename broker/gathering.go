package broker

import (
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

const (
	maxPackMessages = 500
	maxPackBytes    = 256 << 10
	// packsInFlight bounds the packs that the stream has not answered. It
	// stores one at a time, so that more of them would only close earlier.
	packsInFlight = 4
)

// outside is a message that the gate has taken.
type outside struct {
	packed
	partition int
	reply     string       // of a publisher over NATS
	done      func(answer) // of one in this process
	id        idKey
	same      []*outside // under the same id, they wait for this one
}

// answer is what a publisher is told.
type answer struct {
	outcome   actor.Outcome
	place     place
	duplicate bool
	err       error // set unless Stored
}

// place is where a message is stored.
type place struct {
	seq   uint64
	index int
}

type answered struct {
	to     *outside
	answer answer
}

// pack is what becomes one stored message.
type pack struct {
	partition int
	messages  []*outside
	bytes     int
	msg       *nats.Msg
	first     time.Time // when it was published first
	ack       jspub.Ack
}

// gathering is what a gate holds: queues, one a partition, and packs. All of
// its methods are safe for many goroutines.
type gathering struct {
	packBytes, limit int
	wake             chan struct{} // something happened; holds one

	mu       sync.Mutex
	lanes    []lane
	ready    []int // partitions with a queue and no pack in flight, first come
	flying   map[*pack]struct{}
	finished []*pack
	bytes    int   // of all that is not answered
	held     int   // messages that are not answered
	room     int64 // bytes that may be taken yet
	refused  bool  // something, since room was set, for lack of it
	ids      knownIDs
	closing  bool // takes no more from this process
	ended    bool // takes no more
}

// lane is one partition's queue.
type lane struct {
	queue []*outside
	busy  bool // has a pack in flight
}

func newGathering(partitions, packBytes, limit int) *gathering {
	return &gathering{
		packBytes: packBytes, limit: limit, wake: make(chan struct{}, 1),
		lanes: make([]lane, partitions), flying: map[*pack]struct{}{}, ids: newKnownIDs(), room: math.MaxInt64,
	}
}

func (g *gathering) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// take adds m, or returns what to answer at once.
func (g *gathering) take(m *outside) (now answer, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.ended || g.closing && m.done != nil:
		return answer{outcome: actor.Refused, err: notTaken()}, true
	case g.bytes+heldSize(m) > g.limit && g.held > 0:
		return answer{outcome: actor.Refused, err: tooMany()}, true
	}
	if m.said.msgID != "" {
		m.id = g.ids.key(m.said.msgID)
		if first := g.ids.pending[m.id]; first != nil {
			first.same = append(first.same, m)
			g.hold(m, 1)
			return answer{}, false
		}
		if at, known := g.ids.find(m.id, time.Now()); known {
			return answer{place: at, duplicate: true}, true
		}
	}
	if g.room -= int64(heldSize(m)); g.room < 0 {
		g.room, g.refused = g.room+int64(heldSize(m)), true
		return answer{outcome: actor.Refused, err: noRoom()}, true
	}
	if m.said.msgID != "" {
		g.ids.pending[m.id] = m
	}
	g.hold(m, 1)
	l := &g.lanes[m.partition]
	if len(l.queue) == 0 && !l.busy {
		g.ready = append(g.ready, m.partition)
	}
	l.queue = append(l.queue, m)
	if len(g.flying) < packsInFlight && len(g.ready) > 0 {
		g.signal()
	}
	return answer{}, false
}

// hold counts m in, or out with -1; mu is held.
func (g *gathering) hold(m *outside, sign int) {
	g.held += sign
	g.bytes += sign * heldSize(m)
}

// setRoom says how many bytes outside messages may take now, those that are
// not answered among them, and returns whether there was too little since it
// was called before.
func (g *gathering) setRoom(room int64) (refused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.room = room - int64(g.bytes)
	refused, g.refused = g.refused, false
	return refused
}

// heldSize is about what m takes in memory.
func heldSize(m *outside) int { return m.size() + len(m.reply) + heldOverhead }

// heldOverhead is about what is held for a message besides its bytes.
const heldOverhead = 300

// next forms a pack, or returns nil if there is none to form now.
func (g *gathering) next() *pack {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.ready) == 0 || len(g.flying) >= packsInFlight {
		return nil
	}
	p := &pack{partition: g.ready[0]}
	g.ready = g.ready[1:]
	l := &g.lanes[p.partition]
	n := 0
	for n < len(l.queue) && n < maxPackMessages {
		size := l.queue[n].size()
		if n > 0 && p.bytes+size > g.packBytes {
			break
		}
		p.bytes += size
		n++
	}
	p.messages = l.queue[:n:n]
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil // lets go of what was in it
	}
	l.busy = true
	g.flying[p] = struct{}{}
	return p
}

// finish notes that the outcome of p has come.
func (g *gathering) finish(p *pack) {
	g.mu.Lock()
	g.finished = append(g.finished, p)
	g.mu.Unlock()
	g.signal()
}

func (g *gathering) takeFinished() []*pack {
	g.mu.Lock()
	defer g.mu.Unlock()
	finished := g.finished
	g.finished = nil
	return finished
}

// conclude lets the next pack of the partition form, and returns the answers
// to all in p.
func (g *gathering) conclude(p *pack) []answered {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flying, p)
	l := &g.lanes[p.partition]
	l.busy = false
	if len(l.queue) > 0 {
		g.ready = append(g.ready, p.partition)
	}
	now := time.Now()
	answers := make([]answered, 0, len(p.messages))
	for i, m := range p.messages {
		a := answer{outcome: p.ack.Outcome, err: p.ack.Err, place: place{p.ack.Seq, i}}
		answers = append(answers, answered{m, a})
		g.hold(m, -1)
		if m.said.msgID == "" {
			continue
		}
		delete(g.ids.pending, m.id)
		if a.outcome == actor.Stored {
			g.ids.add(m.id, a.place, now)
			a.duplicate = true
		}
		for _, same := range m.same {
			answers = append(answers, answered{same, a})
			g.hold(same, -1)
		}
	}
	return answers
}

// close takes no more from this process.
func (g *gathering) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closing = true
}

func (g *gathering) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held == 0
}

// rest ends the gathering and returns what is not answered: what was never
// published, and what may be stored.
func (g *gathering) rest() (waiting, unknown []*outside) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	for i := range g.lanes {
		for _, m := range g.lanes[i].queue {
			waiting = append(append(waiting, m), m.same...)
		}
		g.lanes[i].queue = nil
	}
	for p := range g.flying {
		for _, m := range p.messages {
			unknown = append(append(unknown, m), m.same...)
		}
	}
	return waiting, unknown
}
