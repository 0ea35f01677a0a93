package module

import (
	"go.yaml.in/yaml/v4"
)

// value is what a key may hold: it knows the place that it fills in. The same
// values read modules and describe them, in the JSON Schema and in the docs.
type value interface {
	// read fills the place from n and reports what can't be.
	read(l *loader, n *yaml.Node, path string)
	// absent fills the default in.
	absent()
	// schema describes what read takes.
	schema() *Schema
}

// key is a key of a mapping.
type key struct {
	name     string
	required bool
	value    value
	doc      string // one line of Markdown
	// instead is the default as docs show it where value can't know it.
	instead string
}

func required(name string, v value, doc string) key {
	return key{name: name, required: true, value: v, doc: doc}
}

func optional(name string, v value, doc string) key { return key{name: name, value: v, doc: doc} }

// defaults is optional with a default that depends on others.
func defaults(name string, v value, instead, doc string) key {
	return key{name: name, value: v, doc: doc, instead: instead}
}

// mapping is a value of keys.
type mapping struct {
	keys []key
	// finish checks what concerns several keys, after all of them; nil: nothing.
	finish func(o *object)
	// elsewhere are keys that belong to another place, and what to say of it.
	elsewhere map[string]string
}

func (m mapping) read(l *loader, n *yaml.Node, path string) {
	o, ok := l.object(n, path)
	if !ok {
		m.absent()
		return
	}
	m.readObject(o)
}

func (m mapping) readObject(o *object) {
	for _, k := range m.keys {
		switch v := o.value(k.name); {
		case v != nil:
			k.value.read(o.load, v, o.at(k.name))
		case k.required:
			o.missing(k.name)
			k.value.absent()
		default:
			k.value.absent()
		}
	}
	o.unknown(m)
	if m.finish != nil {
		m.finish(o)
	}
}

func (m mapping) absent() {
	for _, k := range m.keys {
		k.value.absent()
	}
}

// variants is a mapping whose key tag says which other keys there are.
type variants struct {
	tag      string
	fallback string // the tag's value where it is absent; empty: it is required
	cases    []variant
}

// variant is what one value of the tag stands for.
type variant struct {
	word   string
	doc    string
	chosen func() // notes that it is this one; nil: nobody needs to know
	keys   []key
	finish func(o *object)
}

func (v variants) read(l *loader, n *yaml.Node, path string) {
	o, ok := l.object(n, path)
	if !ok {
		v.absent()
		return
	}
	word := v.fallback
	switch tag := o.value(v.tag); {
	case tag != nil:
		if word = l.text(tag, o.at(v.tag)); word == "" {
			v.absent()
			return
		}
	case word == "":
		o.missing(v.tag)
		v.absent()
		return
	}
	c, ok := v.find(word)
	if !ok {
		l.noneOf(o.value(v.tag), o.at(v.tag), word, v.words())
		v.absent()
		return
	}
	c.choose()
	mapping{keys: append([]key{{name: v.tag, value: ignored{}}}, c.keys...), finish: c.finish, elsewhere: v.elsewhere(c)}.readObject(o)
}

func (v variants) absent() {
	if c, ok := v.find(v.fallback); ok {
		c.choose()
		mapping{keys: c.keys}.absent()
	}
}

func (v variants) find(word string) (variant, bool) {
	for _, c := range v.cases {
		if c.word == word {
			return c, true
		}
	}
	return variant{}, false
}

func (v variants) words() []string {
	words := make([]string, len(v.cases))
	for i, c := range v.cases {
		words[i] = c.word
	}
	return words
}

// elsewhere are the keys of the other variants.
func (v variants) elsewhere(chosen variant) map[string]string {
	out := map[string]string{}
	for _, c := range v.cases {
		for _, k := range c.keys {
			if c.word != chosen.word {
				out[k.name] = "it belongs to " + v.tag + ": " + c.word
			}
		}
	}
	return out
}

func (c variant) choose() {
	if c.chosen != nil {
		c.chosen()
	}
}

// ignored is the value of a key that is read in another way.
type ignored struct{}

func (ignored) read(*loader, *yaml.Node, string) {}
func (ignored) absent()                          {}
func (ignored) schema() *Schema                  { return &Schema{} }
