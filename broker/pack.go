package broker

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// packVersion is the format of a pack. A reader refuses newer ones: skipping
// a message would lose it.
const packVersion = 1

// Fields of a pack.
const (
	packFieldVersion protowire.Number = 1
	packFieldMessage protowire.Number = 2 // repeated
)

// Fields of a message in a pack; an empty one is left out.
const (
	packedFieldKey         protowire.Number = 1 // what follows "<app>.fn." in its subject
	packedFieldType        protowire.Number = 2
	packedFieldContentType protowire.Number = 3
	packedFieldTraceParent protowire.Number = 4
	packedFieldTraceState  protowire.Number = 5
	packedFieldMsgID       protowire.Number = 6
	packedFieldData        protowire.Number = 7
	packedFieldDelay       protowire.Number = 8
	packedFieldOwn         protowire.Number = 9  // not zero: a worker's own message
	packedFieldCaller      protowire.Number = 10 // of a worker's own message, as a key
)

// packed is an outside message as a pack holds it.
type packed struct {
	key  string
	said said
	data []byte
	// own marks a message of a worker itself, which outsiders can't write: only
	// packs hold such messages, and outsiders may not publish them. It may go
	// to jetfn's own functions, and has a caller: a key, or nothing.
	own    bool
	caller string
}

// packOverhead is what a field takes at most besides its content.
const packOverhead = 6

// size is what the message takes in a pack at most, in bytes.
func (p *packed) size() int {
	s := &p.said
	return len(p.key) + len(s.valueType) + len(s.contentType) + len(s.trace.Parent) + len(s.trace.State) + len(s.msgID) + len(s.delay) + len(p.caller) + len(p.data) + 11*packOverhead
}

// appendPackStart begins a pack; messages follow.
func appendPackStart(b []byte) []byte { return appendUint(b, packFieldVersion, packVersion) }

func (p *packed) append(b []byte) []byte {
	s := &p.said
	inner := textSize(p.key) + textSize(s.valueType) + textSize(s.contentType) + textSize(s.trace.Parent) + textSize(s.trace.State) + textSize(s.msgID) + textSize(s.delay)
	inner += textSize(p.caller)
	if p.own {
		inner += 2
	}
	if len(p.data) > 0 {
		inner += 1 + protowire.SizeBytes(len(p.data))
	}
	b = protowire.AppendTag(b, packFieldMessage, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = appendText(b, packedFieldKey, p.key)
	b = appendText(b, packedFieldType, s.valueType)
	b = appendText(b, packedFieldContentType, s.contentType)
	b = appendText(b, packedFieldTraceParent, s.trace.Parent)
	b = appendText(b, packedFieldTraceState, s.trace.State)
	b = appendText(b, packedFieldMsgID, s.msgID)
	if len(p.data) > 0 {
		b = appendBytes(b, packedFieldData, p.data)
	}
	b = appendText(b, packedFieldDelay, s.delay)
	if p.own {
		b = appendUint(b, packedFieldOwn, 1)
	}
	return appendText(b, packedFieldCaller, p.caller)
}

// textSize is what appendText takes, for field numbers below 16.
func textSize(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

// decodePack reads a pack. The data of its messages are parts of it.
func decodePack(data []byte) ([]packed, error) {
	count := 0
	_ = fields(data, func(f field) error { // what is wrong, the next one says
		if f.number == packFieldMessage {
			count++
		}
		return nil
	})
	messages := make([]packed, 0, count)
	var version uint64
	err := fields(data, func(f field) error {
		switch f.number {
		case packFieldVersion:
			version = f.uint
		case packFieldMessage:
			p, err := decodePacked(f.bytes)
			if err != nil {
				return err
			}
			messages = append(messages, p)
		default: // a field of a later version that earlier ones may skip
		}
		return nil
	})
	switch {
	case version > packVersion:
		return nil, fmt.Errorf("pack in format %d: %w", version, errNewer)
	case err != nil:
		return nil, fmt.Errorf("pack: %w", err)
	case version == 0 || len(messages) == 0:
		return nil, errors.New("pack lacks its version or messages")
	}
	return messages, nil
}

func decodePacked(data []byte) (packed, error) {
	var p packed
	err := fields(data, func(f field) error {
		switch f.number {
		case packedFieldKey:
			p.key = string(f.bytes)
		case packedFieldType:
			p.said.valueType = string(f.bytes)
		case packedFieldContentType:
			p.said.contentType = string(f.bytes)
		case packedFieldTraceParent:
			p.said.trace.Parent = string(f.bytes)
		case packedFieldTraceState:
			p.said.trace.State = string(f.bytes)
		case packedFieldMsgID:
			p.said.msgID = string(f.bytes)
		case packedFieldData:
			p.data = f.bytes
		case packedFieldDelay:
			p.said.delay = string(f.bytes)
		case packedFieldOwn:
			p.own = f.uint != 0
		case packedFieldCaller:
			p.caller = string(f.bytes)
		default: // a field of a later version that earlier ones may skip
		}
		return nil
	})
	return p, err
}
