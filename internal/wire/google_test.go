package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jetfn/jetfn/internal/wire"
)

func TestBuiltinValuesBecomeTheWrappersOfProtobuf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typename, text string
		want           proto.Message
	}{
		{wire.TypeBool, "true", wrapperspb.Bool(true)},
		{wire.TypeBool, "false", wrapperspb.Bool(false)},
		{wire.TypeInt, "-2147483648", wrapperspb.Int32(-1 << 31)},
		{wire.TypeInt, "0", wrapperspb.Int32(0)},
		{wire.TypeLong, "9223372036854775807", wrapperspb.Int64(1<<63 - 1)},
		{wire.TypeFloat, "1.5", wrapperspb.Float(1.5)},
		{wire.TypeDouble, "3.141592653589793", wrapperspb.Double(3.141592653589793)},
		{wire.TypeString, "grüße", wrapperspb.String("grüße")},
		{wire.TypeString, "", wrapperspb.String("")},
	} {
		data, err := wire.FromText(c.typename, c.text)
		if err != nil {
			t.Fatal(err)
		}
		url, value, err := wire.Google(c.typename, data)
		if err != nil {
			t.Errorf("Google(%s %q) = %v", c.typename, c.text, err)
			continue
		}
		got, err := (&anypb.Any{TypeUrl: url, Value: value}).UnmarshalNew()
		if err != nil {
			t.Errorf("Google(%s %q) = %s, which can't be read: %v", c.typename, c.text, url, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, protocmp.Transform()); diff != "" {
			t.Errorf("Google(%s %q) (-want +got):\n%s", c.typename, c.text, diff)
		}
	}
}

func TestOtherValuesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, typename := range []string{"com.googleapis/example.Greeting", "io.statefun.types/unset", ""} {
		url, data, err := wire.Google(typename, []byte{0xff})
		if err != nil || url != typename || string(data) != "\xff" {
			t.Errorf("Google(%q) = %q, %x, %v, want it unchanged", typename, url, data, err)
		}
	}
}

func TestBrokenBuiltinValuesAreErrors(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"\xff", "\x12\x01x", "\x0a\x01\xff"} {
		if url, out, err := wire.Google(wire.TypeString, []byte(data)); err == nil {
			t.Errorf("Google(string, %x) = %s, %x, want an error", data, url, out)
		}
	}
}
