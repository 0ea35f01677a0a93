package wire

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/wire/sdktypes"
)

// The built-in value types.
const (
	TypeBool   = "io.statefun.types/bool"
	TypeInt    = "io.statefun.types/int"
	TypeLong   = "io.statefun.types/long"
	TypeFloat  = "io.statefun.types/float"
	TypeDouble = "io.statefun.types/double"
	TypeString = "io.statefun.types/string"
)

// ErrNotBuiltin means that a type is none of the built-in ones.
var ErrNotBuiltin = errors.New("not a built-in type")

// Text returns a value of a built-in type as text: numbers in decimal, true
// or false, strings as they are. It is false for other types, and for bytes
// that are no value of theirs.
func Text(typename string, data []byte) (string, bool) {
	m := builtin(typename)
	if m == nil || proto.Unmarshal(data, m) != nil || len(m.ProtoReflect().GetUnknown()) > 0 {
		return "", false
	}
	switch m := m.(type) {
	case *sdktypes.BooleanWrapper:
		return strconv.FormatBool(m.GetValue()), true
	case *sdktypes.IntWrapper:
		return strconv.FormatInt(int64(m.GetValue()), 10), true
	case *sdktypes.LongWrapper:
		return strconv.FormatInt(m.GetValue(), 10), true
	case *sdktypes.FloatWrapper:
		return strconv.FormatFloat(float64(m.GetValue()), 'g', -1, 32), true
	case *sdktypes.DoubleWrapper:
		return strconv.FormatFloat(m.GetValue(), 'g', -1, 64), true
	case *sdktypes.StringWrapper:
		return m.GetValue(), true
	}
	return "", false
}

// FromText is the inverse of Text. The error wraps ErrNotBuiltin when
// typename is no built-in type, and names the text when it doesn't fit.
func FromText(typename, text string) ([]byte, error) {
	m := builtin(typename)
	if m == nil {
		return nil, fmt.Errorf("%w: %q", ErrNotBuiltin, typename)
	}
	if err := parse(m, text); err != nil {
		return nil, fmt.Errorf("%q is no %s: %w", text, typename, err)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%q is no %s: %w", text, typename, err)
	}
	return data, nil
}

func parse(m proto.Message, text string) (err error) {
	switch m := m.(type) {
	case *sdktypes.BooleanWrapper:
		m.Value, err = strconv.ParseBool(text)
	case *sdktypes.IntWrapper:
		var v int64
		v, err = strconv.ParseInt(text, 10, 32)
		m.Value = int32(v)
	case *sdktypes.LongWrapper:
		m.Value, err = strconv.ParseInt(text, 10, 64)
	case *sdktypes.FloatWrapper:
		var v float64
		v, err = strconv.ParseFloat(text, 32)
		m.Value = float32(v)
	case *sdktypes.DoubleWrapper:
		m.Value, err = strconv.ParseFloat(text, 64)
	case *sdktypes.StringWrapper:
		m.Value = text
	}
	return err
}

// Builtin reports whether typename is a built-in type.
func Builtin(typename string) bool { return builtin(typename) != nil }

// builtin returns an empty message of a built-in type, nil for other types.
func builtin(typename string) proto.Message {
	switch typename {
	case TypeBool:
		return &sdktypes.BooleanWrapper{}
	case TypeInt:
		return &sdktypes.IntWrapper{}
	case TypeLong:
		return &sdktypes.LongWrapper{}
	case TypeFloat:
		return &sdktypes.FloatWrapper{}
	case TypeDouble:
		return &sdktypes.DoubleWrapper{}
	case TypeString:
		return &sdktypes.StringWrapper{}
	}
	return nil
}
