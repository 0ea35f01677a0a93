package wire_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/jetfn/jetfn/internal/wire"
	_ "github.com/jetfn/jetfn/internal/wire/egress"
	_ "github.com/jetfn/jetfn/internal/wire/egress2"
	_ "github.com/jetfn/jetfn/internal/wire/polyglot"
	"github.com/jetfn/jetfn/internal/wire/reqreply"
)

type vector struct {
	File    string          `json:"file"`
	Message string          `json:"message"`
	Hex     string          `json:"hex"`
	JSON    json.RawMessage `json:"json"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	var all []vector
	for dir, least := range map[string]int{".": 29, "v2": 7} {
		index, err := os.ReadFile(filepath.Join("testdata", dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		var vs []vector
		if err := json.Unmarshal(index, &vs); err != nil {
			t.Fatal(err)
		}
		if len(vs) < least {
			t.Fatalf("testdata/%s/index.json lists %d vectors, want at least %d", dir, len(vs), least)
		}
		for _, v := range vs {
			v.File = filepath.Join(dir, v.File)
			all = append(all, v)
		}
	}
	return all
}

func TestGoldenVectorsDecodeAndEncodeToTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.File, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata", v.File))
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(data); got != v.Hex {
				t.Fatalf("%s holds %s, the index says %s", v.File, got, v.Hex)
			}
			kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(v.Message))
			if err != nil {
				t.Fatal(err)
			}
			got, want := kind.New().Interface(), kind.New().Interface()
			if err := proto.Unmarshal(data, got); err != nil {
				t.Fatalf("Unmarshal(%s) = %v", v.File, err)
			}
			if err := (protojson.UnmarshalOptions{}).Unmarshal(v.JSON, want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("Unmarshal(%s) differs from the index (-want +got):\n%s", v.File, diff)
			}
			if n := len(got.ProtoReflect().GetUnknown()); n != 0 {
				t.Errorf("Unmarshal(%s) left %d bytes unknown, want none", v.File, n)
			}
			again, err := proto.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.Hex, hex.EncodeToString(again)); diff != "" {
				t.Errorf("Marshal(%s) (-want +got):\n%s", v.File, diff)
			}
		})
	}
}

func TestGoldenBuiltinsReadAsText(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"typed_bool_true.bin": "true", "typed_bool_false.bin": "false",
		"typed_int_1.bin": "1", "typed_int_0.bin": "0", "typed_int_minus1.bin": "-1", "typed_int_min.bin": "-2147483648",
		"typed_long_1.bin": "1", "typed_long_0.bin": "0", "typed_long_max.bin": "9223372036854775807",
		"typed_float_1_5.bin": "1.5", "typed_float_0.bin": "0", "typed_double_pi.bin": "3.141592653589793",
		"typed_string_hello.bin": "hello", "typed_string_empty.bin": "",
	}
	for file, want := range texts {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			var v reqreply.TypedValue
			if err := proto.Unmarshal(data, &v); err != nil {
				t.Fatal(err)
			}
			got, ok := wire.Text(v.GetTypename(), v.GetValue())
			if !ok || got != want {
				t.Errorf("Text(%s) = %q, %t, want %q", file, got, ok, want)
			}
			back, err := wire.FromText(v.GetTypename(), want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hex.EncodeToString(v.GetValue()), hex.EncodeToString(back)); diff != "" {
				t.Errorf("FromText(%s) (-want +got):\n%s", want, diff)
			}
		})
	}
}
