package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/apache/flink-statefun/statefun-sdk-go/v3/pkg/statefun"
)

// thing is the type suite/thing: a string as it is.
type thing struct{}

func (thing) GetTypeName() statefun.TypeName { return statefun.TypeNameFrom("suite/thing") }

func (thing) Deserialize(r io.Reader, receiver interface{}) error {
	data, err := io.ReadAll(r)
	if err == nil {
		*receiver.(*string) = string(data)
	}
	return err
}

func (thing) Serialize(w io.Writer, data interface{}) error {
	_, err := io.WriteString(w, data.(string))
	return err
}

var (
	aBool   = statefun.ValueSpec{Name: "a_bool", ValueType: statefun.BoolType}
	anInt   = statefun.ValueSpec{Name: "an_int", ValueType: statefun.Int32Type}
	aLong   = statefun.ValueSpec{Name: "a_long", ValueType: statefun.Int64Type}
	aFloat  = statefun.ValueSpec{Name: "a_float", ValueType: statefun.Float32Type}
	aDouble = statefun.ValueSpec{Name: "a_double", ValueType: statefun.Float64Type}
	aString = statefun.ValueSpec{Name: "a_string", ValueType: statefun.StringType}
	aCustom = statefun.ValueSpec{Name: "a_custom", ValueType: thing{}}

	typeStates = []statefun.ValueSpec{aBool, anInt, aLong, aFloat, aDouble, aString, aCustom}
	typeValues = map[string][]interface{}{
		"set":  {true, int32(-7), int64(-1 << 40), float32(1.5), -2.25, "grüße", `{"k":1}`},
		"zero": {false, int32(0), int64(0), float32(0), 0.0, "", "0"},
	}
)

func types(ctx statefun.Context, message statefun.Message) error {
	text := message.AsString()
	if text == "get" {
		emit(ctx, shown(ctx.Storage()))
		return nil
	}
	for i, spec := range typeStates {
		if text == "clear" {
			ctx.Storage().Remove(spec)
		} else {
			ctx.Storage().Set(spec, typeValues[text][i])
		}
	}
	emit(ctx, text)
	return nil
}

// shown is all states' values, absent ones as "-".
func shown(storage statefun.AddressScopedStorage) string {
	var (
		b    bool
		i    int32
		l    int64
		f    float32
		d    float64
		s, c string
	)
	texts := make([]string, len(typeStates))
	show := func(n int, receiver interface{}, format func() string) {
		texts[n] = "-"
		if storage.Get(typeStates[n], receiver) {
			texts[n] = format()
		}
	}
	show(0, &b, func() string { return fmt.Sprint(b) })
	show(1, &i, func() string { return fmt.Sprint(i) })
	show(2, &l, func() string { return fmt.Sprint(l) })
	show(3, &f, func() string { return fmt.Sprint(int(f * 4)) })
	show(4, &d, func() string { return fmt.Sprint(int(d * 4)) })
	show(5, &s, func() string { return "[" + s + "]" })
	show(6, &c, func() string { return c })
	return strings.Join(texts, " ")
}
