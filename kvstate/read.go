package kvstate

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// directReads begins the subjects of direct reads of a stream's last message of
// a subject, which follow the stream's name.
const directReads = "$JS.API.DIRECT.GET."

const (
	statusOf       = "Status" // of an answer without a message
	descriptionOf  = "Description"
	statusNotFound = "404"
)

// last reads the last revision of a key. Where the bucket is read directly it
// asks for no more than it needs: with many keys a read is a good part of an
// invocation.
func (s *Store) last(ctx context.Context, key string) (*jetstream.RawStreamMsg, error) {
	if s.direct == "" {
		return s.stream.GetLastMsgForSubject(ctx, s.prefix+key)
	}
	m, err := s.pub.Ask(ctx, &nats.Msg{Subject: s.direct + key})
	if err != nil {
		return nil, err
	}
	text := m.Header.Get(jetstream.SequenceHeader)
	switch status := m.Header.Get(statusOf); {
	case text != "":
	case status == statusNotFound:
		return nil, jetstream.ErrMsgNotFound
	default:
		return nil, fmt.Errorf("read directly: the answer is no message but %s %s", status, m.Header.Get(descriptionOf))
	}
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read directly: sequence: %w", err)
	}
	return &jetstream.RawStreamMsg{Subject: s.prefix + key, Sequence: seq, Header: m.Header, Data: m.Data}, nil
}
