package protoroute_test

import (
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/jetfn/jetfn/internal/protoroute"
)

const source = `
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order {
  string id = 1;
  Customer customer = 2;
  repeated Item items = 3;
  Channel channel = 4;
  google.protobuf.Timestamp at = 5;
  map<string, string> notes = 6;
  bytes raw = 7;
  bool express = 8;
  sint64 delta = 9;
  repeated int32 counts = 10;
  message Nested { string name = 1; }
}
message Customer { string name = 1; }
message Item { string product = 1; }
enum Channel { WEB = 0; DESK = 1; }
`

// set is the descriptor set of source, as protoc writes it.
func set(t *testing.T, imports bool) []byte {
	t.Helper()
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"order.proto": source}),
	})}
	files, err := compiler.Compile(t.Context(), "order.proto")
	if err != nil {
		t.Fatal(err)
	}
	s := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(files[0])}}
	if imports {
		s.File = append(s.File, protodesc.ToFileDescriptorProto(files[0].Imports().Get(0).FileDescriptor))
	}
	data, err := proto.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func order(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	m, err := protoroute.FindMessage(set(t, true), "shop.Order")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTemplatesAreFilledFromTheMessage(t *testing.T) {
	t.Parallel()
	message := order(t)
	m := dynamicpb.NewMessage(message)
	text := `{"id": "a/b", "customer": {"name": "Ada"}, "items": [{"product": "ink"}, {"product": "pen"}],
		"channel": "DESK", "at": "1970-01-01T00:00:07Z", "raw": "eA==", "express": true, "delta": "-5", "counts": [1, 2]}`
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for template, want := range map[string]string{
		"shop/order/{{$.id}}":                              "shop/order/a/b",
		"com.example/shop/order/{{$.customer.name}}":       "com.example%2Fshop/order/Ada",
		"shop/{{$.channel}}/{{ $.items[1].product }}":      "shop/DESK/pen",
		"shop/order/{{$.customer.name}}-{{$.delta}}-x":     "shop/order/Ada--5-x",
		"shop/order/{{$.express}}{{$.counts[0]}}{{$.raw}}": "shop/order/true1x",
		"{{$.customer.name}}/{{$.id}}/{{$.at.seconds}}":    "Ada/a%2Fb/7",
		"shop/order/constant":                              "shop/order/constant",
	} {
		r, err := protoroute.Compile(message, template)
		if err != nil {
			t.Errorf("Compile(%q): %v", template, err)
			continue
		}
		if got, err := r.Address(data); err != nil || got.String() != want {
			t.Errorf("address by %q = %v, %v, want %s", template, got, err, want)
		}
	}
}

func TestWhatATemplateCannotSayIsExplained(t *testing.T) {
	t.Parallel()
	message := order(t)
	for template, want := range map[string]string{
		"order":                        `"order" is not of the form namespace/name/id`,
		"shop/order":                   "is not of the form",
		"shop//x":                      "has an empty part",
		"shop/order/{{id}}":            "{{id}} is no path; it must begin with $.",
		"shop/order/{{$.id":            "has a {{ without its }}",
		"shop/order/{{$.nope}}":        `shop.Order has no field "nope"; it has id, customer`,
		"shop/order/{{$.id.x}}":        "id is no message, it has no field x",
		"shop/order/{{$.customer}}":    "is a message, name one of its fields",
		"shop/order/{{$.items}}":       "items is a list, name an item as in items[0]",
		"shop/order/{{$.id[0]}}":       "id is no list",
		"shop/order/{{$.items[-1]}}":   "is no index",
		"shop/order/{{$.items[0}}":     "is no index",
		"shop/order/{{$.notes}}":       "notes is a map",
		"shop/order/{{$.notes.value}}": "notes is a map",
		"shop/order/{{$.}}":            `has no field ""`,
	} {
		if _, err := protoroute.Compile(message, template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Compile(%q) = %v, want an error with %q", template, err, want)
		}
	}
}

func TestMessagesThatGoNowhereAreErrors(t *testing.T) {
	t.Parallel()
	message := order(t)
	for name, c := range map[string]struct {
		template string
		data     []byte
		want     string
	}{
		"not a message":  {"shop/order/{{$.id}}", []byte{0xff}, "not a message of type shop.Order"},
		"an empty id":    {"shop/order/{{$.id}}", nil, "empty id"},
		"no such item":   {"shop/order/{{$.items[0].product}}", nil, "shop.Order.items has 0 items, there is none at 0"},
		"no text":        {"shop/order/{{$.raw}}", []byte{0x3a, 1, 0xff}, "shop.Order.raw is not UTF-8"},
		"too long an id": {"shop/order/{{$.id}}", append([]byte{0x0a, 0xa0, 0x1f}, make([]byte, 4000)...), "bad address"},
	} {
		r, err := protoroute.Compile(message, c.template)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Address(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Address = %v, want an error with %q", name, err, c.want)
		}
	}
}

func TestSetsWithoutTheirWellKnownImportsWork(t *testing.T) {
	t.Parallel()
	if _, err := protoroute.FindMessage(set(t, false), "shop.Order.Nested"); err != nil {
		t.Errorf("FindMessage in a set without imports: %v", err)
	}
	for data, want := range map[string]string{
		"":                        "is no descriptor set",
		"nonsense":                "is no descriptor set",
		string(set(t, true)):      "has no message type shop.Nope; it has shop.Customer, shop.Item, shop.Order",
		lacking(t, "other.proto"): "lacks the imported file other.proto",
	} {
		if _, err := protoroute.FindMessage([]byte(data), "shop.Nope"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("FindMessage = %v, want an error with %q", err, want)
		}
	}
}

// lacking is a set whose only file imports another one.
func lacking(t *testing.T, imported string) string {
	t.Helper()
	data, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		{Name: proto.String("a.proto"), Dependency: []string{imported}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func FuzzCompile(f *testing.F) {
	f.Add("shop/order/{{$.id}}", []byte{10, 1, 'x'})
	f.Add("{{}}/}}/{{", []byte{})
	f.Add("a/b/{{$.items[99999999999999999999].product}}", []byte{0xff})
	f.Fuzz(func(t *testing.T, template string, data []byte) {
		r, err := protoroute.Compile(order(t), template)
		if err != nil {
			return
		}
		if a, err := r.Address(data); err == nil && a.Check() != nil {
			t.Errorf("template %q made the address %v of %x, which is none", template, a, data)
		}
	})
}
