package gateway

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jetfn/jetfn/actor"
)

// call3 writes a call of protocol 3.x. The generated code does the same, at
// five times the price: it looks at each message several times, by reflection
// where it is a oneof.
type call3 struct {
	b       []byte
	invalid bool // some text is not UTF-8
}

// Field numbers of ToFunction and what is in it.
const (
	toInvocation = 100

	batchTarget, batchState, batchInvocation = 1, 2, 3
	stateName3, stateValue3                  = 1, 2
	invocationCaller, invocationArgument     = 1, 2
	addressNamespace, addressType, addressID = 1, 2, 3
	valueTypename, valueHas, valueBytes      = 1, 2, 3
)

// sizeOfCall is at least what encode3 writes for most batches.
func sizeOfCall(b *actor.Batch, states []stateSpec) int {
	n := 64 + len(b.Target.Type.Namespace) + len(b.Target.Type.Name) + len(b.Target.ID)
	for i := range states {
		n += len(states[i].name) + 16
	}
	n += b.State.Size() + 16*len(b.Entries)
	for i := range b.Envelopes {
		n += b.Envelopes[i].Size()
	}
	return n
}

// begin writes the head of a submessage, whose length end fills in: one byte
// is reserved, more are made room for.
func (c *call3) begin(field protowire.Number) (start int) {
	c.b = protowire.AppendTag(c.b, field, protowire.BytesType)
	c.b = append(c.b, 0)
	return len(c.b)
}

func (c *call3) end(start int) {
	n := len(c.b) - start
	if n < 0x80 {
		c.b[start-1] = byte(n)
		return
	}
	var length [10]byte
	head := protowire.AppendVarint(length[:0], uint64(n))
	c.b = append(c.b, head[1:]...) // as much as the body moves by
	copy(c.b[start+len(head)-1:], c.b[start:start+n])
	copy(c.b[start-1:], head)
}

// text writes a string; an empty one is the default, and left out.
func (c *call3) text(field protowire.Number, s string) {
	if s == "" {
		return
	}
	c.invalid = c.invalid || !utf8.ValidString(s)
	c.b = protowire.AppendTag(c.b, field, protowire.BytesType)
	c.b = protowire.AppendString(c.b, s)
}

func (c *call3) address(field protowire.Number, a actor.Address) {
	start := c.begin(field)
	c.text(addressNamespace, a.Type.Namespace)
	c.text(addressType, a.Type.Name)
	c.text(addressID, a.ID)
	c.end(start)
}

func (c *call3) value(field protowire.Number, v actor.Value) {
	start := c.begin(field)
	c.text(valueTypename, v.Type)
	c.b = protowire.AppendTag(c.b, valueHas, protowire.VarintType)
	c.b = append(c.b, 1)
	if len(v.Data) > 0 {
		c.b = protowire.AppendTag(c.b, valueBytes, protowire.BytesType)
		c.b = protowire.AppendBytes(c.b, v.Data)
	}
	c.end(start)
}

// state writes a state, with its value if there is one.
func (c *call3) state(name string, v actor.Value, there bool) {
	start := c.begin(batchState)
	c.text(stateName3, name)
	if there {
		c.value(stateValue3, v)
	}
	c.end(start)
}

func (c *call3) invocation(e *actor.Envelope) {
	start := c.begin(batchInvocation)
	if !e.Caller.IsZero() {
		c.address(invocationCaller, e.Caller)
	}
	c.value(invocationArgument, e.Value)
	c.end(start)
}
