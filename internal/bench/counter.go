package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
)

const (
	appName    = "jetfn"
	stateName  = "count"
	recordType = "bench/record"
	// recordBytes is about the size of a record.
	recordBytes = 100
	// indexDigits is the size of a message's number, which it begins with.
	indexDigits = 16
	// MinPayload is the size of the smallest message.
	MinPayload = indexDigits + 1
)

// counterType is the function's type.
func counterType() actor.TypeName { return actor.TypeName{Namespace: "bench", Name: "counter"} }

// egressID is where the records go.
func egressID() actor.TypeName { return actor.TypeName{Namespace: "bench", Name: "records"} }

func keyText(key int) string { return "k" + strconv.Itoa(key) }

// target is the address of a key.
func target(key int) actor.Address { return actor.Address{Type: counterType(), ID: keyText(key)} }

// message fills a payload of the given size; it begins with index.
func message(buf []byte, size int, index uint64) []byte {
	buf = append(buf[:0], fmt.Sprintf("%0*d ", indexDigits, index)...)
	for len(buf) < size {
		buf = append(buf, 'x')
	}
	return buf
}

// putIndex overwrites the number of a message that message made.
func putIndex(payload []byte, index uint64) {
	for i := indexDigits - 1; i >= 0; i-- {
		payload[i] = byte('0' + index%10)
		index /= 10
	}
}

// indexOf is the number that a message begins with, as text. The argument is
// a StringWrapper, as text becomes on its way in.
func indexOf(wrapper []byte) ([]byte, error) {
	number, kind, n := protowire.ConsumeTag(wrapper)
	if n < 0 || number != 1 || kind != protowire.BytesType {
		return nil, errors.New("the message is no string")
	}
	text, m := protowire.ConsumeBytes(wrapper[n:])
	if m < 0 || len(text) < indexDigits {
		return nil, errors.New("the message has no index")
	}
	return text[:indexDigits], nil
}

// newRecord is "key count index" and padding.
func newRecord(key string, count uint64, index []byte) []byte {
	b := make([]byte, 0, recordBytes+len(key))
	b = append(b, key...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, count, 10)
	b = append(b, ' ')
	b = append(b, index...)
	b = append(b, ' ')
	for len(b) < recordBytes {
		b = append(b, '.')
	}
	return b
}

// record is what the reader finds in the egress.
type record struct {
	key   int
	count uint64
	index uint64
}

func parseRecord(data []byte) (r record, err error) {
	key, rest, _ := bytes.Cut(data, []byte{' '})
	count, rest, _ := bytes.Cut(rest, []byte{' '})
	index, _, _ := bytes.Cut(rest, []byte{' '})
	number, ok := bytes.CutPrefix(key, []byte{'k'})
	if !ok {
		return r, fmt.Errorf("record %.40q has no key", data)
	}
	k, err := digits(number)
	if err != nil {
		return r, fmt.Errorf("record %.40q: key: %w", data, err)
	}
	r.key = int(k)
	if r.count, err = digits(count); err != nil {
		return r, fmt.Errorf("record %.40q: count: %w", data, err)
	}
	if r.index, err = digits(index); err != nil {
		return r, fmt.Errorf("record %.40q: index: %w", data, err)
	}
	return r, nil
}

// digits reads a decimal number of at most 18 digits.
func digits(b []byte) (n uint64, err error) {
	if len(b) == 0 || len(b) > 18 {
		return 0, errors.New("no number")
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, errors.New("no number")
		}
		n = n*10 + uint64(c-'0')
	}
	return n, nil
}

// countValue is a count as the state holds it, a LongWrapper.
func countValue(n uint64) actor.Value {
	b := make([]byte, 0, 9)
	b = protowire.AppendTag(b, 1, protowire.Fixed64Type)
	return actor.Value{Type: wire.TypeLong, Data: protowire.AppendFixed64(b, n)}
}

func parseCount(data []byte) (uint64, error) {
	const tag = 1<<3 | byte(protowire.Fixed64Type)
	if len(data) == 0 {
		return 0, nil
	}
	if len(data) != 9 || data[0] != tag {
		return 0, fmt.Errorf("state %s is no number", stateName)
	}
	return binary.LittleEndian.Uint64(data[1:]), nil
}
