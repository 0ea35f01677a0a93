package broker

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetfn/jetfn/actor"
)

// sendVersion is the format of an internal send. A reader refuses newer ones:
// skipping a message would lose it.
const sendVersion = 1

var errNewer = errors.New("written by a newer jetfn; use that one")

// Fields of an internal send.
const (
	sendFieldVersion  protowire.Number = 1
	sendFieldFrom     protowire.Number = 2
	sendFieldNumber   protowire.Number = 3
	sendFieldEpoch    protowire.Number = 4
	sendFieldCommit   protowire.Number = 5
	sendFieldEnvelope protowire.Number = 6 // repeated: those after the first have the numbers that follow
	sendFieldAhead    protowire.Number = 7 // number less the one up to which all were stored
	sendFieldFirst    protowire.Number = 8 // the first one of this epoch
)

// Fields of an envelope.
const (
	envFieldTargetNS    protowire.Number = 1
	envFieldTargetName  protowire.Number = 2
	envFieldTargetID    protowire.Number = 3
	envFieldCallerNS    protowire.Number = 4
	envFieldCallerName  protowire.Number = 5
	envFieldCallerID    protowire.Number = 6
	envFieldType        protowire.Number = 7
	envFieldData        protowire.Number = 8
	envFieldTraceParent protowire.Number = 9
	envFieldTraceState  protowire.Number = 10
)

// internalSend is the body of a message between partitions.
type internalSend struct {
	from      int
	number    uint64
	epoch     uint64
	commit    uint64
	delivered uint64
	first     uint64
	envelopes []actor.Envelope
}

func encodeSend(s *actor.OutboundSend) []byte {
	b := make([]byte, 0, s.Envelope.Size()+len(s.Envelope.Target.Type.Name)+len(s.Envelope.Target.Type.Namespace)+64)
	b = appendUint(b, sendFieldVersion, sendVersion)
	b = appendUint(b, sendFieldFrom, uint64(s.From))
	b = appendUint(b, sendFieldNumber, s.Number)
	b = appendUint(b, sendFieldEpoch, s.Epoch)
	b = appendUint(b, sendFieldCommit, s.Commit)
	if s.Delivered > 0 {
		b = appendUint(b, sendFieldAhead, s.Number-s.Delivered)
	}
	if s.First > 0 {
		b = appendUint(b, sendFieldFirst, s.First)
	}
	return appendBytes(b, sendFieldEnvelope, appendEnvelope(nil, &s.Envelope))
}

func decodeSend(data []byte) (internalSend, error) {
	var s internalSend
	var version, ahead uint64
	err := fields(data, func(f field) error {
		switch f.number {
		case sendFieldVersion:
			version = f.uint
		case sendFieldFrom:
			s.from = int(f.uint)
		case sendFieldNumber:
			s.number = f.uint
		case sendFieldEpoch:
			s.epoch = f.uint
		case sendFieldCommit:
			s.commit = f.uint
		case sendFieldAhead:
			ahead = f.uint
		case sendFieldFirst:
			s.first = f.uint
		case sendFieldEnvelope:
			e, err := decodeEnvelope(f.bytes)
			if err != nil {
				return err
			}
			s.envelopes = append(s.envelopes, e)
		default: // a field of a later version that earlier ones may skip
		}
		return nil
	})
	switch {
	case version > sendVersion:
		return s, fmt.Errorf("internal message in format %d: %w", version, errNewer)
	case err != nil:
		return s, fmt.Errorf("internal message: %w", err)
	case version == 0 || s.number == 0 || len(s.envelopes) == 0:
		return s, errors.New("internal message lacks its version, number or envelope")
	}
	if ahead > 0 && ahead < s.number {
		s.delivered = s.number - ahead
	}
	return s, nil
}

func appendEnvelope(b []byte, e *actor.Envelope) []byte {
	b = appendText(b, envFieldTargetNS, e.Target.Type.Namespace)
	b = appendText(b, envFieldTargetName, e.Target.Type.Name)
	b = appendText(b, envFieldTargetID, e.Target.ID)
	b = appendText(b, envFieldCallerNS, e.Caller.Type.Namespace)
	b = appendText(b, envFieldCallerName, e.Caller.Type.Name)
	b = appendText(b, envFieldCallerID, e.Caller.ID)
	b = appendText(b, envFieldType, e.Value.Type)
	if len(e.Value.Data) > 0 {
		b = appendBytes(b, envFieldData, e.Value.Data)
	}
	b = appendText(b, envFieldTraceParent, e.Trace.Parent)
	return appendText(b, envFieldTraceState, e.Trace.State)
}

func decodeEnvelope(data []byte) (actor.Envelope, error) {
	var e actor.Envelope
	err := fields(data, func(f field) error {
		switch f.number {
		case envFieldTargetNS:
			e.Target.Type.Namespace = string(f.bytes)
		case envFieldTargetName:
			e.Target.Type.Name = string(f.bytes)
		case envFieldTargetID:
			e.Target.ID = string(f.bytes)
		case envFieldCallerNS:
			e.Caller.Type.Namespace = string(f.bytes)
		case envFieldCallerName:
			e.Caller.Type.Name = string(f.bytes)
		case envFieldCallerID:
			e.Caller.ID = string(f.bytes)
		case envFieldType:
			e.Value.Type = string(f.bytes)
		case envFieldData:
			e.Value.Data = f.bytes
		case envFieldTraceParent:
			e.Trace.Parent = string(f.bytes)
		case envFieldTraceState:
			e.Trace.State = string(f.bytes)
		default: // a field of a later version that earlier ones may skip
		}
		return nil
	})
	return e, err
}

// field is one field of a message: a varint or bytes.
type field struct {
	number protowire.Number
	uint   uint64
	bytes  []byte // part of the message, not a copy
}

var errDamaged = errors.New("damaged")

// fields calls each with every varint and bytes field, and skips other kinds.
func fields(data []byte, each func(field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errDamaged
		}
		data = data[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.uint, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
			f.number = 0
		}
		if n < 0 {
			return errDamaged
		}
		data = data[n:]
		if f.number == 0 {
			continue
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

func appendUint(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}

func appendText(b []byte, number protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), v)
}
