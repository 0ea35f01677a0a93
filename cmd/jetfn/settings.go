package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/internal/suggest"
)

// settingsFile holds flags that are the same every time: a mapping of their
// names to values. Flags and JETFN_* variables win over it.
const settingsFile = "jetfn.yaml"

// settings are what the file says.
type settings struct {
	file   string
	values map[string]any
	lines  map[string]int
}

// readSettings reads the file; one that isn't there says nothing.
func readSettings(file string) (*settings, error) {
	s := &settings{file: file, values: map[string]any{}, lines: map[string]int{}}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(doc.Content) == 0 {
		return s, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: must be a mapping of flags to values, such as http: 127.0.0.1:9000", file, root.Line)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		text, err := settingText(value)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", file, value.Line, key.Value, err)
		}
		s.values[key.Value], s.lines[key.Value] = text, key.Line
	}
	return s, nil
}

// settingText is a value as it would be written after a flag.
func settingText(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!bool" {
			return n.Value == "true", nil
		}
		return n.Value, nil
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return nil, errors.New("the items of a list must be texts")
			}
			items[i] = c.Value
		}
		return strings.Join(items, ","), nil
	default:
		return nil, errors.New("must be a text, a number, a truth value or a list of them")
	}
}

// Validate implements kong.Resolver.
func (*settings) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver: flags were looked at before, variables
// win here.
func (s *settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := s.values[flag.Name]
	if !ok {
		return nil, nil //nolint:nilnil // kong's way to say that there is none
	}
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return nil, nil //nolint:nilnil // as above
		}
	}
	return value, nil
}

// check reports keys that are no flag of any command.
func (s *settings) check(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(app.Node)
	keys := make([]string, 0, len(s.values))
	for key := range s.values {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return s.lines[a] - s.lines[b] })
	for _, key := range keys {
		if !known[key] {
			hint := ""
			if near := suggest.Nearest(key, slices.Collect(maps.Keys(known))); near != "" {
				hint = ", did you mean " + near + "?"
			}
			return fmt.Errorf("%s:%d: %s is no flag of jetfn%s", s.file, s.lines[key], key, hint)
		}
	}
	return nil
}
