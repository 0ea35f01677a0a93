package module

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/internal/suggest"
)

const (
	strTag   = "!!str"
	intTag   = "!!int"
	floatTag = "!!float"
	boolTag  = "!!bool"
	nullTag  = "!!null"
)

// object is a mapping node, its keys looked up.
type object struct {
	load   *loader
	node   *yaml.Node
	path   string
	keys   map[string]*yaml.Node
	values map[string]*yaml.Node
	order  []string
}

// object wraps n. It reports what is no mapping, keys that are no text, and
// keys that occur twice.
func (l *loader) object(n *yaml.Node, path string) (*object, bool) {
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		l.errorf(n, path, "", "must be a mapping of keys to values, is %s", describe(n))
		return nil, false
	}
	o := &object{load: l, node: n, path: path, keys: map[string]*yaml.Node{}, values: map[string]*yaml.Node{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		o.add(deref(n.Content[i]), deref(n.Content[i+1]))
	}
	return o, true
}

func (o *object) add(key, value *yaml.Node) {
	switch first, twice := o.keys[key.Value]; {
	case key.Kind != yaml.ScalarNode:
		o.load.errorf(key, o.path, "", "keys must be text, this one is %s", describe(key))
	case key.Value == "<<" && key.Tag == "!!merge":
		o.load.errorf(key, o.path, "write the keys out", "merge keys are not supported")
	case twice:
		o.load.errorf(key, o.at(key.Value), "", "the key is already on line %d", first.Line)
	default:
		o.keys[key.Value], o.values[key.Value] = key, value
		o.order = append(o.order, key.Value)
	}
}

// at is the path of a key.
func (o *object) at(key string) string { return join(o.path, key) }

// value returns what key holds, or nil if it is absent or null.
func (o *object) value(key string) *yaml.Node {
	v := o.values[key]
	if v == nil || v.Kind == yaml.ScalarNode && v.Tag == nullTag {
		return nil
	}
	return v
}

// place is the node to point at when key is the trouble.
func (o *object) place(key string) *yaml.Node {
	if v := o.value(key); v != nil {
		return v
	}
	return o.node
}

// require is value, and reports its absence.
func (o *object) require(key string) *yaml.Node {
	v := o.value(key)
	if v == nil {
		o.missing(key)
	}
	return v
}

func (o *object) missing(key string) {
	if k := o.keys[key]; k != nil {
		o.load.errorf(k, o.at(key), "", "the key has no value")
		return
	}
	o.load.errorf(o.node, o.at(key), "", "the key is missing")
}

// unknown reports the keys that m doesn't have.
func (o *object) unknown(m mapping) {
	for _, name := range o.order {
		if slices.ContainsFunc(m.keys, func(k key) bool { return k.name == name }) {
			continue
		}
		severity := Error
		if o.load.lenient && !o.load.strict {
			severity = Warning
		}
		o.load.report(severity, o.keys[name], o.at(name), m.hint(name), "unknown key")
	}
}

// hint is what somebody may have meant who wrote a key that isn't one.
func (m mapping) hint(name string) string {
	names := make([]string, len(m.keys))
	for i, k := range m.keys {
		names[i] = k.name
	}
	if hint, ok := m.elsewhere[name]; ok {
		return hint
	}
	if inner := m.inside(name); inner != "" {
		return "did you mean " + inner + "?"
	}
	if near := suggest.Nearest(name, names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 {
		return "there are no keys here"
	}
	return "keys here: " + strings.Join(names, ", ")
}

// inside looks for a key in the mappings below, since a wrong level is a
// frequent mistake.
func (m mapping) inside(name string) string {
	for _, k := range m.keys {
		var below []mapping
		switch v := k.value.(type) {
		case mapping:
			below = []mapping{v}
		case variants:
			for _, c := range v.cases {
				below = append(below, mapping{keys: c.keys})
			}
		}
		for _, b := range below {
			if slices.ContainsFunc(b.keys, func(k key) bool { return k.name == name }) {
				return k.name + "." + name
			}
			if inner := b.inside(name); inner != "" {
				return k.name + "." + inner
			}
		}
	}
	return ""
}

func deref(n *yaml.Node) *yaml.Node {
	for i := 0; n.Kind == yaml.AliasNode && n.Alias != nil && i < 8; i++ {
		n = n.Alias
	}
	return n
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
	}
	switch n.Tag {
	case nullTag:
		return "empty"
	case strTag:
		return fmt.Sprintf("the text %q", n.Value)
	case intTag, floatTag:
		return "the number " + n.Value
	case boolTag:
		return "the truth value " + n.Value
	}
	return n.Tag + " " + n.Value
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
