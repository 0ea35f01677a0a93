package module

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
)

const (
	strTag  = "!!str"
	intTag  = "!!int"
	nullTag = "!!null"
)

// object reads a mapping. Every key that is asked for counts as known; done
// reports the others.
type object struct {
	load    *loader
	node    *yaml.Node
	path    string
	lenient bool // unknown keys are warnings
	keys    map[string]*yaml.Node
	values  map[string]*yaml.Node
	order   []string
	known   []string
}

// object wraps n. It reports what is no mapping, keys that are no text, and
// keys that occur twice.
func (l *loader) object(n *yaml.Node, path string, lenient bool) (*object, bool) {
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		l.errorf(n, path, "", "must be a mapping of keys to values, is %s", describe(n))
		return nil, false
	}
	o := &object{
		load: l, node: n, path: path, lenient: lenient,
		keys: map[string]*yaml.Node{}, values: map[string]*yaml.Node{},
	}
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
		o.load.errorf(key, join(o.path, key.Value), "", "the key is already on line %d", first.Line)
	default:
		o.keys[key.Value], o.values[key.Value] = key, value
		o.order = append(o.order, key.Value)
	}
}

// value returns what key holds, or nil if it is absent or null.
func (o *object) value(key string) *yaml.Node {
	if !slices.Contains(o.known, key) {
		o.known = append(o.known, key)
	}
	v := o.values[key]
	if v == nil || v.Kind == yaml.ScalarNode && v.Tag == nullTag {
		return nil
	}
	return v
}

// require is value, and reports its absence.
func (o *object) require(key string) *yaml.Node {
	v := o.value(key)
	if v == nil {
		o.load.errorf(o.node, join(o.path, key), "", "the key is missing")
	}
	return v
}

// done reports the keys that nobody asked for.
func (o *object) done() {
	for _, key := range o.order {
		if slices.Contains(o.known, key) {
			continue
		}
		hint := "keys here: " + strings.Join(o.known, ", ")
		if near := nearest(key, o.known); near != "" {
			hint = "did you mean " + near + "?"
		}
		severity := Error
		if o.lenient && !o.load.strict {
			severity = Warning
		}
		o.load.report(severity, o.keys[key], join(o.path, key), hint, "unknown key")
	}
}

// child returns the object that key holds, if it holds one.
func (o *object) child(key string) (*object, bool) {
	v := o.value(key)
	if v == nil {
		return nil, false
	}
	return o.load.object(v, join(o.path, key), o.lenient)
}

// text returns the text that key holds, "" if it is absent or no text.
func (o *object) text(key string) string {
	v := o.value(key)
	if v == nil {
		return ""
	}
	return o.load.text(v, join(o.path, key))
}

// integer returns the number that key holds, or fallback.
func (o *object) integer(key string, fallback, least, most int) int {
	v := o.value(key)
	if v == nil || o.load.broken[v] {
		return fallback
	}
	return o.load.integer(v, join(o.path, key), fallback, least, most)
}

// duration returns the duration that key holds, or fallback.
func (o *object) duration(key string, fallback time.Duration) time.Duration {
	v := o.value(key)
	if v == nil || o.load.broken[v] {
		return fallback
	}
	path := join(o.path, key)
	if v.Kind != yaml.ScalarNode || v.Tag != strTag && v.Tag != intTag {
		o.load.errorf(v, path, "", "must be a duration such as 30s, is %s", describe(v))
		return fallback
	}
	d, err := ParseDuration(v.Value)
	if err != nil {
		o.load.errorf(v, path, "", "%v", err)
		return fallback
	}
	return d
}

// list returns the items that key holds, and their paths by index.
func (o *object) list(key string) []*yaml.Node {
	v := o.value(key)
	if v == nil {
		return nil
	}
	if v.Kind != yaml.SequenceNode {
		o.load.errorf(v, join(o.path, key), "write it as [a, b] or one item a line with a dash", "must be a list, is %s", describe(v))
		return nil
	}
	items := make([]*yaml.Node, len(v.Content))
	for i, c := range v.Content {
		items[i] = deref(c)
	}
	return items
}

// typeName reads "namespace/name".
func (l *loader) typeName(n *yaml.Node, path string) (actor.TypeName, bool) {
	s := l.text(n, path)
	if s == "" {
		return actor.TypeName{}, false
	}
	t, err := actor.ParseTypeName(s)
	if err == nil && strings.Contains(s, "*") {
		err = fmt.Errorf("%q has a * where one name is needed", s)
	}
	if err != nil {
		l.errorf(n, path, "", "%v", err)
		return actor.TypeName{}, false
	}
	return t, true
}

// pattern reads "namespace/name" or "namespace/*".
func (l *loader) pattern(n *yaml.Node, path string) (Pattern, bool) {
	s := l.text(n, path)
	if s == "" {
		return Pattern{}, false
	}
	t, err := actor.ParseTypeName(s)
	if err != nil {
		l.errorf(n, path, "use namespace/name or namespace/*", "%v", err)
		return Pattern{}, false
	}
	if t.Name == "*" {
		t.Name = ""
	}
	if strings.Contains(t.Namespace+t.Name, "*") {
		l.errorf(n, path, "use namespace/name or namespace/*", "%q: a * stands for all names of a namespace and nothing else", s)
		return Pattern{}, false
	}
	return Pattern{Namespace: t.Namespace, Name: t.Name}, true
}

// text reads a scalar that is text; what is empty or something else is
// reported.
func (l *loader) text(n *yaml.Node, path string) string {
	switch {
	case l.broken[n]:
		return ""
	case n.Kind != yaml.ScalarNode || n.Tag != strTag:
		hint := ""
		if n.Kind == yaml.ScalarNode {
			hint = "put it in quotes"
		}
		l.errorf(n, path, hint, "must be text, is %s", describe(n))
		return ""
	case n.Value == "":
		l.errorf(n, path, "", "must not be empty")
	}
	return n.Value
}

func (l *loader) integer(n *yaml.Node, path string, fallback, least, most int) int {
	number := n.Kind == yaml.ScalarNode && (n.Tag == intTag || l.expanded[n])
	if !number {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.Tag == strTag {
			hint = "write it without quotes"
		}
		l.errorf(n, path, hint, "must be a whole number, is %s", describe(n))
		return fallback
	}
	i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
	if err != nil || i < int64(least) || i > int64(most) {
		l.errorf(n, path, "", "must be a whole number from %d to %d, is %s", least, most, n.Value)
		return fallback
	}
	return int(i)
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
	case intTag, "!!float":
		return "the number " + n.Value
	case "!!bool":
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
