package sdk_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetfn/jetfn/sdk"
)

func registry(t *testing.T, functions ...sdk.Function) *sdk.Registry {
	t.Helper()
	r, err := sdk.NewRegistry(functions)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// call answers one message from a caller, by an address without any state.
func call(t *testing.T, fn sdk.Func, states ...sdk.State) (*sdk.Effects, error) {
	t.Helper()
	r := registry(t, sdk.Function{Type: "a/f", Invoke: fn, States: states})
	return r.Invoke(t.Context(), &sdk.Batch{
		Self: sdk.To("a/f", "1"), Complete: true,
		Messages: []sdk.Envelope{{Caller: sdk.To("a/caller", "c"), Value: sdk.String().Of("hi")}},
	})
}

func TestStateWrittenByOneMessageIsSeenByTheNextOfItsBatch(t *testing.T) {
	t.Parallel()
	count := sdk.NewValue("count", sdk.Int64())
	r := registry(t, sdk.Function{Type: "a/f", States: []sdk.State{count}, Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		count.Set(ctx, count.Get(ctx)+1)
		return nil
	}})
	b := &sdk.Batch{
		Self:     sdk.To("a/f", "1"),
		States:   []sdk.StoredState{{Name: "count", Value: sdk.Int64().Of(40), Present: true}},
		Messages: make([]sdk.Envelope, 2),
	}
	got, err := r.Invoke(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Mutation{{
		Spec:  sdk.StateSpec{Name: "count", Type: "io.statefun.types/long"},
		Value: sdk.Int64().Of(42),
	}}
	if diff := cmp.Diff(want, got.Mutations, cmpopts.IgnoreUnexported(sdk.TypedValue{})); diff != "" {
		t.Errorf("mutations (-want +got):\n%s", diff)
	}
}

func TestWhatTheWorkerDoesNotKnowIsAskedForBeforeTheFunctionRuns(t *testing.T) {
	t.Parallel()
	a, b := sdk.NewValue("a", sdk.Int32()), sdk.NewValue("b", sdk.Bool(), sdk.AfterInvoke(time.Hour))
	r := registry(t, sdk.Function{Type: "a/f", States: []sdk.State{a, b}, Invoke: func(sdk.Context, sdk.Message) error {
		t.Error("the function ran without its states")
		return nil
	}})
	got, err := r.Invoke(t.Context(), &sdk.Batch{
		Self: sdk.To("a/f", "1"), States: []sdk.StoredState{{Name: "a"}}, Messages: make([]sdk.Envelope, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &sdk.Effects{Missing: []sdk.StateSpec{{
		Name: "b", Type: "io.statefun.types/bool", Expire: sdk.Expiration{Mode: sdk.ExpireAfterInvoke, After: time.Hour},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Invoke (-want +got):\n%s", diff)
	}
}

func TestFailuresOfAFunctionFailItsBatch(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	seen := sdk.NewValue("seen", sdk.Int64())
	for name, c := range map[string]struct {
		fn    sdk.Func
		never bool
		text  string
	}{
		"error":          {func(sdk.Context, sdk.Message) error { return own }, false, "own"},
		"never":          {func(sdk.Context, sdk.Message) error { return sdk.Never(own) }, true, "own"},
		"panic":          {func(sdk.Context, sdk.Message) error { panic("oh no") }, false, "oh no"},
		"bad target":     {func(ctx sdk.Context, m sdk.Message) error { ctx.Send(sdk.To("a/f", ""), m); return nil }, true, "no address"},
		"negative delay": {func(ctx sdk.Context, m sdk.Message) error { ctx.SendAfter(-1, ctx.Self(), m); return nil }, true, "delayed by"},
		"empty token":    {func(ctx sdk.Context, _ sdk.Message) error { ctx.Cancel(""); return nil }, true, "no token"},
		"bad egress":     {func(ctx sdk.Context, m sdk.Message) error { ctx.Egress(sdk.ToEgress("nowhere", m)); return nil }, true, "nowhere"},
		"no type":        {func(ctx sdk.Context, _ sdk.Message) error { ctx.Send(ctx.Self(), sdk.TypedValue{}); return nil }, true, "no type"},
		"bad JSON": {func(ctx sdk.Context, _ sdk.Message) error {
			return ctx.Reply(sdk.JSON[chan int]("a/chan").Of(make(chan int)))
		}, true, "a/chan"},
		"other type than stored": {func(ctx sdk.Context, _ sdk.Message) error {
			seen.Set(ctx, 1)
			sdk.NewValue("seen", sdk.String()).Set(ctx, "one")
			return nil
		}, false, "is of type io.statefun.types/long"},
		"no match": {sdk.Match(sdk.On(sdk.Int32(), func(sdk.Context, int32) error { return nil })), true, "only io.statefun.types/int"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := call(t, c.fn, seen)
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("Invoke = %v, want an error with %q", err, c.text)
			}
			var failure *sdk.Failure
			if never := errors.As(err, &failure) && failure.Never; never != c.never {
				t.Errorf("Invoke = %#v: never %v, want %v", err, never, c.never)
			}
		})
	}
}

func TestReplyWithoutACallerIsAnError(t *testing.T) {
	t.Parallel()
	r := registry(t, sdk.Function{Type: "a/f", Invoke: func(ctx sdk.Context, m sdk.Message) error { return ctx.Reply(m) }})
	_, err := r.Invoke(t.Context(), &sdk.Batch{Self: sdk.To("a/f", "1"), Complete: true, Messages: make([]sdk.Envelope, 1)})
	if !errors.Is(err, sdk.ErrNoCaller) {
		t.Errorf("Reply = %v, want ErrNoCaller", err)
	}
}

func TestARegistryNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	fn := func(sdk.Context, sdk.Message) error { return nil }
	x := sdk.NewValue("x", sdk.Int32())
	_, err := sdk.NewRegistry([]sdk.Function{
		{Type: "no-slash", Invoke: fn},
		{Type: "a/b*", Invoke: fn},
		{Type: "a/empty"},
		{Type: "a/twice", Invoke: fn},
		{Type: "a/twice", Invoke: fn},
		{Type: "a/states", Invoke: fn, States: []sdk.State{x, x}},
		{Type: "a/name", Invoke: fn, States: []sdk.State{sdk.NewValue("a/b", sdk.Int32())}},
		{Type: "a/expiry", Invoke: fn, States: []sdk.State{sdk.NewValue("e", sdk.Int32(), sdk.AfterWrite(0))}},
		{Type: "a/zero", Invoke: fn, States: []sdk.State{sdk.NewValue("z", sdk.Type[int]{})}},
	})
	if err == nil {
		t.Fatal("NewRegistry = nil, want an error")
	}
	for _, want := range []string{
		"no-slash", `"a/b*"`, "has no Invoke", "bound twice", "declared twice", `"a/b"`, "less than a millisecond", "has no type",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("NewRegistry does not mention %q:\n%v", want, err)
		}
	}
}

func TestANamespaceServesTypesWithoutABindingOfTheirOwn(t *testing.T) {
	t.Parallel()
	says := func(s string) sdk.Func {
		return func(ctx sdk.Context, _ sdk.Message) error { return ctx.Reply(sdk.String().Of(s)) }
	}
	r := registry(t, sdk.Function{Type: "a/*", Invoke: says("any")}, sdk.Function{Type: "a/one", Invoke: says("one")})
	for typ, want := range map[string]string{"a/one": "one", "a/two": "any"} {
		got, err := r.Invoke(t.Context(), &sdk.Batch{
			Self: sdk.To(typ, "1"), Complete: true, Messages: []sdk.Envelope{{Caller: sdk.To("c/c", "c")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := sdk.String().From(got.Sends[0].Value); text != want {
			t.Errorf("%s answered %q, want %q", typ, text, want)
		}
	}
	_, err := r.Invoke(t.Context(), &sdk.Batch{Self: sdk.To("b/x", "1")})
	if !errors.Is(err, sdk.ErrUnknownFunction) {
		t.Errorf("Invoke of b/x = %v, want ErrUnknownFunction", err)
	}
}

func TestRegisteredStates(t *testing.T) {
	t.Parallel()
	declared := sdk.NewValue("declared", sdk.Int32())
	states := sdk.NewStateRegistry()
	step := func(fn func(ctx sdk.Context) error) func(b *sdk.Batch) (*sdk.Effects, error) {
		r := registry(t, sdk.Function{Type: "a/f", States: []sdk.State{declared, states}, Invoke: func(ctx sdk.Context, _ sdk.Message) error { return fn(ctx) }})
		return func(b *sdk.Batch) (*sdk.Effects, error) { return r.Invoke(context.WithoutCancel(t.Context()), b) }
	}
	batch := func(known ...sdk.StoredState) *sdk.Batch {
		return &sdk.Batch{Self: sdk.To("a/f", "1"), States: append(known, sdk.StoredState{Name: "declared"}), Messages: make([]sdk.Envelope, 1)}
	}
	addOne := step(func(ctx sdk.Context) error {
		v, err := sdk.Register(ctx, states, "learnt", sdk.Int32())
		if err != nil {
			return err
		}
		v.Set(ctx, v.Get(ctx)+1)
		return nil
	})

	got, err := addOne(batch())
	if err != nil || len(got.Missing) != 1 || got.Missing[0].Name != "learnt" || len(got.Mutations) != 0 {
		t.Fatalf("the first call = %+v, %v, want to be called with the state", got, err)
	}
	got, err = addOne(batch(sdk.StoredState{Name: "learnt", Value: sdk.Int32().Of(6), Present: true}))
	if err != nil || len(got.Mutations) != 1 || string(got.Mutations[0].Value.Data) != string(sdk.Int32().Of(7).Data) {
		t.Errorf("the second call = %+v, %v, want 7", got, err)
	}

	for name, c := range map[string]struct {
		fn   func(ctx sdk.Context) error
		want error
	}{
		"twice": {func(ctx sdk.Context) error {
			_, err := sdk.Register(ctx, states, "learnt", sdk.Int32())
			if err == nil {
				_, err = sdk.Register(ctx, states, "learnt", sdk.Int32())
			}
			return err
		}, sdk.ErrRegistered},
		"declared": {func(ctx sdk.Context) error {
			_, err := sdk.Register(ctx, states, "declared", sdk.Int32())
			return err
		}, sdk.ErrRegistered},
		"another type": {func(ctx sdk.Context) error {
			_, err := sdk.Register(ctx, states, "learnt", sdk.String())
			return err
		}, sdk.ErrOtherType},
		"another type than stored": {func(ctx sdk.Context) error {
			_, err := sdk.Register(ctx, sdk.NewStateRegistry(), "learnt", sdk.String())
			return err
		}, sdk.ErrOtherType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := step(c.fn)(batch(sdk.StoredState{Name: "learnt", Value: sdk.Int32().Of(6), Present: true}))
			if !errors.Is(err, c.want) {
				t.Errorf("Invoke = %v, want %v", err, c.want)
			}
		})
	}
}
