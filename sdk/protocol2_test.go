package sdk_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	pb2 "github.com/jetfn/jetfn/internal/wire/polyglot"
	"github.com/jetfn/jetfn/sdk"
)

// call2 is a call of a/f by protocol 2.x with one message and states.
func call2(t *testing.T, m *anypb.Any, states ...*pb2.ToFunction_PersistedValue) []byte {
	t.Helper()
	body, err := proto.Marshal(&pb2.ToFunction{Request: &pb2.ToFunction_Invocation_{Invocation: &pb2.ToFunction_InvocationBatchRequest{
		Target: &pb2.Address{Namespace: "a", Type: "f", Id: "1"}, State: states,
		Invocations: []*pb2.ToFunction_Invocation{{Argument: m}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func anyOf(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	out, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestValuesOf2xAreThoseOfTheTypesOfThisPackage(t *testing.T) {
	t.Parallel()
	read := func(ok bool, err error) error {
		if err == nil && !ok {
			err = errors.New("another value")
		}
		return err
	}
	for name, c := range map[string]struct {
		m  *anypb.Any
		fn sdk.Func
	}{
		"bool":         {anyOf(t, wrapperspb.Bool(true)), sdk.Match(sdk.On(sdk.Bool(), func(_ sdk.Context, v bool) error { return read(v, nil) }))},
		"int":          {anyOf(t, wrapperspb.Int32(-7)), sdk.Match(sdk.On(sdk.Int32(), func(_ sdk.Context, v int32) error { return read(v == -7, nil) }))},
		"long":         {anyOf(t, wrapperspb.Int64(-7)), sdk.Match(sdk.On(sdk.Int64(), func(_ sdk.Context, v int64) error { return read(v == -7, nil) }))},
		"float":        {anyOf(t, wrapperspb.Float(1.5)), sdk.Match(sdk.On(sdk.Float32(), func(_ sdk.Context, v float32) error { return read(v == 1.5, nil) }))},
		"double":       {anyOf(t, wrapperspb.Double(1.5)), sdk.Match(sdk.On(sdk.Float64(), func(_ sdk.Context, v float64) error { return read(v == 1.5, nil) }))},
		"empty string": {anyOf(t, wrapperspb.String("")), sdk.Match(sdk.On(sdk.String(), func(_ sdk.Context, v string) error { return read(v == "", nil) }))},
		"another prefix": {
			&anypb.Any{TypeUrl: "com.googleapis/google.protobuf.Duration", Value: anyOf(t, durationpb.New(time.Second)).GetValue()},
			sdk.Match(sdk.On(sdk.Proto[*durationpb.Duration](), func(_ sdk.Context, v *durationpb.Duration) error { return read(v.AsDuration() == time.Second, nil) })),
		},
		"a type of one's own": {&anypb.Any{TypeUrl: "shop/item", Value: []byte(`"tea"`)}, sdk.Match(sdk.On(sdk.JSON[string]("shop/item"), func(_ sdk.Context, v string) error { return read(v == "tea", nil) }))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn := func(ctx sdk.Context, m sdk.Message) error {
				ctx.Send(ctx.Self(), m)
				return c.fn(ctx, m)
			}
			got, err := registry(t, sdk.Function{Type: "a/f", Invoke: fn}).Answer(t.Context(), call2(t, c.m), sdk.CallInfo{})
			if err != nil {
				t.Fatal(err)
			}
			if sent := decode2(t, got).GetInvocationResult().GetOutgoingMessages(); len(sent) != 1 || !proto.Equal(sent[0].GetArgument(), c.m) {
				t.Errorf("sent on = %v, want %v", sent, c.m)
			}
		})
	}
}

func TestWhat2xCanNotSayIsRefusedAndNotLost(t *testing.T) {
	t.Parallel()
	seen := sdk.NewValue("seen", sdk.Int64())
	items := sdk.NewTable("items", sdk.StringKey(), sdk.Int64())
	log := sdk.NewBuffer("log", sdk.String())
	stored := &pb2.ToFunction_PersistedValue{StateName: "log"}
	for name, c := range map[string]struct {
		states []sdk.State
		given  *pb2.ToFunction_PersistedValue
		fn     sdk.Func
		status int
		text   string
	}{
		"a state that the module doesn't declare": {
			[]sdk.State{seen},
			nil, func(sdk.Context, sdk.Message) error { return nil },
			http.StatusInternalServerError, "doesn't declare the states seen",
		},
		"a table": {
			[]sdk.State{items},
			nil, func(ctx sdk.Context, _ sdk.Message) error { items.Get(ctx, "tea"); return nil },
			http.StatusBadRequest, "tables and buffers",
		},
		"a buffer": {
			[]sdk.State{log},
			stored, func(ctx sdk.Context, _ sdk.Message) error { log.Append(ctx, "x"); return nil },
			http.StatusBadRequest, "tables and buffers",
		},
		"a token": {
			nil, nil, func(ctx sdk.Context, m sdk.Message) error {
				ctx.SendCancellable("t", time.Hour, ctx.Self(), m)
				return nil
			},
			http.StatusBadRequest, "can't be cancelled",
		},
		"a cancellation": {
			nil, nil, func(ctx sdk.Context, _ sdk.Message) error { ctx.Cancel("t"); return nil },
			http.StatusBadRequest, "can't be cancelled",
		},
		"a value that is none": {nil, nil, func(ctx sdk.Context, _ sdk.Message) error {
			ctx.Send(ctx.Self(), sdk.TypedValue{Type: "io.statefun.types/int", Data: []byte("garbage")})
			return nil
		}, http.StatusBadRequest, "io.statefun.types/int"},
		"a state that is no Any": {
			[]sdk.State{seen},
			&pb2.ToFunction_PersistedValue{StateName: "seen", StateValue: []byte("garbage")},
			func(ctx sdk.Context, _ sdk.Message) error { seen.Get(ctx); return nil },
			http.StatusInternalServerError, "no Any",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var given []*pb2.ToFunction_PersistedValue
			if c.given != nil {
				given = append(given, c.given)
			}
			r := registry(t, sdk.Function{Type: "a/f", Invoke: c.fn, States: c.states})
			got := serve(t, r)(post(call2(t, anyOf(t, wrapperspb.String("x")), given...)))
			if got.Code != c.status || !strings.Contains(got.Body.String(), c.text) {
				t.Errorf("call = %d %q, want %d with %q", got.Code, got.Body, c.status, c.text)
			}
		})
	}
}

func TestHandlerAnswersBothProtocolsOnOnePath(t *testing.T) {
	t.Parallel()
	answer := serve(t, registry(t, sdk.Function{Type: "example/*", Invoke: func(ctx sdk.Context, m sdk.Message) error { return ctx.Reply(m) }}))
	for _, name := range []string{"v2/to_with_value_batch2", "v3/to_state_present_batch3"} {
		got := answer(post(vector(t, name)))
		if got.Code != http.StatusInternalServerError || !strings.Contains(got.Body.String(), sdk.ErrNoCaller.Error()) {
			t.Errorf("%s = %d %q, want the function's own error", name, got.Code, got.Body)
		}
	}
	if got := answer(post(call2(t, nil))); got.Code != http.StatusBadRequest && got.Code != http.StatusInternalServerError {
		t.Errorf("a message without a value = %d %q", got.Code, got.Body)
	}
}

func TestHandlerTakesNoMoreCallsAtOnceThanItMay(t *testing.T) {
	t.Parallel()
	began, end := make(chan struct{}), make(chan struct{})
	answer := serve(t, registry(t, sdk.Function{Type: "example/noop", Invoke: func(sdk.Context, sdk.Message) error {
		began <- struct{}{}
		<-end
		return nil
	}}), sdk.WithMaxCalls(1))
	first := make(chan int)
	go func() { first <- answer(post(vector(t, "v3/to_noop"))).Code }()
	<-began
	if got := answer(post(vector(t, "v3/to_noop"))); got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") == "" {
		t.Errorf("second call = %d, Retry-After %q", got.Code, got.Header().Get("Retry-After"))
	}
	close(end)
	if got := <-first; got != http.StatusOK {
		t.Errorf("first call = %d", got)
	}
	go func() { <-began }()
	if got := answer(post(vector(t, "v3/to_noop"))); got.Code != http.StatusOK {
		t.Errorf("a call after it = %d, want 200: there is room again", got.Code)
	}
}

func TestHandlerTakesOneCallAtLeast(t *testing.T) {
	t.Parallel()
	answer := serve(t, registry(t, sdk.Function{Type: "example/noop", Invoke: func(sdk.Context, sdk.Message) error { return nil }}), sdk.WithMaxCalls(0))
	if got := answer(post(vector(t, "v3/to_noop"))); got.Code != http.StatusOK {
		t.Errorf("call = %d", got.Code)
	}
}
