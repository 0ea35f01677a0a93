package actor

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// errTruncated is returned by decoders of records.
var errTruncated = errors.New("truncated or malformed bytes")

// fieldWriter appends protobuf fields; equal input gives equal bytes. Zero
// values are left out.
type fieldWriter struct{ b []byte }

func (w *fieldWriter) uint(num protowire.Number, v uint64) {
	if v != 0 {
		w.b = protowire.AppendTag(w.b, num, protowire.VarintType)
		w.b = protowire.AppendVarint(w.b, v)
	}
}

func (w *fieldWriter) int(num protowire.Number, v int) { w.uint(num, uint64(v)) }

func (w *fieldWriter) int64(num protowire.Number, v int64) { w.uint(num, uint64(v)) }

func (w *fieldWriter) bool(num protowire.Number, v bool) {
	if v {
		w.uint(num, 1)
	}
}

func (w *fieldWriter) fixed(num protowire.Number, v uint64) {
	if v != 0 {
		w.b = protowire.AppendTag(w.b, num, protowire.Fixed64Type)
		w.b = protowire.AppendFixed64(w.b, v)
	}
}

func (w *fieldWriter) text(num protowire.Number, s string) {
	if s != "" {
		w.b = protowire.AppendTag(w.b, num, protowire.BytesType)
		w.b = protowire.AppendString(w.b, s)
	}
}

func (w *fieldWriter) bytes(num protowire.Number, p []byte) {
	if len(p) != 0 {
		w.b = protowire.AppendTag(w.b, num, protowire.BytesType)
		w.b = protowire.AppendBytes(w.b, p)
	}
}

// message appends a nested message, also an empty one. It is written in place,
// behind one byte for its length. If that is not enough it is moved.
func (w *fieldWriter) message(num protowire.Number, fill func(*fieldWriter)) {
	start := w.begin(num)
	fill(w)
	w.end(start)
}

func (w *fieldWriter) begin(num protowire.Number) int {
	w.b = append(protowire.AppendTag(w.b, num, protowire.BytesType), 0)
	return len(w.b)
}

func (w *fieldWriter) end(start int) {
	size := len(w.b) - start
	if size < 0x80 {
		w.b[start-1] = byte(size)
		return
	}
	var room [10]byte
	length := protowire.AppendVarint(room[:0], uint64(size))
	w.b = append(w.b, length[1:]...)
	copy(w.b[start-1+len(length):], w.b[start:start+size])
	copy(w.b[start-1:], length)
}

// field is one decoded field: v holds varints and fixed numbers, data the
// bytes of length-delimited ones, which alias the input.
type field struct {
	num  int
	v    uint64
	data []byte
}

func (f *field) int() int     { return int(f.v) }
func (f *field) int64() int64 { return int64(f.v) }
func (f *field) text() string { return string(f.data) }

// readFields calls each for every field of a message, in order. Unknown
// numbers are each's to skip.
func readFields(b []byte, each func(f *field) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		f := field{num: int(num)}
		switch typ {
		case protowire.VarintType:
			f.v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.data, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return errTruncated
		}
		b = b[n:]
		if err := each(&f); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
	}
	return nil
}

// AppendEnvelope appends the wire form of e, a protobuf message, to b.
func AppendEnvelope(b []byte, e *Envelope) []byte {
	w := fieldWriter{b: b}
	w.text(1, e.Target.Type.Namespace)
	w.text(2, e.Target.Type.Name)
	w.text(3, e.Target.ID)
	w.text(4, e.Caller.Type.Namespace)
	w.text(5, e.Caller.Type.Name)
	w.text(6, e.Caller.ID)
	w.text(7, e.Value.Type)
	w.bytes(8, e.Value.Data)
	w.text(9, e.Trace.Parent)
	w.text(10, e.Trace.State)
	return w.b
}

// ParseEnvelope reads what AppendEnvelope wrote. The value's data aliases b.
func ParseEnvelope(b []byte) (Envelope, error) {
	var e Envelope
	err := readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			e.Target.Type.Namespace = f.text()
		case 2:
			e.Target.Type.Name = f.text()
		case 3:
			e.Target.ID = f.text()
		case 4:
			e.Caller.Type.Namespace = f.text()
		case 5:
			e.Caller.Type.Name = f.text()
		case 6:
			e.Caller.ID = f.text()
		case 7:
			e.Value.Type = f.text()
		case 8:
			e.Value.Data = f.data
		case 9:
			e.Trace.Parent = f.text()
		case 10:
			e.Trace.State = f.text()
		}
		return nil
	})
	return e, err
}

func (w *fieldWriter) address(num protowire.Number, a Address) {
	if a.IsZero() {
		return
	}
	w.message(num, func(w *fieldWriter) {
		w.text(1, a.Type.Namespace)
		w.text(2, a.Type.Name)
		w.text(3, a.ID)
	})
}

func readAddress(b []byte) (a Address, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			a.Type.Namespace = f.text()
		case 2:
			a.Type.Name = f.text()
		case 3:
			a.ID = f.text()
		}
		return nil
	})
	return a, err
}

func (w *fieldWriter) value(num protowire.Number, v Value) {
	w.message(num, func(w *fieldWriter) {
		w.text(1, v.Type)
		w.bytes(2, v.Data)
	})
}

func readValue(b []byte) (v Value, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			v.Type = f.text()
		case 2:
			v.Data = f.data
		}
		return nil
	})
	return v, err
}
