package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

// exampleTest stands for the *testing.T that a test has.
type exampleTest struct{}

func (exampleTest) Helper()                      {}
func (exampleTest) Context() context.Context     { return context.Background() }
func (exampleTest) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (exampleTest) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// application is one with these functions, in memory.
func application(functions ...sdk.Function) *sdktest.App {
	r, err := sdk.NewRegistry(functions)
	if err != nil {
		panic(err)
	}
	return sdktest.New(exampleTest{}, r)
}

// ask calls a function at the id "ann" and prints its answer, which is text.
func ask(app *sdktest.App, functionType string, m sdk.Message) {
	reply, _ := app.Call(functionType, "ann", m)
	text, err := sdk.String().From(reply)
	if err != nil {
		panic(err)
	}
	fmt.Println(text)
}

func Example() {
	visits := sdk.NewValue("visits", sdk.Int64())
	app := application(sdk.Function{
		Type:   "example/greeter",
		States: []sdk.State{visits},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, name string) error {
			n := visits.Get(ctx) + 1
			visits.Set(ctx, n)
			return ctx.Reply(sdk.String().Of(fmt.Sprintf("Hello %s, visit %d.", name, n)))
		})),
	})
	ask(app, "example/greeter", sdk.String().Of("Ada"))
	app.Restart() // as after a crash
	ask(app, "example/greeter", sdk.String().Of("Ada"))
	// Output:
	// Hello Ada, visit 1.
	// Hello Ada, visit 2.
}

// Messages of several types, each with a function of its own.
func ExampleMatch() {
	type order struct{ Item string }
	orders := sdk.JSON[order]("shop/order")
	app := application(sdk.Function{Type: "shop/desk", Invoke: sdk.Match(
		sdk.On(orders, func(ctx sdk.Context, o order) error { return ctx.Reply(sdk.String().Of(o.Item + " is on its way")) }),
		sdk.On(sdk.Bool(), func(ctx sdk.Context, open bool) error { return ctx.Reply(sdk.String().Of(fmt.Sprint("open: ", open))) }),
		sdk.Otherwise(func(ctx sdk.Context, m sdk.Message) error {
			return ctx.Reply(sdk.String().Of("what is " + m.Type + "?"))
		}),
	)})
	ask(app, "shop/desk", orders.Of(order{Item: "tea"}))
	ask(app, "shop/desk", sdk.Bool().Of(true))
	ask(app, "shop/desk", sdk.Int32().Of(7))
	// Output:
	// tea is on its way
	// open: true
	// what is io.statefun.types/int?
}

// Messages to other functions, now, later, and taken back.
func ExampleContext() {
	app := application(sdk.Function{Type: "shop/cart", Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, verb string) error {
		switch verb {
		case "open":
			ctx.Send(sdk.To("shop/log", "carts"), sdk.String().Of(ctx.Self().ID+" has a cart"))
			ctx.SendCancellable("reminder", time.Hour, sdk.To("shop/mail", ctx.Self().ID), sdk.String().Of("your cart waits"))
		case "close":
			ctx.Cancel("reminder")
		}
		return nil
	}))})
	show := func() {
		fmt.Println(len(app.Sent("shop/log", "carts")), "in the log,", len(app.Sent("shop/mail", "ann")), "mails")
	}
	app.Send("shop/cart", "ann", sdk.String().Of("open"))
	show()
	app.Advance(time.Hour)
	show()
	app.Send("shop/cart", "ann", sdk.String().Of("open"))
	app.Send("shop/cart", "ann", sdk.String().Of("close"))
	app.Advance(time.Hour)
	show()
	// Output:
	// 1 in the log, 0 mails
	// 1 in the log, 1 mails
	// 2 in the log, 1 mails
}

// A value that ceases to exist when its address is not called for an hour.
func ExampleValue() {
	last := sdk.NewValue("last", sdk.String(), sdk.AfterInvoke(time.Hour))
	app := application(sdk.Function{
		Type: "example/memory", States: []sdk.State{last},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, text string) error {
			before, ok := last.Lookup(ctx)
			last.Set(ctx, text)
			return ctx.Reply(sdk.String().Of(fmt.Sprintf("%q %v", before, ok)))
		})),
	})
	ask(app, "example/memory", sdk.String().Of("one"))
	app.Advance(59 * time.Minute)
	ask(app, "example/memory", sdk.String().Of("two"))
	app.Advance(time.Hour)
	ask(app, "example/memory", sdk.String().Of("three"))
	// Output:
	// "" false
	// "one" true
	// "" false
}

