package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
	"github.com/jetfn/jetfn/internal/jspub"
)

// sink is a partition's way into the egress stream or the dead letters'.
type sink struct {
	app         *App
	partition   int
	stream      jetstream.Stream
	scanner     *scanner
	writer      *jspub.Writer
	markSubject string

	// connection is the one over which the marker was written. Over another
	// one, what follows a lost message would overtake it (PROTOCOL E8).
	connection atomic.Uint64

	mark    newest[uint64]     // as a header has it
	subject newest[egressName] // of egress messages without a key
}

// egressName is an egress as the module has it that gave out prefixes.
type egressName struct {
	id       actor.TypeName
	prefixes *map[actor.TypeName]string
}

// sinkHeaders is how many headers most egress messages have at most.
const sinkHeaders = 8

func (s *sink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	id := s.app.sinkID(m.ID)
	expected := s.mark.of(mark, func() string { return strconv.FormatUint(mark, 10) })
	out := &jspub.Write{
		Header: make([]jspub.Field, 0, sinkHeaders),
		ID:     id, Lane: gather.Lane{Key: s.partition, Generation: mark}, Connection: s.connection.Load(),
	}
	out.Header = append(out.Header, jspub.Field{Name: HeaderID, Value: id},
		jspub.Field{Name: headerExpected, Value: expected}, jspub.Field{Name: headerExpectedOf, Value: s.markSubject})
	addText(out, HeaderSource, m.Source.String())
	addText(out, HeaderTraceParent, m.Trace.Parent)
	addText(out, HeaderTraceState, m.Trace.State)
	if m.DeadLetter != nil {
		if err := s.app.fillDeadLetter(out, id, &m); err != nil {
			done(actor.WriteResult{Outcome: actor.Refused, Err: err})
			return
		}
	} else {
		s.fillEgress(out, m.Egress)
	}
	s.writer.Write(out, done)
}

// addText adds a header as setText sets one.
func addText(w *jspub.Write, name, text string) {
	if text != "" {
		w.Header = append(w.Header, jspub.Field{Name: name, Value: headerText(text)})
	}
}

func (s *sink) fillEgress(out *jspub.Write, m *actor.EgressMessage) {
	prefixes := s.app.prefixes.Load()
	subject := s.subject.of(egressName{m.ID, prefixes}, func() string { return s.app.names.egressOf(m.ID, *prefixes) })
	out.Subject = withKey(subject, m.Key)
	out.Data = m.Value.Data
	addText(out, HeaderType, m.Value.Type)
	addText(out, HeaderKey, m.Key)
	addText(out, HeaderTopic, m.Topic)
}

func (s *sink) Mark(body []byte, after uint64, done func(actor.WriteResult)) {
	s.connection.Store(s.app.pub.Connection())
	s.app.pub.Publish(&nats.Msg{
		Subject: s.markSubject,
		Header:  nats.Header{headerExpected: {strconv.FormatUint(after, 10)}},
		Data:    body,
	}, func(ack jspub.Ack) { done(ack.WriteResult) })
}

func (s *sink) LastMark(ctx context.Context) (actor.Mark, error) {
	m, err := s.stream.GetLastMsgForSubject(ctx, s.markSubject)
	if err != nil {
		return actor.Mark{}, fmt.Errorf("read last marker %s: %w", s.markSubject, notFound(err))
	}
	return actor.Mark{Seq: m.Sequence, Body: m.Data}, nil
}

func (s *sink) Scan(ctx context.Context, after, through uint64) ([]actor.SinkID, error) {
	return s.scanner.scan(ctx, s.partition, after, through)
}

// sinkID is the text of an id: unique over all applications and times.
func (a *App) sinkID(id actor.SinkID) string {
	b := make([]byte, 0, 64)
	b = append(b, a.creation.Incarnation...)
	b = strconv.AppendInt(append(b, '-'), int64(id.Partition), 10)
	b = strconv.AppendUint(append(b, '-'), id.Epoch, 10)
	b = strconv.AppendUint(append(b, '-'), id.Commit, 10)
	b = strconv.AppendInt(append(b, '-'), int64(id.Index), 10)
	return string(b)
}

// parseSinkID reads what sinkID wrote; false if it is not of this incarnation.
func (a *App) parseSinkID(text string) (actor.SinkID, bool) {
	parts := strings.Split(text, "-")
	if len(parts) != 5 || parts[0] != a.creation.Incarnation {
		return actor.SinkID{}, false
	}
	partition, err1 := strconv.Atoi(parts[1])
	epoch, err2 := strconv.ParseUint(parts[2], 10, 64)
	commit, err3 := strconv.ParseUint(parts[3], 10, 64)
	index, err4 := strconv.Atoi(parts[4])
	id := actor.SinkID{Partition: partition, Epoch: epoch, Commit: commit, Index: index}
	return id, err1 == nil && err2 == nil && err3 == nil && err4 == nil
}
