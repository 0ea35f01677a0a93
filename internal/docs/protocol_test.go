package docs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheProtocolPageNamesEveryVector(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	for dir, prefix := range map[string]string{".": "", "v2": "v2/"} {
		index, err := os.ReadFile(filepath.Join("..", "wire", "testdata", dir, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		var vectors []struct{ File string }
		if err := json.Unmarshal(index, &vectors); err != nil || len(vectors) == 0 {
			t.Fatalf("%s: %d vectors, %v", dir, len(vectors), err)
		}
		for _, v := range vectors {
			name := prefix + strings.TrimSuffix(v.File, ".bin")
			if strings.HasPrefix(name, "typed_") {
				name = "typed_…"
			}
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/protocol.md doesn't say what the vector %s is for", name)
			}
		}
	}
}
