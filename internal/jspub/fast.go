package jspub

import (
	"crypto/rand"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// A fast batch's messages are stored one by one, each with its own checks, and
// acknowledged together. What the server has to know is in their reply
// subjects: <prefix><batch>.<flow>.<gap>.<number>.<operation>.$FI
const (
	fastSuffix = ".$FI"
	fastMiddle = ".1000.fail." // an answer for each 1,000 at most; one that can't be stored ends the batch
	fastStart  = "0"
	fastAppend = "1"
	fastCommit = "2" // stores the message and ends the batch
	fastEnd    = "3" // ends it without storing
	fastLeast  = 2
)

// NewFastWriter returns a Writer for stream, for servers that don't sync before
// they acknowledge. Where the stream takes fast batches, messages that pile up
// are acknowledged together. The sequence that is told for one is where it is
// stored at the latest, since others may write to the stream as well.
//
// A replicated stream would refuse all but one of the messages that expect the
// same sequence and are on their way together, so it gets single messages.
func (p *Publisher) NewFastWriter(stream jetstream.Stream) *Writer {
	w := &Writer{pub: p}
	if cfg := stream.CachedInfo().Config; cfg.AllowBatchPublish && cfg.Replicas <= 1 {
		w.nonce, w.start = rand.Text()[:12]+"-", time.Now()
		w.gather = gather.New(fastGathered{gathered{w}}, gather.Limits{
			Singles: writerSingles, Least: fastLeast, Most: writerMost, Bytes: writerBytes,
		})
	}
	return w
}

// fastGathered is a Writer that sends fast batches, as its gatherer sees it.
type fastGathered struct{ gathered }

// Batch is part of gather.Stream.
func (w fastGathered) Batch(ms []*Write, done func(gather.BatchResult)) {
	if !w.pub.may(ms...) { // one by one, they learn it themselves
		done(gather.BatchResult{Rest: actor.Refused, Err: ErrReconnected})
		return
	}
	b := &fastBatch{}
	id, ok := w.pub.register(call{batch: b, done: func(a Ack) {
		if a.Outcome != actor.Stored {
			done(gather.BatchResult{Rest: a.Outcome, Err: a.Err})
			return
		}
		done(b.result)
	}})
	if !ok {
		done(gather.BatchResult{Rest: actor.Unknown, Err: ErrClosed})
		return
	}
	prefix := w.pub.prefix + w.nonce + strconv.FormatUint(id, 36) + fastMiddle
	if ack, sent := w.pub.sendFast(prefix, ms); !sent {
		if done, _ := w.pub.take(id); done != nil {
			done(ack)
		}
	}
}

// sendFast hands a batch to the network. If one of its messages can't be sent,
// the batch ends before it. If nothing can be sent, or not the end, the outcome
// is known.
func (p *Publisher) sendFast(prefix string, ms []*Write) (Ack, bool) {
	l := p.letter()
	defer p.giveBack(l)
	for i, m := range ms {
		op := fastAppend
		switch i {
		case len(ms) - 1:
			op = fastCommit
		case 0:
			op = fastStart
		}
		l.say(m.Subject, m.Data, m.Header, nil)
		l.msg.Reply = fastReply(prefix, i+1, op)
		err := p.nc.PublishMsg(&l.msg)
		if err == nil {
			continue
		}
		if i == 0 {
			return localError(err), false
		}
		if err := p.nc.PublishRequest(ms[0].Subject, fastReply(prefix, i+1, fastEnd), nil); err != nil {
			return unknown(err), false
		}
		break
	}
	return Ack{}, true
}

// fastReply is the reply subject of a batch's message.
func fastReply(prefix string, number int, op string) string {
	b := make([]byte, 0, 128)
	b = strconv.AppendInt(append(b, prefix...), int64(number), 10)
	b = append(append(append(b, '.'), op...), fastSuffix...)
	return string(b)
}
