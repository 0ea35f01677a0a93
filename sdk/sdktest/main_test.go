package sdktest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTimePassesOnlyWhenItIsTold(t *testing.T) {
	t.Parallel()
	last := sdk.NewValue("last", sdk.String(), sdk.AfterInvoke(time.Hour))
	r, err := sdk.NewRegistry([]sdk.Function{
		{Type: "a/echo", States: []sdk.State{last}, Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, s string) error {
			last.Set(ctx, s)
			ctx.SendAfter(time.Minute, sdk.To("b/other", "x"), sdk.String().Of(s))
			return ctx.Reply(sdk.String().Of(s))
		}))},
		{Type: "a/broken", Invoke: func(sdk.Context, sdk.Message) error { return errors.New("broken") }},
	})
	if err != nil {
		t.Fatal(err)
	}
	app := sdktest.New(t, r)
	if reply, ok := app.Call("a/echo", "1", sdk.String().Of("hi")); !ok || !sdk.String().Is(reply) {
		t.Errorf("Call = %+v, %v", reply, ok)
	}
	if got := app.Sent("b/other", "x"); len(got) != 0 {
		t.Errorf("sent at once: %v", got)
	}
	want := []sdktest.Pending{{
		At: app.Now().Add(time.Minute), To: sdk.To("b/other", "x"), From: sdk.To("a/echo", "1"), Value: sdk.String().Of("hi"),
	}}
	if diff := cmp.Diff(want, app.Pending(), cmpopts.IgnoreUnexported(sdk.TypedValue{})); diff != "" {
		t.Errorf("Pending (-want +got):\n%s", diff)
	}
	app.Advance(time.Minute)
	if got := app.Pending(); len(got) != 0 {
		t.Errorf("Pending after it has come = %v", got)
	}
	if got := app.Sent("b/other", "x"); len(got) != 1 || got[0].From != sdk.To("a/echo", "1") {
		t.Errorf("sent after a minute: %v", got)
	}
	if got, ok := sdktest.State(app, "a/echo", "1", last); !ok || got != "hi" {
		t.Errorf("State = %q, %v", got, ok)
	}
	app.Advance(time.Hour)
	if got, ok := sdktest.State(app, "a/echo", "1", last); ok {
		t.Errorf("State after its time = %q", got)
	}
	app.Send("a/broken", "1", sdk.String().Of("hi"))
	app.Advance(time.Hour)
	if got := app.DeadLetters(); len(got) != 1 || got[0].Attempts < 2 {
		t.Errorf("dead letters = %+v", got)
	}
}

func TestCallGivesStateAndCaller(t *testing.T) {
	t.Parallel()
	n := sdk.NewValue("n", sdk.Int32())
	r, err := sdk.NewRegistry([]sdk.Function{{Type: "a/f", States: []sdk.State{n}, Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		return ctx.Reply(sdk.Int32().Of(n.Get(ctx) + int32(ctx.Attempt())))
	}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := sdktest.Call(t, r, "a/f", sdk.Bool().Of(true), sdktest.With(n, 40), sdktest.From("a/g", "x"), sdktest.At("7"), sdktest.Attempt(2))
	if err != nil || len(got.Sends) != 1 || got.Sends[0].To != sdk.To("a/g", "x") {
		t.Fatalf("Call = %+v, %v", got, err)
	}
	if v, err := sdk.Int32().From(got.Sends[0].Value); err != nil || v != 42 {
		t.Errorf("reply = %d, %v, want 42", v, err)
	}
}
