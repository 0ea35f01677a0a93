package actor

import (
	"encoding/binary"
	"slices"

	"github.com/jetfn/jetfn/internal/mutant"
)

// sinkPause is the first pause before a sink is fenced again after trouble,
// in milliseconds; it doubles up to sinkPauseMax.
const (
	sinkPause    = 50
	sinkPauseMax = 2000
)

// sink brings egress messages or dead letters into their stream, each exactly
// once, in commit order (PROTOCOL E1, E2, E4–E6, E8). It publishes singles
// that expect the partition's marker; after any doubt it writes the marker
// again, scans what is stored, and publishes what is missing.
type sink struct {
	p     *Partition
	index sinkIndex
	phase sinkPhase

	used     bool
	mark     uint64 // sequence of our marker; the last one known while fencing
	markBody []byte // of the marker being written
	markedAt int64  // when our latest marker was on its way
	marks    uint64 // markers written by this owner
	scans    uint64 // asked for by this owner
	foreign  bool   // since our last marker another owner may have stored messages
	replaces bool   // the marker being written may replace another owner's
	// unsafe is the newest commit whose append had begun when another owner's
	// marker was replaced. It may have been durable, and stored by that
	// owner, before we knew: a scan that began earlier says nothing about it.
	unsafe  uint64
	highest uint64 // highest sequence known stored by this partition
	from    uint64 // where a scan of recovered messages has to begin

	queue    []*sinkItem // not known stored, in commit order
	next     int         // items of queue before it are on their way
	inFlight int
	pause    int64
	perAddr  bool // one unacknowledged message per address
	busy     map[Address]int
}

type sinkPhase uint8

const (
	sinkClosed   sinkPhase = iota // no marker of ours yet
	sinkOpen                      // our marker is the last
	sinkRenewing                  // the marker gets old: waiting for what is in flight
	sinkTrouble                   // something failed: waiting for what is in flight
	sinkResting                   // waiting for the pause to pass
	sinkReading                   // reading the last marker
	sinkMarking                   // writing ours
	sinkScanning
)

type sinkItem struct {
	message SinkMessage
	effect  *applying
	size    int
	sent    bool // it may be stored
	flying  bool
}

func newSink(p *Partition, index sinkIndex) *sink {
	return &sink{p: p, index: index, pause: sinkPause, perAddr: index == sinkEgress && p.cfg.EgressLimited, busy: map[Address]int{}}
}

func (s *sink) restore(pos sinkPosition) {
	s.used, s.from, s.highest = pos.used, pos.seq, pos.seq
}

// add queues a message of a durable commit.
func (s *sink) add(m SinkMessage, effect *applying, d *durableCommit) {
	s.used = true
	effect.left++
	effect.sinks[s.index] = sinkStart{used: true, after: d.sinksAt[s.index]}
	size := m.size()
	s.p.applier.waiting += size
	s.queue = append(s.queue, &sinkItem{message: m, effect: effect, size: size, sent: d.recovered})
	fencing := s.phase == sinkMarking || s.phase == sinkScanning || s.phase == sinkOpen || s.phase == sinkRenewing
	if fencing && effect.number <= s.unsafe && !mutant.On("sink-commit-in-flight") {
		s.phase, s.foreign = sinkTrouble, true
	}
}

// size is about what m takes in memory.
func (m *SinkMessage) size() int {
	n := heldOverhead + len(m.Source.ID)
	if e := m.Egress; e != nil {
		n += len(e.Key) + len(e.Topic) + len(e.Value.Type) + len(e.Value.Data)
	}
	if l := m.DeadLetter; l != nil {
		n += l.Envelope.Size() + len(l.Error)
	}
	return n
}

// pump publishes what is waiting, or makes the sink ready for it.
func (s *sink) pump() {
	switch s.phase {
	case sinkOpen:
		s.publish()
	case sinkRenewing:
		s.renew()
	case sinkClosed:
		if s.used {
			s.read()
		}
	case sinkTrouble:
		if s.inFlight == 0 {
			s.rest()
		}
	case sinkResting, sinkReading, sinkMarking, sinkScanning:
	}
}

func (s *sink) publish() {
	for i := s.next; i < len(s.queue) && s.inFlight < s.p.cfg.SinkWindow; i++ {
		it := s.queue[i]
		wait := s.perAddr && s.busy[it.message.Source] > 0
		if i == s.next && (it.flying || !wait) {
			s.next++
		}
		if it.flying || wait {
			continue
		}
		if mutant.On("sink-scan-from-publish") && !it.sent {
			it.effect.sinks[s.index].after = s.highest
		}
		it.flying, it.sent = true, true
		s.inFlight++
		s.occupy(it.message.Source, 1)
		s.p.request(sinkPublish{s.index, &it.message, s.mark})
	}
}

// stored takes the outcome of a publish.
func (s *sink) stored(id SinkID, res WriteResult) {
	s.inFlight--
	at := s.find(id)
	if at < 0 {
		return
	}
	it := s.queue[at]
	it.flying = false
	s.occupy(it.message.Source, -1)
	if res.Outcome == Stored {
		s.highest = max(s.highest, res.Seq)
		s.pause = sinkPause
		s.remove(at)
		return
	}
	s.next = min(s.next, at)
	s.notStored(it, res.Err)
}