// A table has an entry for each key, in their order, loaded when asked for.
func ExampleTable() {
	stock := sdk.NewTable("stock", sdk.StringKey(), sdk.Int64())
	app := application(sdk.Function{
		Type: "shop/stock", States: []sdk.State{stock},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, prefix string) error {
			for i, item := range []string{"tea/green", "tea/black", "rum", "tea/white"} {
				stock.Set(ctx, item, int64(i))
			}
			stock.Remove(ctx, "tea/white")
			var found []string
			for item, n := range stock.Prefix(ctx, prefix) {
				found = append(found, fmt.Sprint(item, " ", n))
			}
			return ctx.Reply(sdk.String().Of(strings.Join(found, ", ")))
		})),
	})
	ask(app, "shop/stock", sdk.String().Of("tea/"))
	// Output:
	// tea/black 1, tea/green 0
}

// A buffer grows without being read.
func ExampleBuffer() {
	lines := sdk.NewBuffer("lines", sdk.String())
	app := application(sdk.Function{
		Type: "example/log", States: []sdk.State{lines},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, line string) error {
			lines.Append(ctx, line)
			var all []string
			for one := range lines.All(ctx) {
				all = append(all, one)
			}
			return ctx.Reply(sdk.String().Of(strings.Join(all, ", ")))
		})),
	})
	ask(app, "example/log", sdk.String().Of("one"))
	ask(app, "example/log", sdk.String().Of("two"))
	// Output:
	// one
	// one, two
}

// States whose names come with the messages.
func ExampleRegister() {
	facts := sdk.NewStateRegistry()
	app := application(sdk.Function{Type: "example/profile", States: []sdk.State{facts}, Invoke: sdk.Match(
		sdk.On(sdk.String(), func(ctx sdk.Context, name string) error {
			times, err := sdk.Register(ctx, facts, name, sdk.Int64())
			if err != nil {
				return err
			}
			times.Set(ctx, times.Get(ctx)+1)
			return ctx.Reply(sdk.String().Of(fmt.Sprintf("%s: %d", name, times.Get(ctx))))
		}),
	)})
	ask(app, "example/profile", sdk.String().Of("likes-tea"))
	ask(app, "example/profile", sdk.String().Of("likes-rum"))
	ask(app, "example/profile", sdk.String().Of("likes-tea"))
	// Output:
	// likes-tea: 1
	// likes-rum: 1
	// likes-tea: 2
}

// Work that takes long: the address goes on, and its result is a message.
func ExampleAsync() {
	square := sdk.NewAsync(sdk.AsyncConfig[int64, int64]{
		Name: "square", In: sdk.Int64(), Out: sdk.Int64(),
		Work: func(_ context.Context, n int64) (int64, error) { return n * n, nil }, // such as a request to another system
		Then: func(ctx sdk.Context, r sdk.Result[int64, int64]) error {
			ctx.Send(sdk.To("example/results", "all"), sdk.String().Of(fmt.Sprintf("%s: %d squared is %d", r.Status, r.In, r.Out)))
			return nil
		},
		Idempotent: true, // it may be done again after a crash
	})
	app := application(sdk.Function{
		Type: "example/squares", Async: []sdk.Work{square},
		Invoke: sdk.Match(sdk.On(sdk.Int64(), func(ctx sdk.Context, n int64) error {
			square.Start(ctx, n)
			return nil
		})),
	})
	app.Send("example/squares", "ann", sdk.Int64().Of(12))
	for _, m := range app.Sent("example/results", "all") {
		text, err := sdk.String().From(m.Value)
		fmt.Println(text, err)
	}
	// Output:
	// success: 12 squared is 144 <nil>
}

