package wire_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/internal/wire"
)

func TestFromTextAndTextAreInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var text string
		typename := rapid.SampledFrom([]string{
			wire.TypeBool, wire.TypeInt, wire.TypeLong, wire.TypeFloat, wire.TypeDouble, wire.TypeString,
		}).Draw(t, "type")
		switch typename {
		case wire.TypeBool:
			text = strconv.FormatBool(rapid.Bool().Draw(t, "bool"))
		case wire.TypeInt:
			text = strconv.FormatInt(int64(rapid.Int32().Draw(t, "int")), 10)
		case wire.TypeLong:
			text = strconv.FormatInt(rapid.Int64().Draw(t, "long"), 10)
		case wire.TypeFloat:
			text = strconv.FormatFloat(float64(rapid.Float32().Draw(t, "float")), 'g', -1, 32)
		case wire.TypeDouble:
			text = strconv.FormatFloat(rapid.Float64().Draw(t, "double"), 'g', -1, 64)
		case wire.TypeString:
			text = rapid.String().Draw(t, "string")
		}
		data, err := wire.FromText(typename, text)
		if err != nil {
			t.Fatalf("FromText(%s, %q) = %v", typename, text, err)
		}
		got, ok := wire.Text(typename, data)
		if !ok || got != text {
			t.Errorf("Text(FromText(%s, %q)) = %q, %t, want it back", typename, text, got, ok)
		}
	})
}

func TestTextIsRefusedWhenItDoesNotFitTheType(t *testing.T) {
	t.Parallel()
	for typename, text := range map[string]string{
		wire.TypeBool:   "maybe",
		wire.TypeInt:    strconv.FormatInt(math.MaxInt32+1, 10),
		wire.TypeLong:   "9223372036854775808",
		wire.TypeFloat:  "1e39",
		wire.TypeDouble: "one",
		wire.TypeString: "\xff",
	} {
		if data, err := wire.FromText(typename, text); err == nil {
			t.Errorf("FromText(%s, %q) = %x, want an error", typename, text, data)
		}
	}
	if _, err := wire.FromText("example/thing", "x"); !errors.Is(err, wire.ErrNotBuiltin) {
		t.Errorf("FromText(example/thing) = %v, want ErrNotBuiltin", err)
	}
}

func TestBytesOfAnotherTypeAreNoText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typename string
		data     string
	}{
		"a type of users":          {"example/thing", "x"},
		"plain text as a string":   {wire.TypeString, "hello"},
		"a varint as an int":       {wire.TypeInt, "\x08\x01"},
		"a long as an int":         {wire.TypeInt, "\x09\x01\x00\x00\x00\x00\x00\x00\x00"},
		"a string of broken UTF-8": {wire.TypeString, "\x0a\x01\xff"},
		"a field too many":         {wire.TypeBool, "\x08\x01\x10\x01"},
	} {
		if got, ok := wire.Text(c.typename, []byte(c.data)); ok {
			t.Errorf("%s: Text(%s, %q) = %q, want none", name, c.typename, c.data, got)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add(wire.TypeString, []byte("\x0a\x01x"))
	f.Add(wire.TypeInt, []byte("\x0d\x01\x00\x00\x00"))
	f.Add(wire.TypeDouble, []byte("\x09\x01\x00\x00\x00\x00\x00\xf0\x7f"))
	f.Fuzz(func(t *testing.T, typename string, data []byte) {
		text, ok := wire.Text(typename, data)
		if !ok {
			return
		}
		again, err := wire.FromText(typename, text)
		if err != nil {
			t.Fatalf("FromText(%s, %q), of Text(%x) = %v", typename, text, data, err)
		}
		if back, ok := wire.Text(typename, again); !ok || back != text {
			t.Errorf("Text(FromText(%s, %q)) = %q, %t", typename, text, back, ok)
		}
	})
}

func TestGeneratedCodeIsThatOfTheProtoFiles(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./gen", "-proto", "proto", "-out", out)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run ./gen: %v\n%s", err, output)
	}
	generated, err := filepath.Glob(filepath.Join(out, "*", "*.go"))
	if err != nil || len(generated) != 5 {
		t.Fatalf("gen wrote %v (%v), want 5 files", generated, err)
	}
	for _, path := range generated {
		name, err := filepath.Rel(out, path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not up to date, run go generate (-committed +generated):\n%s", name, cmp.Diff(string(got), string(want)))
		}
	}
}
