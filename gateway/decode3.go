package gateway

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetfn/jetfn/actor"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// Field numbers of FromFunction and what is in it.
const (
	fromResult = 100

	resultMutation, resultMessage, resultEgress = 1, 2, 4
	mutationKind, mutationName, mutationValue   = 1, 2, 3
	messageTarget, messageArgument              = 1, 2
	egressNamespace, egressType, egressArgument = 1, 2, 3
)

// answer3 reads the ordinary answer of protocol 3.x: changed states, messages
// and egress messages, each field once. Messages' bytes are those of the body
// itself. Whatever else there may be in an answer makes it give up, so that the
// generated code decides what it means or what is wrong with it.
type answer3 struct{ texts *texts }

func (d answer3) decode(body []byte) (*actor.Effects, bool) {
	var result []byte
	found := 0
	in := fields3{rest: body}
	for in.next() {
		if in.number != fromResult || in.kind != protowire.BytesType {
			return nil, false
		}
		result = in.data
		found++
	}
	if in.odd || found != 1 {
		return nil, false
	}
	e, ok := roomFor(result)
	if !ok {
		return nil, false
	}
	for in = (fields3{rest: result}); in.next(); {
		switch in.number {
		case resultMutation:
			m, ok := d.mutation(in.data)
			if e.Mutations = append(e.Mutations, m); !ok {
				return nil, false
			}
		case resultMessage:
			m, ok := d.send(in.data)
			if e.Sends = append(e.Sends, m); !ok {
				return nil, false
			}
		case resultEgress:
			m, ok := d.egress(in.data)
			if e.Egress = append(e.Egress, m); !ok {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return e, !in.odd
}

// roomFor returns effects with as much room as result needs, unless there is
// more in it than the ordinary.
func roomFor(result []byte) (*actor.Effects, bool) {
	var counts [resultEgress + 1]int
	in := fields3{rest: result}
	for in.next() {
		if in.kind != protowire.BytesType || in.number != resultMutation && in.number != resultMessage && in.number != resultEgress {
			return nil, false
		}
		counts[in.number]++
	}
	e := &actor.Effects{}
	if n := counts[resultMutation]; n > 0 {
		e.Mutations = make([]actor.Mutation, 0, n)
	}
	if n := counts[resultMessage]; n > 0 {
		e.Sends = make([]actor.Send, 0, n)
	}
	if n := counts[resultEgress]; n > 0 {
		e.Egress = make([]actor.EgressMessage, 0, n)
	}
	return e, !in.odd
}

// mutation copies the value: it is kept, and must not keep the whole answer.
func (d answer3) mutation(b []byte) (m actor.Mutation, ok bool) {
	var kind uint64
	in := fields3{rest: b, once: true}
	for in.next() {
		switch {
		case in.number == mutationKind && in.kind == protowire.VarintType:
			kind = in.v
		case in.number == mutationName:
			m.Name = d.text(&in)
		case in.number == mutationValue:
			m.Value = d.value(&in)
			m.Value.Type, m.Value.Data = orUnset(m.Value.Type), bytes.Clone(m.Value.Data)
		default:
			in.odd = true
		}
	}
	switch {
	case in.odd:
		return m, false
	case kind == uint64(pb.FromFunction_PersistedValueMutation_DELETE):
		return actor.Mutation{Name: m.Name, Delete: true}, true
	}
	return m, kind == uint64(pb.FromFunction_PersistedValueMutation_MODIFY) && m.Value.Type != ""
}

func (d answer3) send(b []byte) (s actor.Send, ok bool) {
	in := fields3{rest: b, once: true}
	for in.next() {
		switch in.number {
		case messageTarget:
			s.Target = d.address(&in)
		case messageArgument:
			s.Value = d.value(&in)
		default:
			in.odd = true
		}
	}
	return s, !in.odd && s.Target.Check() == nil
}

func (d answer3) egress(b []byte) (m actor.EgressMessage, ok bool) {
	in := fields3{rest: b, once: true}
	for in.next() {
		switch in.number {
		case egressNamespace:
			m.ID.Namespace = d.text(&in)
		case egressType:
			m.ID.Name = d.text(&in)
		case egressArgument:
			m.Value = d.value(&in)
		default:
			in.odd = true
		}
	}
	return m, !in.odd
}

func (d answer3) address(f *fields3) (a actor.Address) {
	in := f.inside()
	for in.next() {
		switch in.number {
		case addressNamespace:
			a.Type.Namespace = d.text(&in)
		case addressType:
			a.Type.Name = d.text(&in)
		case addressID:
			a.ID = string(in.data)
			in.odd = in.odd || in.kind != protowire.BytesType || !utf8.Valid(in.data)
		default:
			in.odd = true
		}
	}
	f.odd = f.odd || in.odd
	return a
}

func (d answer3) value(f *fields3) (v actor.Value) {
	in := f.inside()
	for in.next() {
		switch {
		case in.number == valueTypename:
			v.Type = d.text(&in)
		case in.number == valueHas && in.kind == protowire.VarintType:
		case in.number == valueBytes && in.kind == protowire.BytesType:
			v.Data = in.data
		default:
			in.odd = true
		}
	}
	f.odd = f.odd || in.odd
	return v
}

func (d answer3) text(f *fields3) string {
	if f.kind != protowire.BytesType || !utf8.Valid(f.data) {
		f.odd = true
		return ""
	}
	return d.texts.of(f.data)
}

// fields3 goes through the fields of a message.
type fields3 struct {
	rest []byte
	once bool // no field may come twice
	seen uint64
	odd  bool // it is garbled, or not ordinary: there is no next field

	number protowire.Number
	kind   protowire.Type
	v      uint64 // of a varint
	data   []byte // of bytes
}

// inside goes through the field itself.
func (f *fields3) inside() fields3 {
	return fields3{rest: f.data, once: true, odd: f.kind != protowire.BytesType}
}

// next reads a field, and is false at the end.
func (f *fields3) next() bool {
	if len(f.rest) == 0 || f.odd {
		return false
	}
	var n int
	if f.number, f.kind, n = protowire.ConsumeTag(f.rest); n < 0 {
		f.odd = true
		return false
	}
	f.rest = f.rest[n:]
	switch f.kind {
	case protowire.VarintType:
		f.v, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.data, n = protowire.ConsumeBytes(f.rest)
		f.data = f.data[:len(f.data):len(f.data)]
	default:
		n = -1
	}
	if n < 0 || f.once && !f.first() {
		f.odd = true
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// first notes the field's number, and says if it comes the first time.
func (f *fields3) first() bool {
	const known = 64
	if f.number >= known || f.seen&(1<<f.number) != 0 {
		return false
	}
	f.seen |= 1 << f.number
	return true
}
