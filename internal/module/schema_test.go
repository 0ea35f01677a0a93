package module_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/internal/module"
)

var docs = filepath.Join("..", "..", "docs")

func TestTheSchemaIsThatOfTheParser(t *testing.T) {
	t.Parallel()
	want, err := module.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(docs, "module.schema.json"), want)
}

func TestTheReferenceHasTheKeysOfTheParser(t *testing.T) {
	t.Parallel()
	file := filepath.Join(docs, "modules.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := module.FillReference(page)
	if err != nil {
		t.Fatal(err)
	}
	same(t, file, want)
	for _, name := range module.ReferenceNames() {
		version, rest, legacy := strings.Cut(name, " ")
		found := strings.Contains(string(page), "<!-- keys: "+name+" -->")
		for _, v := range []string{"1.0", "2.0", "3.0"} { // most are the same in all of them
			found = found || legacy && strings.Contains(string(page), "<!-- keys: "+v+" "+rest+" -->")
		}
		if !found {
			t.Errorf("%s has no table for %q (%s)", file, name, version)
		}
	}
}

func same(t *testing.T, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date; run go generate ./internal/module", file)
	}
}

// compiled is the schema as editors use it.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := module.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("module.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("module.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// documents are those of a module of testdata.
func documents(t *testing.T, file string) []*yaml.Node {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out []*yaml.Node
	for {
		var doc yaml.Node
		err := loader.Load(&doc)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(doc.Content) > 0 {
			out = append(out, &doc)
		}
	}
}

func text(t *testing.T, doc *yaml.Node) []byte {
	t.Helper()
	data, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// editor is what an editor says of a document by the schema.
func editor(t *testing.T, schema *jsonschema.Schema, doc []byte) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(doc, &value); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(plain(value))
}

// plain makes YAML's values those of JSON.
func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = plain(x)
		}
	case []any:
		for i, x := range v {
			v[i] = plain(x)
		}
	case int:
		return float64(v)
	}
	return value
}

// parser is what the loader says of one document.
func parser(doc []byte) module.Diagnostics {
	_, found := module.Parse([]module.Source{{Name: filepath.Join("testdata", "m.yaml"), Data: doc}},
		module.Options{Strict: true, Lookup: variables(nil)})
	return found.Errors()
}

func TestTheSchemaTakesModulesOfAllFormats(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil || len(files) < 4 {
		t.Fatalf("modules in testdata: %v, %v", files, err)
	}
	for _, file := range append(files, filepath.Join("..", "..", "examples", "greeter-python", "module.yaml")) {
		for _, doc := range documents(t, file) {
			if err := editor(t, schema, text(t, doc)); err != nil {
				t.Errorf("%s:%d: %v", file, doc.Line, err)
			}
		}
	}
}

// TestSchemaAndParserAgreeOnWhatIsBroken breaks every key of every module in
// every simple way, and compares what the two say.
func TestSchemaAndParserAgreeOnWhatIsBroken(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	broken, disagreements := 0, 0
	for _, file := range files {
		for _, intact := range documents(t, file) {
			source := text(t, intact)
			for path := range paths(intact.Content[0]) {
				for name, breakIt := range breaks() {
					doc := &yaml.Node{}
					if err := yaml.Unmarshal(source, doc); err != nil {
						t.Fatal(err)
					}
					if !breakIt(doc.Content[0], path) {
						continue
					}
					broken++
					yaml := text(t, doc)
					found, refused := parser(yaml), editor(t, schema, yaml)
					if (len(found) > 0) != (refused != nil) && !beyondSchema(found) && disagreements < 10 {
						disagreements++
						t.Errorf("%s, %s of %s:\n%s\nparser: %v\nschema: %v", file, name, path, yaml, found, refused)
					}
				}
			}
		}
	}
	if broken < 1000 {
		t.Errorf("only %d broken modules", broken)
	}
}

// beyondSchema reports whether all that is wrong takes more than one key to
// see, or a look at another file.
func beyondSchema(found module.Diagnostics) bool {
	if len(found) == 0 {
		return false
	}
	for _, d := range found {
		known := false
		for _, s := range []string{
			"or give the property", "is declared already", "go together", "states belong to protocol v2", "there is no client_key",
			"spec.deliverySemantic.transactionTimeout: the key ", "belongs to an existing stream", "has no router", "there is no ingress",
			"can't be read", "has no message type", "is not of the form namespace/name/id", "must not be longer than",
		} {
			known = known || strings.Contains(d.String(), s)
		}
		if !known {
			return false
		}
	}
	return true
}

// paths are all keys of a mapping and those below, such as spec/topics/0.
func paths(n *yaml.Node) map[string]bool {
	out := map[string]bool{}
	var walk func(n *yaml.Node, at string)
	walk = func(n *yaml.Node, at string) {
		out[at] = true
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(n.Content[i+1], at+"/"+strings.ReplaceAll(n.Content[i].Value, "/", "~"))
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(c, at+"/"+string(rune('0'+i)))
			}
		default:
		}
	}
	walk(n, "")
	return out
}

// find returns a node, what it is in, and its index there.
func find(n *yaml.Node, path string) (node, parent *yaml.Node, index int) {
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "" {
			continue
		}
		parent = n
		if n.Kind == yaml.SequenceNode {
			index = int(part[0] - '0')
			n = n.Content[index]
			continue
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if strings.ReplaceAll(n.Content[i].Value, "/", "~") == part {
				index = i
				n = n.Content[i+1]
				break
			}
		}
	}
	return n, parent, index
}

// breaks are ways to break a module at a path; they report whether they apply.
func breaks() map[string]func(root *yaml.Node, path string) bool {
	replace := func(kind yaml.Kind, tag, value string) func(root *yaml.Node, path string) bool {
		return func(root *yaml.Node, path string) bool {
			n, parent, _ := find(root, path)
			property := strings.Contains(path, "/properties/") || strings.Contains(path, "/clientConfigProperties/")
			if parent == nil || property && kind == yaml.ScalarNode || n.Kind == kind && n.Tag == tag {
				return false
			}
			*n = yaml.Node{Kind: kind, Tag: tag, Value: value}
			return true
		}
	}
	return map[string]func(root *yaml.Node, path string) bool{
		"another key": func(root *yaml.Node, path string) bool {
			n, _, _ := find(root, path)
			if n.Kind != yaml.MappingNode {
				return false
			}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "zzz"}, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "x"})
			return true
		},
		"removal": func(root *yaml.Node, path string) bool {
			_, parent, i := find(root, path)
			if parent == nil {
				return false
			}
			width := 1
			if parent.Kind == yaml.MappingNode {
				width = 2
			}
			parent.Content = append(parent.Content[:i:i], parent.Content[i+width:]...)
			return true
		},
		"a list":    replace(yaml.SequenceNode, "!!seq", ""),
		"a mapping": replace(yaml.MappingNode, "!!map", ""),
		"a number":  replace(yaml.ScalarNode, "!!int", "-7"),
		"a truth":   replace(yaml.ScalarNode, "!!bool", "true"),
		"odd text": func(root *yaml.Node, path string) bool {
			n, _, _ := find(root, path)
			if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || strings.ContainsAny(n.Value, " ,:.{") {
				return false
			}
			n.Value = "**"
			return true
		},
	}
}
