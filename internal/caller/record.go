package caller

import (
	"crypto/sha256"
	"fmt"

	"github.com/jetfn/jetfn/actor"
)

// record is what a kept caller remembers of its call.
type record struct {
	answer

	// print tells the value that the call began with from others.
	print   []byte
	waiting []waiter
}

// waiter is a caller at a gateway who wants the answer.
type waiter struct {
	id    string
	until int64 // Unix milliseconds
}

// Fields of a record besides those of its answer.
const (
	recordPrint  = 10
	recordWaiter = 11
	waiterID     = 1
	waiterUntil  = 2
)

func (r *record) encode() actor.Value {
	b := r.append(nil)
	b = appendBytes(b, recordPrint, r.print)
	for _, w := range r.waiting {
		b = appendBytes(b, recordWaiter, appendUint(appendBytes(nil, waiterID, []byte(w.id)), waiterUntil, uint64(w.until)))
	}
	return actor.Value{Type: recordType, Data: b}
}

func decodeRecord(data []byte) (*record, error) {
	r := &record{}
	var inner error
	err := fields(data, func(num int, v uint64, b []byte) {
		switch num {
		case recordPrint:
			r.print = b
		case recordWaiter:
			var w waiter
			if err := fields(b, func(num int, v uint64, b []byte) {
				switch num {
				case waiterID:
					w.id = string(b)
				case waiterUntil:
					w.until = int64(v)
				}
			}); err != nil {
				inner = err
			}
			r.waiting = append(r.waiting, w)
		default:
			r.read(num, v, b)
		}
	})
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, fmt.Errorf("record of a call: %w", err)
	}
	return r, nil
}

// fingerprint is the same for equal values only.
func fingerprint(v actor.Value) []byte {
	h := sha256.New()
	_, _ = h.Write([]byte(v.Type)) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(v.Data)
	return h.Sum(nil)
}
