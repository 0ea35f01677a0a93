package sdktest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

// exampleTest stands for the *testing.T that a test has.
type exampleTest struct{}

func (exampleTest) Helper()                      {}
func (exampleTest) Context() context.Context     { return context.Background() }
func (exampleTest) Fatal(args ...any)            { panic(fmt.Sprint(args...)) }
func (exampleTest) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// reminders remind of a text a day later.
func reminders() (*sdk.Registry, sdk.Value[string]) {
	text := sdk.NewValue("text", sdk.String())
	r, err := sdk.NewRegistry([]sdk.Function{{
		Type: "example/reminder", States: []sdk.State{text},
		Invoke: sdk.Match(
			sdk.On(sdk.String(), func(ctx sdk.Context, s string) error {
				text.Set(ctx, s)
				ctx.SendAfter(24*time.Hour, ctx.Self(), sdk.Bool().Of(true))
				return nil
			}),
			sdk.On(sdk.Bool(), func(ctx sdk.Context, _ bool) error {
				ctx.Egress(sdk.ToEgress("example/reminders", sdk.String().Of(text.Get(ctx))))
				text.Remove(ctx)
				return nil
			}),
		),
	}})
	if err != nil {
		panic(err)
	}
	return r, text
}

// A whole application, whose days pass when the test says so.
func ExampleNew() {
	functions, text := reminders()
	var t exampleTest
	app := sdktest.New(t, functions)
	app.Send("example/reminder", "ann", sdk.String().Of("water the plants"))
	fmt.Println(sdktest.State(app, "example/reminder", "ann", text))
	for _, p := range app.Pending() {
		fmt.Println("due at", p.At.Format(time.DateTime))
	}
	app.Restart() // as after a crash
	app.Advance(24 * time.Hour)
	for _, r := range app.Egress("example/reminders") {
		fmt.Println(sdk.String().From(r.Value))
	}
	_, still := sdktest.State(app, "example/reminder", "ann", text)
	fmt.Println(app.Now().Format(time.DateOnly), still)
	// Output:
	// water the plants true
	// due at 2024-01-02 00:00:00
	// water the plants <nil>
	// 2024-01-02 false
}

// One call of one function, with what its address remembers.
func ExampleCall() {
	functions, text := reminders()
	var t exampleTest
	effects, err := sdktest.Call(t, functions, "example/reminder", sdk.Bool().Of(true), sdktest.With(text, "water the plants"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(effects.Records), "record")
	for _, m := range effects.Mutations {
		fmt.Println(m.Spec.Name, "is removed:", m.Delete)
	}
	// Output:
	// 1 record
	// text is removed: true
}
