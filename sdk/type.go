package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jetfn/jetfn/internal/wire"
	"github.com/jetfn/jetfn/internal/wire/sdktypes"
)

// Type is how values of T are written as bytes, and under which name they
// travel and are stored. Types are made by the functions of this package,
// [NewType] for an encoding of one's own, and may be used by many goroutines.
type Type[T any] struct {
	name   string
	encode func(T) ([]byte, error)
	decode func([]byte) (T, error)
	// message is the full name of a protobuf message that T may come as, too,
	// under any prefix: that is how functions of protocol 2.x send it.
	message string
	unwrap  func([]byte) (T, error)
}

// NewType is a type of one's own. Decode must not keep its argument; encode
// must not keep a reference to what it returns.
func NewType[T any](name string, encode func(T) ([]byte, error), decode func([]byte) (T, error)) Type[T] {
	return Type[T]{name: name, encode: encode, decode: decode}
}

// Name is the name that values travel under.
func (t Type[T]) Name() string { return t.name }

// Of is v as it travels. An error of the encoding stays in the result and
// fails the call that sends it.
func (t Type[T]) Of(v T) TypedValue {
	if t.encode == nil {
		return TypedValue{err: errNoType}
	}
	data, err := t.encode(v)
	if err != nil {
		err = fmt.Errorf("encode a value of type %s: %w", t.name, err)
	}
	return TypedValue{Type: t.name, Data: data, err: err}
}

// Is reports whether v is of this type. A built-in type is also the wrapper
// message that protobuf has for it, which functions of protocol 2.x send.
func (t Type[T]) Is(v TypedValue) bool { return v.Type == t.name || t.wraps(v.Type) }

// wraps reports whether a value of a type name is the message of t.
func (t Type[T]) wraps(name string) bool {
	return t.message != "" && strings.HasSuffix(name, t.message) && strings.HasSuffix(strings.TrimSuffix(name, t.message), "/")
}

// From reads v. Its error names both types if v is of another one.
func (t Type[T]) From(v TypedValue) (T, error) {
	var zero T
	switch {
	case t.decode == nil:
		return zero, errNoType
	case v.err != nil:
		return zero, v.err
	case !t.Is(v):
		return zero, fmt.Errorf("the value is of type %s, not %s", v.Type, t.name)
	}
	decode := t.decode
	if v.Type != t.name {
		decode = t.unwrap
	}
	out, err := decode(v.Data)
	if err != nil {
		return zero, fmt.Errorf("decode a value of type %s: %w", t.name, err)
	}
	return out, nil
}

var errNoType = errors.New("the zero Type has no encoding; make one with a function of package sdk")

// TypedValue is a value as it travels and is stored: a type name and bytes.
type TypedValue struct {
	Type string
	Data []byte

	err error // of the encoding
}

// Bool is StateFun's io.statefun.types/bool.
func Bool() Type[bool] {
	return builtin(wire.TypeBool,
		func(v bool) proto.Message { return &sdktypes.BooleanWrapper{Value: v} },
		(*sdktypes.BooleanWrapper).GetValue, (*wrapperspb.BoolValue).GetValue)
}

// Int32 is StateFun's io.statefun.types/int.
func Int32() Type[int32] {
	return builtin(wire.TypeInt,
		func(v int32) proto.Message { return &sdktypes.IntWrapper{Value: v} },
		(*sdktypes.IntWrapper).GetValue, (*wrapperspb.Int32Value).GetValue)
}

// Int64 is StateFun's io.statefun.types/long.
func Int64() Type[int64] {
	return builtin(wire.TypeLong,
		func(v int64) proto.Message { return &sdktypes.LongWrapper{Value: v} },
		(*sdktypes.LongWrapper).GetValue, (*wrapperspb.Int64Value).GetValue)
}

// Float32 is StateFun's io.statefun.types/float.
func Float32() Type[float32] {
	return builtin(wire.TypeFloat,
		func(v float32) proto.Message { return &sdktypes.FloatWrapper{Value: v} },
		(*sdktypes.FloatWrapper).GetValue, (*wrapperspb.FloatValue).GetValue)
}

// Float64 is StateFun's io.statefun.types/double.
func Float64() Type[float64] {
	return builtin(wire.TypeDouble,
		func(v float64) proto.Message { return &sdktypes.DoubleWrapper{Value: v} },
		(*sdktypes.DoubleWrapper).GetValue, (*wrapperspb.DoubleValue).GetValue)
}

// String is StateFun's io.statefun.types/string: UTF-8 text.
func String() Type[string] {
	return builtin(wire.TypeString,
		func(v string) proto.Message { return &sdktypes.StringWrapper{Value: v} },
		(*sdktypes.StringWrapper).GetValue, (*wrapperspb.StringValue).GetValue)
}

// message is a pointer to the protobuf message S.
type message[S any] interface {
	*S
	proto.Message
}

// builtin is a built-in type: StateFun's wrapper, or protobuf's.
func builtin[T, S, G any, M message[S], W message[G]](name string, wrap func(T) proto.Message, value func(M) T, google func(W) T) Type[T] {
	return Type[T]{
		name:    name,
		encode:  func(v T) ([]byte, error) { return proto.Marshal(wrap(v)) },
		decode:  func(data []byte) (T, error) { return unwrap(data, value) },
		message: string(W(new(G)).ProtoReflect().Descriptor().FullName()),
		unwrap:  func(data []byte) (T, error) { return unwrap(data, google) },
	}
}

func unwrap[T, S any, M message[S]](data []byte, value func(M) T) (T, error) {
	m := M(new(S))
	if err := proto.Unmarshal(data, m); err != nil {
		var zero T
		return zero, err //nolint:wrapcheck // From says which type
	}
	return value(m), nil
}

// JSON is T as JSON text under a type name of one's own, such as "shop/item".
func JSON[T any](name string) Type[T] {
	return Type[T]{
		name:   name,
		encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		decode: func(data []byte) (out T, err error) { return out, json.Unmarshal(data, &out) },
	}
}

// Bytes is raw bytes under a type name of one's own.
func Bytes(name string) Type[[]byte] {
	same := func(v []byte) ([]byte, error) { return append([]byte{}, v...), nil }
	return Type[[]byte]{name: name, encode: same, decode: same}
}

// Proto is a protobuf message under the name that StateFun's SDKs give it,
// "type.googleapis.com/" and the message's full name.
func Proto[M proto.Message]() Type[M] {
	var none M
	name := string(none.ProtoReflect().Descriptor().FullName())
	t := ProtoAs[M]("type.googleapis.com/" + name)
	t.message, t.unwrap = name, t.decode // whatever is in front of the name in protocol 2.x
	return t
}

// ProtoAs is a protobuf message under a type name of one's own.
func ProtoAs[M proto.Message](name string) Type[M] {
	return Type[M]{
		name:   name,
		encode: func(m M) ([]byte, error) { return proto.Marshal(m) },
		decode: func(data []byte) (M, error) {
			var none M
			m, ok := none.ProtoReflect().New().Interface().(M)
			if !ok {
				return none, fmt.Errorf("%T can't be made anew", none)
			}
			return m, proto.Unmarshal(data, m)
		},
	}
}
