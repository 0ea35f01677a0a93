package sdk

import "google.golang.org/protobuf/encoding/protowire"

// protocol is a version of the wire protocol.
type protocol struct {
	read  func(body []byte) (*Batch, error)
	write func(e *Effects) ([]byte, error)
}

func protocol2() protocol { return protocol{readCall2, writeAnswer2} }

func protocol3() protocol { return protocol{readCall3, writeAnswer3} }

// The fields that tell which protocol a call has.
const (
	fieldInvocation  = 100 // of ToFunction
	fieldInvocations = 3   // of its batch
	fieldArgument    = 2   // of an invocation
	// fieldMark are the bytes of an Any in 2.x, and whether there is a value
	// in 3.x.
	fieldMark = 2
	fieldData = 3 // the bytes in 3.x
)

// protocolOf tells by the values of the messages which protocol a call has.
// A value that is neither marked as there nor has bytes is an Any that holds
// its type's zero value: 3.x doesn't know such messages. A body that can't be
// read is left to 3.x to refuse.
func protocolOf(body []byte) protocol {
	empty := false
	found := byte(0)
	within(body, fieldInvocation, func(batch []byte) bool {
		return within(batch, fieldInvocations, func(message []byte) bool {
			return within(message, fieldArgument, func(value []byte) bool {
				found = marked(value)
				empty = empty || found == 0
				return found == 0
			})
		})
	})
	if found == '2' || found == 0 && empty {
		return protocol2()
	}
	return protocol3()
}

// marked is the protocol that a value shows, '2' or '3', or zero.
func marked(value []byte) byte {
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeField(value)
		switch {
		case n < 0:
			return '3'
		case number == fieldMark && kind == protowire.BytesType:
			return '2'
		case number == fieldMark && kind == protowire.VarintType, number == fieldData:
			return '3'
		}
		value = value[n:]
	}
	return 0
}

// within calls visit with each message in a field of m, until it returns
// false. It returns whether all did return true.
func within(m []byte, field protowire.Number, visit func([]byte) bool) bool {
	for len(m) > 0 {
		number, kind, tag := protowire.ConsumeTag(m)
		if tag < 0 {
			return true
		}
		if number == field && kind == protowire.BytesType {
			part, n := protowire.ConsumeBytes(m[tag:])
			if n < 0 {
				return true
			}
			if !visit(part) {
				return false
			}
			m = m[tag+n:]
			continue
		}
		n := protowire.ConsumeFieldValue(number, kind, m[tag:])
		if n < 0 {
			return true
		}
		m = m[tag+n:]
	}
	return true
}
