// The suite's functions, or the command interpreter (../README.md), for the Go
// SDK.
package main

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apache/flink-statefun/statefun-sdk-go/v3/pkg/statefun"
)

const fourSeconds = 4 * time.Second

var (
	out = statefun.TypeNameFrom("suite/out")

	seen     = statefun.ValueSpec{Name: "seen", ValueType: statefun.Int32Type}
	expected = statefun.ValueSpec{Name: "expected", ValueType: statefun.Int32Type}
	answered = statefun.ValueSpec{Name: "answered", ValueType: statefun.Int32Type}
	written  = statefun.ValueSpec{Name: "written", ValueType: statefun.Int32Type, Expiration: statefun.ExpireAfterWrite(fourSeconds)}
	called   = statefun.ValueSpec{Name: "called", ValueType: statefun.Int32Type, Expiration: statefun.ExpireAfterCall(fourSeconds)}
)

func main() {
	builder := statefun.StatefulFunctionsBuilder()
	bind := func(typename string, f statefun.StatefulFunctionPointer, states ...statefun.ValueSpec) {
		err := builder.WithSpec(statefun.StatefulFunctionSpec{
			FunctionType: statefun.TypeNameFrom(typename), States: states, Function: f,
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	switch os.Args[1] {
	case "suite":
		bind("suite/counter", count, seen)
		bind("suite/fails", fails, seen)
		bind("suite/types", types, typeStates...)
		bind("suite/expiring", expiring, written, called)
		bind("suite/delay", delay)
		bind("suite/asker", asker)
		bind("suite/answerer", answerer)
		bind("suite/fan", fan, expected, answered)
		bind("suite/leaf", leaf)
		bind("suite/echo", echo)
	case "smoke":
		bind("statefun.smoke.e2e/command-interpreter-fn", interpret, state)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), builder.AsHandler()))
}

func emit(ctx statefun.Context, text string) {
	ctx.SendEgress(statefun.KafkaEgressBuilder{Target: out, Topic: "out", Key: ctx.Self().Id, Value: text})
}

func send(ctx statefun.Context, target statefun.Address, text string) {
	ctx.Send(statefun.MessageBuilder{Target: target, Value: text})
}

func suite(name, id string) statefun.Address {
	return statefun.Address{FunctionType: statefun.TypeNameFrom("suite/" + name), Id: id}
}

// add adds one to an int state and returns the sum.
func add(ctx statefun.Context, spec statefun.ValueSpec) (n int32) {
	ctx.Storage().Get(spec, &n)
	n++
	ctx.Storage().Set(spec, n)
	return n
}

func count(ctx statefun.Context, message statefun.Message) error {
	text := message.AsString()
	if text == "reset" {
		ctx.Storage().Remove(seen)
		emit(ctx, "reset")
		return nil
	}
	emit(ctx, fmt.Sprintf("%d %s", add(ctx, seen), text))
	return nil
}

func fails(ctx statefun.Context, message statefun.Message) error {
	if message.AsString() == "bad" {
		return errors.New("the function does not like this message")
	}
	return count(ctx, message)
}

func expiring(ctx statefun.Context, message statefun.Message) error {
	shown := func(spec statefun.ValueSpec) string {
		var n int32
		if !ctx.Storage().Get(spec, &n) {
			return "-"
		}
		return strconv.Itoa(int(n))
	}
	switch message.AsString() {
	case "add":
		add(ctx, written)
		add(ctx, called)
		emit(ctx, "added")
	case "get":
		emit(ctx, fmt.Sprintf("written=%s called=%s", shown(written), shown(called)))
	}
	return nil
}

func delay(ctx statefun.Context, message statefun.Message) error {
	verb, rest, _ := strings.Cut(message.AsString(), " ")
	if verb == "cancel" {
		token, err := statefun.NewCancellationToken(rest)
		if err != nil {
			return err
		}
		ctx.CancelDelayedMessage(token)
		emit(ctx, "cancelled")
		return nil
	}
	parts := strings.SplitN(rest, " ", 3)
	milliseconds, err := strconv.Atoi(parts[0])
	if err != nil {
		return err
	}
	after := time.Duration(milliseconds) * time.Millisecond
	later := statefun.MessageBuilder{Target: suite("counter", ctx.Self().Id), Value: parts[2]}
	if parts[1] == "-" {
		ctx.SendAfter(after, later)
		return nil
	}
	token, err := statefun.NewCancellationToken(parts[1])
	if err == nil {
		ctx.SendAfterWithCancellationToken(after, token, later)
	}
	return err
}

func asker(ctx statefun.Context, message statefun.Message) error {
	if id, ok := strings.CutPrefix(message.AsString(), "ask "); ok {
		send(ctx, suite("answerer", id), "question")
	} else {
		emit(ctx, message.AsString())
	}
	return nil
}

func answerer(ctx statefun.Context, message statefun.Message) error {
	if ctx.Caller() == nil {
		emit(ctx, "nobody asked "+message.AsString())
	} else {
		send(ctx, *ctx.Caller(), fmt.Sprintf("answer to %s by %s", message.AsString(), ctx.Self().Id))
	}
	return nil
}

func fan(ctx statefun.Context, message statefun.Message) error {
	if rest, ok := strings.CutPrefix(message.AsString(), "fan "); ok {
		n, err := strconv.Atoi(rest)
		if err != nil {
			return err
		}
		ctx.Storage().Set(expected, int32(n))
		for i := range n {
			send(ctx, suite("leaf", fmt.Sprintf("%s-%d", ctx.Self().Id, i)), "leaf")
		}
		return nil
	}
	var want int32
	ctx.Storage().Get(expected, &want)
	if n := add(ctx, answered); n == want {
		emit(ctx, fmt.Sprintf("all %d", n))
	}
	return nil
}

func leaf(ctx statefun.Context, _ statefun.Message) error {
	send(ctx, *ctx.Caller(), "done")
	return nil
}

func echo(ctx statefun.Context, message statefun.Message) error {
	var text string
	if err := message.As(thing{}, &text); err != nil {
		return err
	}
	ctx.SendEgress(statefun.GenericEgressBuilder{Target: statefun.TypeNameFrom("suite/raw"), Value: text, ValueType: thing{}})
	ctx.SendEgress(statefun.KinesisEgressBuilder{
		Target: out, Stream: "kinesis", Value: text, PartitionKey: ctx.Self().Id, ExplicitHashKey: "7",
	})
	return nil
}
