package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/apache/flink-statefun/statefun-sdk-go/v3/pkg/statefun"
	"google.golang.org/protobuf/encoding/protowire"
)

// raw is a type of statefun.smoke.e2e whose values are bytes as they are.
type raw string

func (r raw) GetTypeName() statefun.TypeName {
	return statefun.TypeNameFrom("statefun.smoke.e2e/" + string(r))
}

func (raw) Deserialize(r io.Reader, receiver interface{}) (err error) {
	*receiver.(*[]byte), err = io.ReadAll(r)
	return err
}

func (raw) Serialize(w io.Writer, data interface{}) error {
	_, err := w.Write(data.([]byte))
	return err
}

const (
	source   = raw("source-command")
	commands = raw("commands")
	result   = raw("verification-result")
)

var state = statefun.ValueSpec{Name: "state", ValueType: statefun.Int64Type}

// field is a varint, or bytes.
type field struct {
	number protowire.Number
	varint uint64
	bytes  []byte
}

func fields(data []byte) (found []field, err error) {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		f, data2 := field{number: number}, data[n:]
		if kind == protowire.VarintType {
			f.varint, n = protowire.ConsumeVarint(data2)
		} else {
			f.bytes, n = protowire.ConsumeBytes(data2)
		}
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		found, data = append(found, f), data2[n:]
	}
	return found, nil
}

// interpret is the command interpreter (../README.md).
func interpret(ctx statefun.Context, message statefun.Message) error {
	body := message.RawValue()
	if message.Is(source) {
		envelope, err := fields(body)
		if err != nil {
			return err
		}
		body = nil
		for _, f := range envelope {
			if f.number == 2 {
				body = f.bytes
			}
		}
	}
	list, err := fields(body)
	if err != nil {
		return err
	}
	for _, command := range list {
		kinds, err := fields(command.bytes)
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			if err := apply(ctx, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

func apply(ctx statefun.Context, command field) error {
	var n uint64 // a target, or what is expected
	var inner []byte
	args, err := fields(command.bytes)
	if err != nil {
		return err
	}
	for _, f := range args {
		if f.number == 1 {
			n = f.varint
		} else {
			inner = f.bytes
		}
	}
	var count int64
	onward := statefun.MessageBuilder{
		Target:    statefun.Address{FunctionType: ctx.Self().FunctionType, Id: strconv.FormatUint(n, 10)},
		Value:     append([]byte{}, inner...),
		ValueType: commands,
	}
	switch command.number {
	case 1:
		ctx.Storage().Get(state, &count)
		ctx.Storage().Set(state, count+1)
	case 2:
		ctx.Send(onward)
	case 3:
		ctx.SendAfter(time.Millisecond, onward)
	case 4:
		ctx.SendEgress(statefun.GenericEgressBuilder{
			Target: statefun.TypeNameFrom("statefun.smoke.e2e/discard-sink"),
			Value:  "discarded-message", ValueType: statefun.StringType,
		})
	case 6:
		id, err := strconv.ParseUint(ctx.Self().Id, 10, 32)
		if err != nil {
			return err
		}
		ctx.Storage().Get(state, &count)
		var b []byte
		for i, v := range []uint64{id, n, uint64(count)} {
			b = protowire.AppendVarint(protowire.AppendTag(b, protowire.Number(i+1), protowire.VarintType), v)
		}
		ctx.SendEgress(statefun.GenericEgressBuilder{
			Target: statefun.TypeNameFrom("statefun.smoke.e2e/verification-sink"), Value: b, ValueType: result,
		})
	default:
		return fmt.Errorf("command %d", command.number)
	}
	return nil
}
