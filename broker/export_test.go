package broker

import (
	"context"
	"net"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/groupsync"
)

// EncodeSend exposes the format of internal messages to its golden test.
func EncodeSend(s actor.OutboundSend) []byte { return encodeSend(&s) }

// DecodeSend exposes the reader of internal messages to its fuzz test.
func DecodeSend(data []byte) ([]actor.Envelope, error) {
	s, err := decodeSend(data)
	return s.envelopes, err
}

// EncodeTimer exposes the format of timers to its golden test.
func EncodeTimer(t actor.Timer) []byte { return encodeTimer(&t) }

// DecodeTimer exposes the reader of timers to its fuzz test.
func DecodeTimer(data []byte) (actor.Timer, error) { return decodeTimer(data) }

// PackedMessage is an outside message as a pack holds it.
type PackedMessage struct {
	Key, Type, ContentType, MsgID, Delay string
	Trace                                actor.Trace
	Data                                 []byte
}

// EncodePack exposes the format of packs to its golden test.
func EncodePack(messages ...PackedMessage) []byte {
	b := appendPackStart(nil)
	size := packOverhead
	for i := range messages {
		m := &messages[i]
		p := packed{key: m.Key, data: m.Data, said: said{valueType: m.Type, contentType: m.ContentType, trace: m.Trace, msgID: m.MsgID, delay: m.Delay}}
		b = p.append(b)
		if size += p.size(); len(b) > size {
			panic("a packed message is larger than its size")
		}
	}
	return b
}

// DecodePack exposes the reader of packs to its fuzz test.
func DecodePack(data []byte) ([]PackedMessage, error) {
	messages, err := decodePack(data)
	out := make([]PackedMessage, len(messages))
	for i := range messages {
		m := &messages[i]
		out[i] = PackedMessage{m.key, m.said.valueType, m.said.contentType, m.said.msgID, m.said.delay, m.said.trace, m.data}
	}
	return out, err
}

// Pipe is a connection to srv inside the process, of which nothing is said yet.
func Pipe(srv *Server) (net.Conn, error) { return srv.srv.InProcessConn() }

// LimitIndex bounds the dead letters whose sequences app keeps in memory.
func LimitIndex(app *App, n int) { app.letterAt.max = n }

// Semver exposes how a version is told to the service framework.
func Semver(version string) string { return semver(version) }

// OneLine exposes how an error is written into a header.
func OneLine(s string) string { return oneLine(s) }

// Settle exposes what holds messages back until they are synced.
func Settle(ctx context.Context, from Source, syncer *groupsync.Syncer) (synced Source, end func()) {
	return settle(ctx, from, syncer)
}

// Source is where such messages come from.
type Source = source

// NewTrimmer exposes what removes from a stream what its partitions, with the
// subjects that filters names, are done with.
func NewTrimmer(stream jetstream.Stream, partitions int, filters func(partition int) []string) (trim func(ctx context.Context, partition int, before uint64) error) {
	return newTrimmer(stream, partitions, filters).trim
}
