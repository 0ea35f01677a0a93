package module

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// sharing replaces schemas that occur several times by references, since the
// formats have most of their parts in common.
type sharing struct {
	times map[string]int
	names map[string]string
	defs  map[string]*Schema
}

// shareable is the size from which on a reference is shorter to read.
const shareable = 200

// share moves what occurs several times in root into its definitions.
func share(root *Schema) error {
	s := &sharing{times: map[string]int{}, names: map[string]string{}, defs: root.Defs}
	for _, part := range root.parts() {
		if err := s.count(part.schema); err != nil {
			return err
		}
	}
	for _, part := range root.parts() {
		if err := s.replace(part); err != nil {
			return err
		}
	}
	return nil
}

// key is what a schema says, whatever it is described as.
func (*sharing) key(x *Schema) (string, error) {
	bare := *x
	bare.Description, bare.Title = "", ""
	text, err := json.Marshal(&bare)
	if err != nil {
		return "", fmt.Errorf("compare schemas: %w", err)
	}
	return string(text), nil
}

func (s *sharing) count(x *Schema) error {
	key, err := s.key(x)
	if err != nil {
		return err
	}
	if s.times[key]++; s.times[key] > 1 {
		return nil // its parts are counted
	}
	for _, part := range x.parts() {
		if err := s.count(part.schema); err != nil {
			return err
		}
	}
	return nil
}

// replace puts a reference in the place of one that occurs again, or else
// goes on within it.
func (s *sharing) replace(p part) error {
	x := p.schema
	key, err := s.key(x)
	if err != nil {
		return err
	}
	if s.times[key] < 2 || len(key) < shareable {
		return s.within(x)
	}
	name, known := s.names[key]
	if !known {
		name = fmt.Sprintf("part%d", len(s.names)+1)
		s.names[key] = name
		moved := *x
		moved.Title, moved.Description = "", ""
		s.defs[name] = &moved
		if err := s.within(&moved); err != nil {
			return err
		}
	}
	p.put(&Schema{Ref: "#/$defs/" + name, Title: x.Title, Description: x.Description})
	return nil
}

func (s *sharing) within(x *Schema) error {
	for _, part := range x.parts() {
		if err := s.replace(part); err != nil {
			return err
		}
	}
	return nil
}

// part is a place of a schema within another one.
type part struct {
	schema *Schema
	put    func(*Schema)
}

// parts are those of s, in a fixed order.
func (s *Schema) parts() []part {
	var out []part
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		out = append(out, part{s.Properties[name], func(x *Schema) { s.Properties[name] = x }})
	}
	for _, list := range [][]*Schema{s.AnyOf, s.OneOf, s.AllOf} {
		for i := range list {
			out = append(out, part{list[i], func(x *Schema) { list[i] = x }})
		}
	}
	if s.Items != nil {
		out = append(out, part{s.Items, func(x *Schema) { s.Items = x }})
	}
	if s.Then != nil {
		out = append(out, part{s.Then, func(x *Schema) { s.Then = x }})
	}
	return out
}
