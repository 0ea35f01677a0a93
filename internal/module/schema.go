package module

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const (
	typeText    = "string"
	typeInteger = "integer"
	typeList    = "array"
	typeObject  = "object"

	refDuration = "#/$defs/duration"
	refVariable = "#/$defs/variable"

	dialect = "https://json-schema.org/draft/2020-12/schema"
)

// Schema is a JSON Schema, as far as modules need it.
type Schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       string             `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Default     json.RawMessage    `json:"default,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	MinKeys     int                `json:"minProperties,omitempty"`
	MaxKeys     int                `json:"maxProperties,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	// More is the schema of keys that Properties don't name; nil: they are
	// not allowed in what has Properties.
	More  *Schema            `json:"-"`
	AnyOf []*Schema          `json:"anyOf,omitempty"`
	AllOf []*Schema          `json:"allOf,omitempty"`
	If    *Schema            `json:"if,omitempty"`
	Then  *Schema            `json:"then,omitempty"`
	OneOf []*Schema          `json:"oneOf,omitempty"`
	Defs  map[string]*Schema `json:"$defs,omitempty"`
}

// MarshalJSON writes s with its rule for further keys.
func (s *Schema) MarshalJSON() ([]byte, error) {
	type plain Schema
	type full struct {
		*plain

		Additional json.RawMessage `json:"additionalProperties,omitempty"`
	}
	f := full{plain: (*plain)(s)}
	switch {
	case s.More != nil:
		more, err := json.Marshal(s.More)
		if err != nil {
			return nil, fmt.Errorf("encode schema: %w", err)
		}
		f.Additional = more
	case s.Type == typeObject:
		f.Additional = json.RawMessage("false")
	}
	return json.Marshal(f) //nolint:wrapcheck // its caller is encoding/json
}

func (m mapping) schema() *Schema {
	s := &Schema{Type: typeObject, Properties: map[string]*Schema{}}
	for _, k := range m.keys {
		p := orVariable(k.value.schema())
		p.Description = k.doc
		s.Properties[k.name] = p
		if k.required {
			s.Required = append(s.Required, k.name)
		}
	}
	return s
}

func (v variants) schema() *Schema {
	s := &Schema{}
	for _, c := range v.cases {
		one := mapping{keys: c.keys}.schema()
		one.Properties[v.tag] = &Schema{Const: c.word, Description: c.doc}
		if c.word != v.fallback {
			one.Required = append([]string{v.tag}, one.Required...)
		}
		s.OneOf = append(s.OneOf, one)
	}
	return s
}

// orVariable lets s also be text with a ${VARIABLE}, unless any text will do
// or s has a structure.
func orVariable(s *Schema) *Schema {
	free := s.Type == typeText && s.Pattern == ""
	if free || s.Type == typeObject || s.Type == typeList || s.OneOf != nil || s.AnyOf != nil {
		return s
	}
	value := s.Default
	s.Default = nil
	return &Schema{AnyOf: []*Schema{s, {Ref: refVariable}}, Default: value}
}

// JSONSchema describes one document of a module file, for editors. It is made
// of what the loader itself reads by.
func JSONSchema() ([]byte, error) {
	root := &Schema{
		Dialect: dialect, Title: "jetfn module document",
		Description: "One document of a module file: a component with kind and spec, or a module of StateFun's formats 1.0, 2.0 and 3.0.",
		Defs: map[string]*Schema{
			"duration": {
				Description: "A number and a unit, such as 30s or 500 ms; without a unit, milliseconds.",
				AnyOf: []*Schema{
					{Type: typeInteger, Minimum: new(0)},
					{Type: typeText, Pattern: durationForm},
				},
			},
			"variable": {Description: "Text with ${NAME} or ${NAME:-default}.", Type: typeText, Pattern: `\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`},
		},
	}
	kind, version := &Schema{Enum: kinds()}, &Schema{}
	for _, c := range components() {
		root.AllOf = append(root.AllOf, when("kind", c.kind, c.document()))
	}
	for _, f := range legacyFormats() {
		version.Enum = append(version.Enum, f.version)
		root.AllOf = append(root.AllOf, when("version", f.version, f.document()))
	}
	root.AnyOf = []*Schema{
		{Properties: map[string]*Schema{"kind": kind}, Required: []string{"kind", "spec"}},
		{Properties: map[string]*Schema{"version": version}, Required: []string{"version", "module"}},
	}
	if err := share(root); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return out.Bytes(), nil
}

// when applies then to documents whose key is value.
func when(key, value string, then *Schema) *Schema {
	return &Schema{
		If:   &Schema{Properties: map[string]*Schema{key: {Const: value}}, Required: []string{key}},
		Then: then,
	}
}

// document is the schema of a document of kind c.
func (c component) document() *Schema {
	return &Schema{
		Type: typeObject, Title: c.kind, Description: c.doc,
		Properties: map[string]*Schema{
			"kind": {Const: c.kind},
			"spec": c.spec(&loader{module: &Module{}}, declared{}).schema(),
		},
		Required: []string{"kind", "spec"},
	}
}

func jsonText(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil { // a string has no way to fail
		return nil
	}
	return text
}
