package actor

import (
	"errors"
	"fmt"

	"github.com/jetfn/jetfn/internal/mutant"
)

// appendPause is the first pause before an append with an unknown outcome is
// repeated, in milliseconds; it doubles up to appendPauseMax.
const (
	appendPause    = 50
	appendPauseMax = 2000
)

// journalWriter appends records, one at a time, each chained to the one
// before (PROTOCOL J1–J4, J7).
type journalWriter struct {
	p   *Partition
	max int // largest record in bytes

	epoch      uint64
	commit     uint64 // number of the newest commit appended or being appended
	lastSeq    uint64 // the newest record known stored
	lastSum    uint64
	end        uint64 // the subject's last sequence: lastSeq, or that of a stray message behind it
	checkpoint uint64 // where the newest complete checkpoint begins
	count      uint64 // records tried, for their ids

	job     *writeJob // what is being written; nil: idle
	data    []byte    // the record in flight
	id      recordID
	pause   int64
	probing bool   // waiting for the record that was stored in our place
	behind  uint64 // the last sequence as the server told it when it rejected ours
}

// writeJob is one logical record.
type writeJob struct {
	kind  recordKind
	body  []byte
	sent  int    // bytes of body in records that are stored
	part  int    // records stored
	parts int    // records needed
	first uint64 // sequence of the first record
	proof bool   // that nobody has taken over
	done  func(seq uint64)
}

// recordOverhead is what a record takes besides its body, generously.
const recordOverhead = 256

func (w *journalWriter) idle() bool { return w.job == nil }

// write starts a logical record; done is called with the sequence of its last
// record once it is durable. The writer must be idle.
func (w *journalWriter) write(kind recordKind, body []byte, done func(seq uint64)) {
	size := max(w.max-recordOverhead, 1)
	w.job = &writeJob{kind: kind, body: body, parts: max(1, (len(body)+size-1)/size), done: done}
	w.appendNext()
}

// prove appends one more Open to know whether the journal is still ours, which
// no read can tell: it may be answered by a server that has missed the end.
func (w *journalWriter) prove() {
	if w.idle() {
		w.epoch++
		w.write(kindOpen, nil, func(uint64) { w.p.fail(w.p.doubted) })
		w.job.proof = true
	}
}

func (w *journalWriter) appendNext() {
	j := w.job
	w.count++
	w.id = recordID{w.p.cfg.Incarnation, w.count}
	r := record{
		kind: j.kind, id: w.id, epoch: w.epoch, commit: w.commit, prevSeq: w.lastSeq, prevSum: w.lastSum,
		checkpoint: w.checkpoint, time: w.p.now, body: j.body,
	}
	if j.parts > 1 {
		size := w.max - recordOverhead
		r.kind, r.partOf, r.part, r.parts = kindPart, j.kind, j.part, j.parts
		r.body = j.body[j.sent:min(j.sent+size, len(j.body))]
		if j.kind == kindCheckpoint && j.part == j.parts-1 {
			r.checkpoint = j.first // so that the last part leads to the first
		}
	}
	j.sent += len(r.body)
	w.data = r.encode()
	w.pause = appendPause
	w.send()
}

func (w *journalWriter) send() {
	w.p.request(appendRecord{data: w.data, after: max(w.end, w.lastSeq)})
}

// appended takes the outcome of the append in flight.
func (w *journalWriter) appended(res WriteResult) {
	switch {
	case w.job == nil || w.probing:
	case mutant.On("unknown-is-stored") && res.Outcome == Unknown:
		w.stored(w.lastSeq + 1)
	case res.Outcome == Stored:
		w.stored(res.Seq)
	case res.Outcome == Rejected && res.Seq == 0 && w.lastSeq != 0:
		w.p.fail(fmt.Errorf("%w: partition %d: the journal is empty, but its last record was at %d", ErrCorrupt, w.p.cfg.Partition, w.lastSeq))
	case res.Outcome == Rejected && res.Seq > w.lastSeq:
		w.probing, w.behind = true, res.Seq
		w.probe()
	default: // unknown, or not proven to be fenced: the identical bytes again
		w.again()
	}
}

func (w *journalWriter) again() {
	id := w.id
	w.p.after(w.pause, func() {
		if w.job != nil && w.id == id && !w.probing {
			if mutant.On("rebuild-after-unknown") {
				w.job.body, w.job.sent = nil, 0
				w.appendNext()
				return
			}
			w.send()
		}
	})
	w.pause = min(2*w.pause, appendPauseMax)
}

// probe looks for the record that was stored in our place: the first one
// behind our last that isn't a stray.
func (w *journalWriter) probe() { w.p.request(readNext{from: max(w.end, w.lastSeq) + 1}) }

// probed takes what is there.
func (w *journalWriter) probed(e Entry, err error) {
	if err == nil && stray(e.Data) {
		w.end = e.Seq
		if e.Seq < w.behind {
			w.probe()
			return
		}
		w.probing = false
		w.p.notice(noticeWarn, "message of somebody else in the journal, passed over", Address{}, nil)
		w.send()
		return
	}
	w.probing = false
	if err != nil {
		w.again()
		return
	}
	r, err := decodeRecord(e.Data)
	switch {
	case err == nil && (r.id == w.id || mutant.On("own-by-epoch") && r.epoch == w.epoch):
		w.stored(e.Seq)
	case err == nil && r.prevSeq < w.lastSeq:
		w.again() // an old record: the read was stale
	default:
		w.p.fail(errors.Join(ErrFenced, err))
	}
}

func (w *journalWriter) stored(seq uint64) {
	j := w.job
	if seq <= w.lastSeq {
		w.p.fail(fmt.Errorf("%w: record stored at %d, behind its predecessor at %d", ErrCorrupt, seq, w.lastSeq))
		return
	}
	w.lastSeq, w.lastSum = seq, checksum(w.data)
	w.data = nil
	if j.part == 0 {
		j.first = seq
	}
	j.part++
	if j.part < j.parts {
		w.appendNext()
		return
	}
	w.job = nil
	if j.kind == kindCheckpoint {
		w.checkpoint = j.first
	}
	if w.p.doubted != nil && !j.proof {
		w.prove() // this one may have been stored before the doubt
	}
	j.done(seq)
}