// occupy counts the messages of an address that are on their way, where that
// matters.
func (s *sink) occupy(a Address, by int) {
	if !s.perAddr {
		return
	}
	if s.busy[a] += by; s.busy[a] <= 0 {
		delete(s.busy, a)
	}
}

func (s *sink) find(id SinkID) int {
	for i, it := range s.queue {
		if it.message.ID == id {
			return i
		}
	}
	return -1
}

func (s *sink) remove(at int) {
	it := s.queue[at]
	if at < s.next {
		s.next--
	}
	if at == 0 {
		s.queue[0] = nil
		s.queue = s.queue[1:]
	} else {
		s.queue = append(s.queue[:at], s.queue[at+1:]...)
	}
	s.inPlace(it)
}

func (s *sink) inPlace(it *sinkItem) {
	s.p.applier.waiting -= it.size
	s.p.done(it.effect)
}

func (s *sink) rest() {
	s.phase = sinkResting
	s.p.after(s.pause, func() { s.read() })
	s.pause = min(2*s.pause, sinkPauseMax)
}

func (s *sink) read() {
	s.phase = sinkReading
	s.p.request(sinkLastMark{s.index})
}

// gotMark takes the last marker; sequence zero means that there is none.
func (s *sink) gotMark(m Mark, err error) {
	switch {
	case s.phase != sinkReading:
	case err != nil:
		s.rest()
	case s.markBody != nil && string(m.Body) == string(s.markBody):
		s.marked(WriteResult{Outcome: Stored, Seq: m.Seq})
	case mutant.On("sink-without-fence") && m.Seq != 0:
		s.marked(WriteResult{Outcome: Stored, Seq: m.Seq})
	default:
		s.writeMark(m.Seq)
	}
}

func (s *sink) writeMark(after uint64) {
	s.phase, s.markedAt = sinkMarking, s.p.now
	// No marker at all may be another owner's that the stream's limits have
	// removed (E6).
	if after != s.mark || after == 0 && !mutant.On("sink-trusts-no-marker") {
		s.foreign, s.replaces = true, true
	}
	s.marks++
	s.markBody = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.p.cfg.Incarnation), s.marks)
	s.p.request(sinkMark{s.index, s.markBody, after})
}

// marked takes the outcome of writing the marker.
func (s *sink) marked(res WriteResult) {
	if s.phase != sinkMarking && s.phase != sinkReading {
		return
	}
	if res.Outcome != Stored {
		s.rest()
		return
	}
	if s.replaces { // from here on nobody else stores what we begin
		s.replaces, s.unsafe = false, s.p.writer.commit
	}
	s.mark = res.Seq
	s.highest = max(s.highest, res.Seq)
	// Any message may be stored that we have sent. If another owner had its
	// marker there, it may have stored any commit of ours, too.
	maybe := func(it *sinkItem) bool { return it.sent || s.foreign && !mutant.On("sink-trusts-unsent") }
	if slices.ContainsFunc(s.queue, maybe) && !mutant.On("sink-without-scan") {
		s.phase = sinkScanning
		s.scans++
		s.p.request(sinkScan{s.index, s.scanFrom(), s.mark, s.scans})
		return
	}
	s.open()
}

// scanFrom is a sequence that everything possibly stored lies behind (E5).
func (s *sink) scanFrom() uint64 {
	from := s.highest
	for _, it := range s.queue {
		from = min(from, it.effect.sinks[s.index].after)
	}
	return from
}

// scanned takes the messages found in the stream by scan number count. A slow
// answer to an earlier one says nothing about what was stored since.
func (s *sink) scanned(count uint64, ids []SinkID, err error) {
	if s.phase != sinkScanning || count != s.scans && !mutant.On("sink-any-scan") {
		return
	}
	if err != nil {
		s.rest()
		return
	}
	found := make(map[SinkID]bool, len(ids))
	for _, id := range ids {
		found[id] = true
	}
	queue := s.queue
	s.queue, s.next = nil, 0
	for _, it := range queue {
		if found[it.message.ID] {
			s.inPlace(it)
			continue
		}
		it.sent = false
		s.queue = append(s.queue, it)
	}
	s.open()
}

func (s *sink) open() {
	s.phase, s.markBody, s.foreign = sinkOpen, nil, false
	clear(s.busy)
	s.renewInTime()
	s.publish()
}

// position is where a scan has to begin after a crash now.
func (s *sink) position() sinkPosition { return sinkPosition{used: s.used, seq: s.lowestStart()} }

// lowestStart covers every commit that a new owner would apply again, also
// those whose messages are all stored.
func (s *sink) lowestStart() uint64 {
	low := s.highest
	if mutant.On("sink-scan-from-last") {
		return low
	}
	for _, c := range s.p.applier.queue {
		if start := c.sinks[s.index]; start.used {
			low = min(low, start.after)
		}
	}
	return low
}
