package module

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The marks around a generated table.
const (
	markBegin = "<!-- keys: "
	markClose = " -->"
	markEnd   = "<!-- end of keys -->"
)

// FillReference puts the tables of keys into a page of documentation, each
// between a comment "keys: NAME" and one "end of keys". A name is a kind, or
// a format, a section and a type, such as "2.0 functions http".
func FillReference(page []byte) ([]byte, error) {
	var out bytes.Buffer
	rest := string(page)
	for {
		before, after, found := strings.Cut(rest, markBegin)
		out.WriteString(before)
		if !found {
			return out.Bytes(), nil
		}
		name, after, ok := strings.Cut(after, markClose)
		_, after, ended := strings.Cut(after, markEnd)
		if !ok || !ended {
			return nil, fmt.Errorf("a mark %q without its %q", markBegin, markEnd)
		}
		m, ok := tables()[name]
		if !ok {
			return nil, fmt.Errorf("there are no keys called %q", name)
		}
		out.WriteString(markBegin + name + markClose + "\n| key | default | |\n|---|---|---|\n")
		m.rows(&out, "")
		out.WriteString(markEnd)
		rest = after
	}
}

// ReferenceNames are the names of all tables.
func ReferenceNames() []string {
	var names []string
	for name := range tables() {
		names = append(names, name)
	}
	return names
}

func tables() map[string]mapping {
	all := map[string]mapping{}
	for _, c := range components() {
		all[c.kind] = c.spec(&loader{module: &Module{}}, declared{})
	}
	for _, f := range legacyFormats() {
		for _, s := range f.sections {
			for _, c := range s.cases {
				if strings.Contains(c.kind, ".v1/") || strings.Contains(c.kind, ".v2/") || f.version == "3.0" && !strings.HasPrefix(c.kind, "statefun.") {
					continue // as the kind itself
				}
				d := declared{}
				if s.named == "id" {
					d.meta = &yaml.Node{}
				}
				all[f.version+" "+s.name+" "+c.kind] = c.spec(&loader{module: &Module{}, legacy: true}, d)
			}
		}
	}
	return all
}

// rows writes a row for each key, those within after those they are in.
func (m mapping) rows(out *bytes.Buffer, prefix string) {
	for _, k := range m.keys {
		fmt.Fprintf(out, "| `%s%s` | %s | %s |\n", prefix, k.name, k.shownDefault(), k.doc)
		switch v := k.value.(type) {
		case mapping:
			v.rows(out, prefix+k.name+".")
		case variants:
			v.rows(out, prefix+k.name+".")
		case interface{ inner() value }:
			if inner, ok := v.inner().(mapping); ok {
				inner.rows(out, prefix+k.name+"[].")
			}
		}
	}
}

func (v variants) rows(out *bytes.Buffer, prefix string) {
	for _, c := range v.cases {
		fmt.Fprintf(out, "| `%s%s: %s` | | %s |\n", prefix, v.tag, c.word, c.doc)
		mapping{keys: c.keys}.rows(out, prefix)
	}
}

// inner is the value of the list's items.
func (s list[T]) inner() value { return s.item(new(T)) }

func (k key) shownDefault() string {
	switch {
	case k.required:
		return "required"
	case k.instead != "":
		return k.instead
	}
	var text string
	d := k.value.schema().Default
	if d == nil {
		return ""
	}
	if json.Unmarshal(d, &text) != nil {
		text = string(d)
	}
	return "`" + text + "`"
}
