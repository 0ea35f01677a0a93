package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jetfn/jetfn/internal/wire/sdktypes"
)

// googlePrefix is how the type URLs of protobuf messages begin.
const googlePrefix = "type.googleapis.com/google.protobuf."

// Google returns a value as functions of protocol 2.x get it: those of the
// built-in types as the wrapper messages that protobuf itself defines, others
// as they are. It is an error if data is no value of a built-in type.
func Google(typename string, data []byte) (typeURL string, out []byte, err error) {
	m := builtin(typename)
	if m == nil {
		return typename, data, nil
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return "", nil, fmt.Errorf("the value is no %s: %w", typename, err)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		return "", nil, fmt.Errorf("the value is no %s: it has unknown fields", typename)
	}
	wrapper := googleWrapper(m)
	out, err = proto.Marshal(wrapper)
	if err != nil {
		return "", nil, fmt.Errorf("the value is no %s: %w", typename, err)
	}
	return googlePrefix + string(wrapper.ProtoReflect().Descriptor().Name()), out, nil
}

func googleWrapper(m proto.Message) proto.Message {
	switch m := m.(type) {
	case *sdktypes.BooleanWrapper:
		return wrapperspb.Bool(m.GetValue())
	case *sdktypes.IntWrapper:
		return wrapperspb.Int32(m.GetValue())
	case *sdktypes.LongWrapper:
		return wrapperspb.Int64(m.GetValue())
	case *sdktypes.FloatWrapper:
		return wrapperspb.Float(m.GetValue())
	case *sdktypes.DoubleWrapper:
		return wrapperspb.Double(m.GetValue())
	case *sdktypes.StringWrapper:
		return wrapperspb.String(m.GetValue())
	}
	return m
}
