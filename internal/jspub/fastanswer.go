package jspub

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// codeUnknownBatch means that the message's batch has ended before it.
const codeUnknownBatch = 10208

// fastBatch is a fast batch on its way. Its answers come one after the other.
//
// If all is well there are two: that the batch began, and one for all of its
// messages. If a message can't be stored, a word about it comes, then an
// acknowledgement of what comes before it, then an error for each message
// behind it; if it is the first one, an error for each.
type fastBatch struct {
	errors int   // messages that an error came for
	first  int   // the number of the first of them
	unsure bool  // whether one of these may be stored
	err    error // why the batch ended
	result gather.BatchResult
}

// fastAnswer is anything that JetStream says to a fast batch.
type fastAnswer struct {
	Type  string       `json:"type"` // ack, gap or err; else it is an acknowledgement of a publish
	Seq   uint64       `json:"seq"`
	Batch string       `json:"batch"`
	Count int          `json:"count"`
	Error *ServerError `json:"error"`
}

// onFastAnswer takes an answer; token is the subject behind the prefix.
func (p *Publisher) onFastAnswer(token string, m *nats.Msg) {
	parts := strings.Split(token, ".") // batch, flow, gap, number, operation, $FI
	if len(parts) != 6 {
		return
	}
	_, text, _ := strings.Cut(parts[0], "-")
	id, err1 := strconv.ParseUint(text, 36, 64)
	number, err2 := strconv.Atoi(parts[3])
	if err1 != nil || err2 != nil {
		return
	}
	b := p.fastBatch(id)
	if b == nil {
		return
	}
	last := parts[4] == fastCommit || parts[4] == fastEnd
	ack, decided := b.answer(parts[0], number, last, m)
	if !decided {
		return
	}
	if done, _ := p.take(id); done != nil {
		p.tell(done, ack)
	}
}

// fastBatch returns the one that waits under an id; nil if none does.
func (p *Publisher) fastBatch(id uint64) *fastBatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id < p.base || id-p.base >= uint64(len(p.calls)) {
		return nil
	}
	return p.calls[id-p.base].batch
}

// answer takes one to the message with this number, and says whether the
// batch's outcome is known by it: Unknown, or Stored, and then b.result is it.
func (b *fastBatch) answer(id string, number int, last bool, m *nats.Msg) (Ack, bool) {
	var a fastAnswer
	err := json.Unmarshal(m.Data, &a)
	switch {
	case len(m.Data) == 0:
		b.failed(number, parseAck(m).Err, true)
	case err != nil:
		b.failed(number, fmt.Errorf("parse acknowledgement: %w", err), true)
	case a.Type != "":
		if a.Error != nil { // the acknowledgement of those before it follows
			b.err = a.Error
		}
		return Ack{}, false
	case a.Error != nil:
		b.failed(number, a.Error, !surelyNotStored(a.Error))
	case a.Batch != id || a.Count > number || a.Seq == 0:
		return unknown(errors.New("the acknowledgement is not that of the batch")), true
	default:
		b.ended(a.Count, a.Seq)
		return Ack{}, true
	}
	if !last {
		return Ack{}, false
	}
	if b.errors < number || b.unsure {
		return unknown(b.err), true
	}
	b.result = gather.BatchResult{Rest: actor.Refused, Err: b.err}
	return Ack{}, true
}

func (b *fastBatch) failed(number int, err error, unsure bool) {
	b.errors++
	if b.first == 0 {
		b.first, b.err = number, err
	}
	b.unsure = b.unsure || unsure
}

// ended takes the acknowledgement of the first messages.
func (b *fastBatch) ended(count int, seq uint64) {
	b.result = gather.BatchResult{Stored: count, Seq: seq, Rest: actor.Refused, Err: b.err}
	if b.first == 0 || b.first > count {
		return
	}
	// The stream got full between the server's check and the write: one of these
	// is not stored, and those behind it are.
	b.result.Stored, b.result.Rest = b.first-1, actor.Unknown
}

// surelyNotStored says whether a message that was answered with e is not in
// the stream, and won't be.
func surelyNotStored(e *ServerError) bool {
	return e.Code == codeUnknownBatch || classify(e).Outcome != actor.Unknown || slices.Contains(batchRefusals(), e.Code)
}
