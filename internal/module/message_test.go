package module_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/jetfn/jetfn/internal/protoroute"
)

// encode makes an order of fields that are written as JSON.
func encode(t *testing.T, fields map[string]string) []byte {
	t.Helper()
	set, err := os.ReadFile(filepath.Join("testdata", "order.desc"))
	if err != nil {
		t.Fatal(err)
	}
	order, err := protoroute.FindMessage(set, "shop.Order")
	if err != nil {
		t.Fatal(err)
	}
	pairs := make([]string, 0, len(fields))
	for name, value := range fields {
		pairs = append(pairs, `"`+name+`":`+value)
	}
	slices.Sort(pairs)
	m := dynamicpb.NewMessage(order)
	if err := protojson.Unmarshal([]byte("{"+strings.Join(pairs, ",")+"}"), m); err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
