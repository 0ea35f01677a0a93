package sdk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	pb2 "github.com/jetfn/jetfn/internal/wire/polyglot"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
	"github.com/jetfn/jetfn/sdk"
)

// vectorRegistry has the functions whose answers the vectors hold, as another
// SDK gave them.
func vectorRegistry(t *testing.T) *sdk.Registry {
	t.Helper()
	seen := sdk.NewValue("seen", sdk.Int32(), sdk.AfterInvoke(time.Minute))
	last := sdk.NewValue("last", sdk.String(), sdk.AfterWrite(5*time.Second))
	greeter := func(ctx sdk.Context, _ sdk.Message) error {
		n := seen.Get(ctx) + 1
		seen.Set(ctx, n)
		if n == 1 {
			last.Remove(ctx)
		}
		ctx.Send(sdk.To("example/other", "x"), sdk.Int32().Of(n))
		if err := ctx.Reply(sdk.String().Of("re")); err != nil && !errors.Is(err, sdk.ErrNoCaller) {
			return err
		}
		ctx.SendAfter(1500*time.Millisecond, sdk.To("example/other", "late"), sdk.Bool().Of(true))
		ctx.SendCancellable(fmt.Sprintf("tok-%d", n), time.Minute, sdk.To("example/other", "late2"), sdk.String().Of("x"))
		ctx.Egress(sdk.ToKafka("example/out", "greets", ctx.Self().ID, []byte("hi")))
		ctx.Egress(sdk.ToKinesis("example/kout", "s", "pk", "9", []byte("\x01\x02")))
		ctx.Egress(sdk.ToEgress("example/generic", sdk.String().Of("g")))
		return nil
	}
	r, err := sdk.NewRegistry([]sdk.Function{
		{Type: "example/greeter", Invoke: greeter, States: []sdk.State{seen, last}},
		{Type: "example/noop", Invoke: func(sdk.Context, sdk.Message) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func vector(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnswersEqualThoseOfAnotherSDK(t *testing.T) {
	t.Parallel()
	for call, answer := range map[string]string{
		"to_first_no_state":       "from_incomplete",
		"to_state_absent":         "from_result_first",
		"to_state_present_batch3": "from_result_batch3",
		"to_extra_unknown_state":  "from_result_first",
		"to_noop":                 "from_result_empty",
		"to_empty":                "from_empty",
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			got, err := vectorRegistry(t).Answer(t.Context(), vector(t, "v3/"+call), sdk.CallInfo{})
			if err != nil {
				t.Fatalf("Answer(%s) = %v", call, err)
			}
			if diff := cmp.Diff(decode3(t, vector(t, "v3/"+answer)), decode3(t, got), protocmp.Transform()); diff != "" {
				t.Errorf("Answer(%s) differs from %s (-want +got):\n%s", call, answer, diff)
			}
		})
	}
}

// vectorRegistry2 has those of the vectors of protocol 2.x.
func vectorRegistry2(t *testing.T) *sdk.Registry {
	t.Helper()
	seen, last := sdk.NewValue("seen", sdk.Int32()), sdk.NewValue("last", sdk.String())
	greeter := func(ctx sdk.Context, m sdk.Message) error {
		if text, err := sdk.String().From(m); err != nil || text != "hello" {
			return fmt.Errorf("message %q, %w", text, err)
		}
		n := seen.Get(ctx) + 1
		seen.Set(ctx, n)
		if n == 1 {
			last.Remove(ctx)
		}
		ctx.Send(sdk.To("example/other", "x"), sdk.Int32().Of(n))
		if err := ctx.Reply(sdk.Int32().Of(n)); err != nil && !errors.Is(err, sdk.ErrNoCaller) {
			return err
		}
		ctx.SendAfter(1500*time.Millisecond, sdk.To("example/other", "late"), sdk.Int32().Of(n))
		ctx.Egress(sdk.ToKafka("example/out", "greets", ctx.Self().ID, []byte{8, byte(n)}))
		ctx.Egress(sdk.ToKinesis("example/kout", "st", "pk", "9", []byte{8, byte(n)}))
		return nil
	}
	return registry(t,
		sdk.Function{Type: "example/greeter", Invoke: greeter, States: []sdk.State{seen, last}},
		sdk.Function{Type: "example/noop", Invoke: func(sdk.Context, sdk.Message) error { return nil }},
	)
}

func TestAnswersEqualThoseOfAnotherSDKIn2x(t *testing.T) {
	t.Parallel()
	for call, answer := range map[string]string{
		"to_no_value":          "from_first",
		"to_with_value_batch2": "from_batch2",
		"to_noop":              "from_noop",
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			got, err := vectorRegistry2(t).Answer(t.Context(), vector(t, "v2/"+call), sdk.CallInfo{})
			if err != nil {
				t.Fatalf("Answer(%s) = %v", call, err)
			}
			want := decode2(t, vector(t, "v2/"+answer))
			if want.GetInvocationResult() == nil { // the same as one without any effect
				want.Response = &pb2.FromFunction_InvocationResult{InvocationResult: &pb2.FromFunction_InvocationResponse{}}
			}
			if diff := cmp.Diff(want, decode2(t, got), protocmp.Transform()); diff != "" {
				t.Errorf("Answer(%s) differs from %s (-want +got):\n%s", call, answer, diff)
			}
		})
	}
}

func decode2(t *testing.T, data []byte) *pb2.FromFunction {
	t.Helper()
	m := &pb2.FromFunction{}
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func decode3(t *testing.T, data []byte) *pb.FromFunction {
	t.Helper()
	m := &pb.FromFunction{}
	if err := proto.Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	return m
}