// An error that says that its message needn't be tried again: it becomes a
// dead letter.
func ExampleNever() {
	app := application(sdk.Function{Type: "shop/till", Invoke: sdk.Match(sdk.On(sdk.Int64(), func(_ sdk.Context, cents int64) error {
		if cents < 0 {
			return sdk.Never(fmt.Errorf("%d cents can't be paid", cents))
		}
		return nil
	}))})
	app.Send("shop/till", "1", sdk.Int64().Of(-5))
	for _, letter := range app.DeadLetters() {
		fmt.Println(letter.To, "after", letter.Attempts, "attempt")
	}
	// Output:
	// shop/till/1 after 1 attempt
}

// An error that says when its message is to be tried again.
func ExampleRetryAfter() {
	app := application(sdk.Function{Type: "shop/till", Invoke: func(ctx sdk.Context, m sdk.Message) error {
		if ctx.Attempt() == 1 {
			return sdk.RetryAfter(30*time.Second, errors.New("the bank is closed"))
		}
		ctx.Send(sdk.To("shop/book", "1"), m)
		return nil
	}})
	app.Send("shop/till", "1", sdk.Int64().Of(5))
	app.Advance(29 * time.Second)
	fmt.Println(len(app.Sent("shop/book", "1")), "booked")
	app.Advance(time.Second)
	fmt.Println(len(app.Sent("shop/book", "1")), "booked")
	// Output:
	// 0 booked
	// 1 booked
}

// Records for egresses. NATS egresses take each of them.
func ExampleRecord() {
	app := application(sdk.Function{Type: "shop/till", Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		ctx.Egress(sdk.ToEgress("shop/receipts", sdk.String().Of("one tea"))) // as it is
		ctx.Egress(sdk.ToNATS("shop/events", ctx.Self().ID, []byte("paid")))  // on a subject that ends with the id
		ctx.Egress(sdk.ToKafka("shop/audit", "payments", ctx.Self().ID, []byte("paid")))
		ctx.Egress(sdk.ToKinesis("shop/archive", "payments", ctx.Self().ID, "", []byte("paid")))
		return nil
	}})
	app.Send("shop/till", "1", sdk.Int64().Of(5))
	for _, id := range []string{"shop/receipts", "shop/events", "shop/audit", "shop/archive"} {
		for _, r := range app.Egress(id) {
			fmt.Println(id, r.Value.Type)
		}
	}
	// Output:
	// shop/receipts io.statefun.types/string
	// shop/events type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord
	// shop/audit type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord
	// shop/archive type.googleapis.com/io.statefun.sdk.egress.KinesisEgressRecord
}

// Types say how values travel: those of StateFun, JSON, protobuf, or one's own.
func ExampleType() {
	type point struct{ X, Y int }
	points := sdk.NewType("example/point",
		func(p point) ([]byte, error) { return fmt.Appendf(nil, "%d,%d", p.X, p.Y), nil },
		func(data []byte) (p point, err error) {
			_, err = fmt.Sscanf(string(data), "%d,%d", &p.X, &p.Y)
			return p, err
		})
	v := points.Of(point{3, 4})
	p, err := points.From(v)
	fmt.Println(v.Type, string(v.Data), p, err)
	fmt.Println(string(sdk.JSON[point]("example/json-point").Of(point{3, 4}).Data))
	fmt.Println(sdk.Proto[*durationpb.Duration]().Of(durationpb.New(time.Second)).Type)
	_, err = sdk.Int64().From(v)
	fmt.Println(err)
	// Output:
	// example/point 3,4 {3 4} <nil>
	// {"X":3,"Y":4}
	// type.googleapis.com/google.protobuf.Duration
	// the value is of type example/point, not io.statefun.types/long
}

// Functions behind HTTP, for workers that a module tells of them.
func ExampleHandler() {
	registry, err := sdk.NewRegistry([]sdk.Function{{Type: "example/*", Invoke: func(sdk.Context, sdk.Message) error { return nil }}})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(sdk.Handler(registry, sdk.WithMaxBody(1<<20), sdk.WithMaxCalls(100)))
	defer server.Close()
	health, err := http.Get(server.URL + "/healthz")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(health.Status, health.Body.Close())
	call, err := http.Post(server.URL, "application/octet-stream", strings.NewReader("no call"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(call.Status, call.Body.Close())
	// Output:
	// 200 OK <nil>
	// 400 Bad Request <nil>
}
