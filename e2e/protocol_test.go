//go:build e2e

package e2e_test

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The remote protocol once more, written from its field numbers alone: what
// jetfn sends must be readable to somebody who shares no code with it.

type address struct{ namespace, name, id string }

type value struct {
	typename string
	data     []byte
}

type invocation struct {
	caller *address
	value  value
}

// batch is a ToFunction.
type batch struct {
	target      address
	states      map[string]*value // nil: known, but without a value
	invocations []invocation
}

// effects is a FromFunction with a result, or with what is missing.
type effects struct {
	missing []string // names of long states
	set     map[string]value
	sends   []send
	delayed []delayed
	egress  []egressMessage
}

// delayed is a message for later, or with cancel the end of one.
type delayed struct {
	after  time.Duration
	target address
	value  value
	token  string
	cancel bool
}

type send struct {
	target address
	value  value
}

type egressMessage struct {
	namespace, name string
	value           value
}

// fields calls f for each length-delimited or varint field of b.
func fields(b []byte, f func(n int, v []byte, u uint64) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v []byte
		var u uint64
		switch typ {
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			u, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := f(int(num), v, u); err != nil {
			return err
		}
	}
	return nil
}

func readAddress(b []byte) (a address, err error) {
	err = fields(b, func(n int, v []byte, _ uint64) error {
		switch n {
		case 1:
			a.namespace = string(v)
		case 2:
			a.name = string(v)
		case 3:
			a.id = string(v)
		}
		return nil
	})
	return a, err
}

func readValue(b []byte) (*value, error) {
	v, has := value{}, false
	err := fields(b, func(n int, f []byte, u uint64) error {
		switch n {
		case 1:
			v.typename = string(f)
		case 2:
			has = u != 0
		case 3:
			v.data = append([]byte(nil), f...)
		}
		return nil
	})
	if !has {
		return nil, err
	}
	return &v, err
}

func readBatch(body []byte) (b batch, err error) {
	b.states = map[string]*value{}
	err = fields(body, func(n int, v []byte, _ uint64) error {
		if n != 100 {
			return nil
		}
		return fields(v, func(n int, v []byte, _ uint64) (err error) {
			switch n {
			case 1:
				b.target, err = readAddress(v)
			case 2:
				err = b.readState(v)
			case 3:
				err = b.readInvocation(v)
			}
			return err
		})
	})
	if err == nil && len(b.invocations) == 0 {
		err = fmt.Errorf("a batch without invocations for %v", b.target)
	}
	return b, err
}

func (b *batch) readState(body []byte) error {
	var name string
	var val *value
	err := fields(body, func(n int, v []byte, _ uint64) (err error) {
		switch n {
		case 1:
			name = string(v)
		case 2:
			val, err = readValue(v)
		}
		return err
	})
	b.states[name] = val
	return err
}

func (b *batch) readInvocation(body []byte) error {
	var inv invocation
	err := fields(body, func(n int, v []byte, _ uint64) error {
		switch n {
		case 1:
			a, err := readAddress(v)
			inv.caller = &a
			return err
		case 2:
			val, err := readValue(v)
			if err == nil && val == nil {
				err = fmt.Errorf("an argument without a value for %v", b.target)
			}
			if err == nil {
				inv.value = *val
			}
			return err
		}
		return nil
	})
	b.invocations = append(b.invocations, inv)
	return err
}

func appendField(b []byte, n protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, n, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

func appendText(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendField(b, n, []byte(s))
}

func (a address) encode() (b []byte) {
	b = appendText(b, 1, a.namespace)
	b = appendText(b, 2, a.name)
	return appendText(b, 3, a.id)
}

func (v value) encode() (b []byte) {
	b = appendText(b, 1, v.typename)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	b = protowire.AppendVarint(b, 1)
	if len(v.data) > 0 {
		b = appendField(b, 3, v.data)
	}
	return b
}

func (e effects) encode() []byte {
	if len(e.missing) > 0 {
		var ask []byte
		for _, name := range e.missing {
			spec := appendText(nil, 1, name)
			spec = appendText(spec, 3, longType)
			ask = appendField(ask, 1, spec)
		}
		return appendField(nil, 101, ask)
	}
	var r []byte
	for name, v := range e.set {
		m := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
		m = appendText(m, 2, name)
		m = appendField(m, 3, v.encode())
		r = appendField(r, 1, m)
	}
	for _, s := range e.sends {
		r = appendField(r, 2, appendField(appendField(nil, 1, s.target.encode()), 2, s.value.encode()))
	}
	for _, d := range e.delayed {
		r = appendField(r, 3, d.encode())
	}
	for _, m := range e.egress {
		b := appendText(nil, 1, m.namespace)
		b = appendText(b, 2, m.name)
		r = appendField(r, 4, appendField(b, 3, m.value.encode()))
	}
	return appendField(nil, 100, r)
}

func (d delayed) encode() (b []byte) {
	if d.cancel {
		b = protowire.AppendTag(b, 10, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
		return appendText(b, 11, d.token)
	}
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(d.after.Milliseconds()))
	b = appendField(b, 2, d.target.encode())
	b = appendField(b, 3, d.value.encode())
	return appendText(b, 11, d.token)
}

const (
	longType   = "io.statefun.types/long"
	stringType = "io.statefun.types/string"
	kafkaType  = "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"
)

func longValue(n uint64) value {
	if n == 0 {
		return value{typename: longType}
	}
	return value{typename: longType, data: protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), n)}
}

// long reads a LongWrapper; an absent value is zero.
func (v *value) long() uint64 {
	if v == nil || len(v.data) == 0 {
		return 0
	}
	n, _ := protowire.ConsumeFixed64(v.data[1:])
	return n
}

// text reads a StringWrapper; other types are taken as they are.
func (v *value) text() string {
	if v.typename != stringType {
		return string(v.data)
	}
	var s string
	_ = fields(v.data, func(_ int, f []byte, _ uint64) error {
		s = string(f)
		return nil
	})
	return s
}

// keyed is an egress record that a NATS egress unwraps.
func keyed(namespace, name, key string, payload []byte) egressMessage {
	record := appendText(nil, 1, key)
	record = appendField(record, 2, payload)
	record = appendText(record, 3, "topic")
	return egressMessage{namespace: namespace, name: name, value: value{typename: kafkaType, data: record}}
}
