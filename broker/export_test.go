package broker

import "github.com/jetfn/jetfn/actor"

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
