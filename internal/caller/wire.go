package caller

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetfn/jetfn/actor"
)

// Types of the values that go between Client and Function.
const (
	requestType = "jetfn/request"
	answerType  = "jetfn/answer"
	recordType  = "jetfn/call"
)

// what a request asks for.
type what uint64

const (
	whatCall what = iota + 1 // the answer of a function
	whatSend                 // a message to be stored once
	whatLook                 // the answer to an earlier request, if it is there
)

// request is what a Client asks a kept caller for.
type request struct {
	what   what
	target actor.Address
	value  actor.Value
	later  bool  // don't wait for the answer
	until  int64 // when the client ceases to wait, in Unix milliseconds
	delay  time.Duration
}

// status is where a call stands, or why it is none.
type status uint64

const (
	statusOpen     status = iota + 1
	statusAnswered        // there is an answer
	statusFailed          // the message was given up
	statusStored          // the message of a send is stored
	statusUnknown         // there is no such call
	statusMismatch        // the key was used with another value
	statusBusy            // too many wait for this one
)

// answer is what a kept caller tells a Client.
type answer struct {
	status status
	value  actor.Value // answered: the function's; failed: the Failure's
	input  actor.InputID
}

var errDamaged = errors.New("damaged")

// fields calls each with every field of a message.
func fields(data []byte, each func(num int, v uint64, b []byte)) error {
	for len(data) > 0 {
		num, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errDamaged
		}
		data = data[n:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, kind, data)
		}
		if n < 0 {
			return errDamaged
		}
		data = data[n:]
		each(int(num), v, b)
	}
	return nil
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func flag(set bool) uint64 {
	if set {
		return 1
	}
	return 0
}

func (r *request) encode() actor.Value {
	b := make([]byte, 0, len(r.value.Data)+len(r.value.Type)+len(r.target.ID)+128)
	b = appendUint(b, 1, uint64(r.what))
	if !r.target.IsZero() {
		b = appendBytes(b, 2, []byte(r.target.Key()))
	}
	b = appendBytes(b, 3, []byte(r.value.Type))
	b = appendBytes(b, 4, r.value.Data)
	b = appendUint(b, 5, flag(r.later))
	b = appendUint(b, 6, uint64(r.until))
	b = appendUint(b, 7, uint64(r.delay))
	return actor.Value{Type: requestType, Data: b}
}

func decodeRequest(data []byte) (r request, err error) {
	key := ""
	err = fields(data, func(num int, v uint64, b []byte) {
		switch num {
		case 1:
			r.what = what(v)
		case 2:
			key = string(b)
		case 3:
			r.value.Type = string(b)
		case 4:
			r.value.Data = b
		case 5:
			r.later = v != 0
		case 6:
			r.until = int64(v)
		case 7:
			r.delay = time.Duration(v)
		}
	})
	if err == nil && r.what != whatLook {
		r.target, err = actor.ParseKey(key)
	}
	if err != nil {
		return r, fmt.Errorf("request of a caller: %w", err)
	}
	return r, nil
}

func (a *answer) append(b []byte) []byte {
	b = appendUint(b, 1, uint64(a.status))
	b = appendBytes(b, 2, []byte(a.value.Type))
	b = appendBytes(b, 3, a.value.Data)
	b = appendBytes(b, 4, []byte(a.input.Source))
	b = appendUint(b, 5, a.input.Seq)
	return appendUint(b, 6, uint64(a.input.Index))
}

func (a *answer) encode() actor.Value { return actor.Value{Type: answerType, Data: a.append(nil)} }

// read takes one field.
func (a *answer) read(num int, v uint64, b []byte) {
	switch num {
	case 1:
		a.status = status(v)
	case 2:
		a.value.Type = string(b)
	case 3:
		a.value.Data = b
	case 4:
		a.input.Source = actor.Source(b)
	case 5:
		a.input.Seq = v
	case 6:
		a.input.Index = int(v)
	}
}

func decodeAnswer(data []byte) (a answer, err error) {
	if err := fields(data, a.read); err != nil {
		return a, fmt.Errorf("answer of a caller: %w", err)
	}
	return a, nil
}
