package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jetfn/jetfn/sdk"
)

func suiteFunctions() []sdk.Function {
	const soon = 4 * time.Second
	written := sdk.NewValue("written", sdk.Int32(), sdk.AfterWrite(soon))
	called := sdk.NewValue("called", sdk.Int32(), sdk.AfterInvoke(soon))
	seen := sdk.NewValue("seen", sdk.Int32())
	count := counter(seen)
	return []sdk.Function{
		{Type: "suite/counter", Invoke: text(count), States: []sdk.State{seen}},
		{Type: "suite/fails", Invoke: text(func(ctx sdk.Context, s string) error {
			if s == "bad" {
				return errors.New("the function does not like this message")
			}
			return count(ctx, s)
		}), States: []sdk.State{seen}},
		typesFunction(),
		{Type: "suite/expiring", Invoke: text(expiring(written, called)), States: []sdk.State{written, called}},
		{Type: "suite/delay", Invoke: text(delay)},
		{Type: "suite/asker", Invoke: text(ask)},
		{Type: "suite/answerer", Invoke: text(answer)},
		fanFunction(),
		{Type: "suite/leaf", Invoke: func(ctx sdk.Context, _ sdk.Message) error { return ctx.Reply(sdk.String().Of("done")) }},
		{Type: "suite/echo", Invoke: sdk.Match(sdk.On(thing(), echo))},
	}
}

func thing() sdk.Type[[]byte] { return sdk.Bytes("suite/thing") }

// text is a function that takes text alone.
func text(f func(ctx sdk.Context, s string) error) sdk.Func {
	return sdk.Match(sdk.On(sdk.String(), f))
}

func emit(ctx sdk.Context, text string) {
	ctx.Egress(sdk.ToKafka("suite/out", "out", ctx.Self().ID, []byte(text)))
}

func send(ctx sdk.Context, name, id, text string) {
	ctx.Send(sdk.To("suite/"+name, id), sdk.String().Of(text))
}

func add(ctx sdk.Context, v sdk.Value[int32]) int32 {
	n := v.Get(ctx) + 1
	v.Set(ctx, n)
	return n
}

func counter(seen sdk.Value[int32]) func(sdk.Context, string) error {
	return func(ctx sdk.Context, s string) error {
		if s == "reset" {
			seen.Remove(ctx)
			emit(ctx, s)
			return nil
		}
		emit(ctx, fmt.Sprintf("%d %s", add(ctx, seen), s))
		return nil
	}
}

func expiring(written, called sdk.Value[int32]) func(sdk.Context, string) error {
	return func(ctx sdk.Context, s string) error {
		switch s {
		case "add":
			add(ctx, written)
			add(ctx, called)
			emit(ctx, "added")
		case "get":
			emit(ctx, fmt.Sprintf("written=%s called=%s",
				shown(ctx, written, func(n int32) any { return n }), shown(ctx, called, func(n int32) any { return n })))
		}
		return nil
	}
}

// shown is a value as text, or "-".
func shown[T any](ctx sdk.Context, v sdk.Value[T], format func(T) any) string {
	x, ok := v.Lookup(ctx)
	if !ok {
		return "-"
	}
	return fmt.Sprint(format(x))
}

func delay(ctx sdk.Context, s string) error {
	if token, ok := strings.CutPrefix(s, "cancel "); ok {
		ctx.Cancel(token)
		emit(ctx, "cancelled")
		return nil
	}
	parts := strings.SplitN(s, " ", 4)
	ms, err := strconv.Atoi(parts[1])
	if err != nil {
		return sdk.Never(err)
	}
	token := parts[2]
	if token == "-" {
		token = ""
	}
	ctx.SendCancellable(token, time.Duration(ms)*time.Millisecond, sdk.To("suite/counter", ctx.Self().ID), sdk.String().Of(parts[3]))
	return nil
}

func ask(ctx sdk.Context, s string) error {
	if id, ok := strings.CutPrefix(s, "ask "); ok {
		send(ctx, "answerer", id, "question")
	} else {
		emit(ctx, s)
	}
	return nil
}

func answer(ctx sdk.Context, s string) error {
	err := ctx.Reply(sdk.String().Of(fmt.Sprintf("answer to %s by %s", s, ctx.Self().ID)))
	if errors.Is(err, sdk.ErrNoCaller) {
		emit(ctx, "nobody asked "+s)
		return nil
	}
	return err
}

func fanFunction() sdk.Function {
	expected, answered := sdk.NewValue("expected", sdk.Int32()), sdk.NewValue("answered", sdk.Int32())
	return sdk.Function{Type: "suite/fan", States: []sdk.State{expected, answered}, Invoke: text(func(ctx sdk.Context, s string) error {
		rest, begins := strings.CutPrefix(s, "fan ")
		if !begins {
			if n := add(ctx, answered); n == expected.Get(ctx) {
				emit(ctx, fmt.Sprintf("all %d", n))
			}
			return nil
		}
		n, err := strconv.ParseInt(rest, 10, 32)
		if err != nil {
			return sdk.Never(err)
		}
		expected.Set(ctx, int32(n))
		for i := range n {
			send(ctx, "leaf", fmt.Sprintf("%s-%d", ctx.Self().ID, i), "leaf")
		}
		return nil
	})}
}

func echo(ctx sdk.Context, data []byte) error {
	ctx.Egress(sdk.ToEgress("suite/raw", thing().Of(data)))
	ctx.Egress(sdk.ToKinesis("suite/out", "kinesis", ctx.Self().ID, "7", data))
	return nil
}

// typesFunction has a state of each type.
func typesFunction() sdk.Function {
	b, i, l := sdk.NewValue("a_bool", sdk.Bool()), sdk.NewValue("an_int", sdk.Int32()), sdk.NewValue("a_long", sdk.Int64())
	f, d := sdk.NewValue("a_float", sdk.Float32()), sdk.NewValue("a_double", sdk.Float64())
	s, c := sdk.NewValue("a_string", sdk.String()), sdk.NewValue("a_custom", thing())
	set := func(ctx sdk.Context, bv bool, iv int32, lv int64, fv float32, dv float64, sv, cv string) {
		b.Set(ctx, bv)
		i.Set(ctx, iv)
		l.Set(ctx, lv)
		f.Set(ctx, fv)
		d.Set(ctx, dv)
		s.Set(ctx, sv)
		c.Set(ctx, []byte(cv))
	}
	return sdk.Function{Type: "suite/types", States: []sdk.State{b, i, l, f, d, s, c}, Invoke: text(func(ctx sdk.Context, verb string) error {
		switch verb {
		case "set":
			set(ctx, true, -7, -1<<40, 1.5, -2.25, "grüße", `{"k":1}`)
		case "zero":
			set(ctx, false, 0, 0, 0, 0, "", "0")
		case "clear":
			b.Remove(ctx)
			i.Remove(ctx)
			l.Remove(ctx)
			f.Remove(ctx)
			d.Remove(ctx)
			s.Remove(ctx)
			c.Remove(ctx)
		case "get":
			emit(ctx, strings.Join([]string{
				shown(ctx, b, func(v bool) any { return v }), shown(ctx, i, func(v int32) any { return v }), shown(ctx, l, func(v int64) any { return v }),
				shown(ctx, f, func(v float32) any { return int(v * 4) }), shown(ctx, d, func(v float64) any { return int(v * 4) }),
				shown(ctx, s, func(v string) any { return "[" + v + "]" }), shown(ctx, c, func(v []byte) any { return string(v) }),
			}, " "))
			return nil
		}
		emit(ctx, verb)
		return nil
	})}
}
