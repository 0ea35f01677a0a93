package module

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// format is one of StateFun's formats with a version, which hold a whole
// module in one document.
type format struct {
	version  string
	doc      string
	sections []section
	// elsewhere are sections of other formats.
	elsewhere map[string]string
}

// section is a list of components of one sort.
type section struct {
	name    string // such as ingresses
	wrapper string // the one key of each item, such as ingress
	doc     string
	tag     string // the key of meta that says what it is: kind or type
	// named is how meta names the component: "id", "type" for functions, ""
	// for what has no name.
	named string
	cases []component // kind is what the tag says
	// refused are tags that there were, and why they can't be used.
	refused map[string]string
}

func legacyFormats() []format {
	old := []section{
		{
			name: "functions", wrapper: "function", tag: "kind", named: "type", doc: "Functions behind URLs.",
			cases:   []component{{"http", "A function behind a URL.", function2}},
			refused: map[string]string{"grpc": "StateFun never had a working implementation of it"},
		},
		routers(),
		{
			name: "ingresses", wrapper: "ingress", tag: "type", named: "id", doc: "Where messages come from.",
			cases: []component{
				{"statefun.kafka.io/routable-protobuf-ingress", "Records of Kafka topics, for functions.", kafkaIngress2},
				{"statefun.kafka.io/protobuf-ingress", "Records of Kafka topics, for routers.", kafkaProtobufIngress},
				{"statefun.kinesis.io/routable-protobuf-ingress", "Records of Kinesis streams, for functions.", kinesisIngress2},
			},
		},
		{
			name: "egresses", wrapper: "egress", tag: "type", named: "id", doc: "Where messages go.",
			cases: []component{
				{"statefun.kafka.io/generic-egress", "Records of functions, for Kafka topics.", kafkaEgress},
				{"statefun.kinesis.io/generic-egress", "Records of functions, for Kinesis streams.", kinesisEgress},
			},
		},
	}
	first := slices.Clone(old)
	first[0].cases = []component{{"http", "A function behind a URL.", function1}}
	endpoints := map[string]string{"endpoints": "formats 1.0 and 2.0 call them functions"}
	return []format{
		{"1.0", "The format of StateFun 2.0.", first, endpoints},
		{"2.0", "The format of StateFun 2.1 and 2.2.", old, endpoints},
		{"3.0", "The format of StateFun 3.0.", sections3(), map[string]string{"functions": "format 3.0 calls them endpoints"}},
	}
}

func routers() section {
	return section{
		name: "routers", wrapper: "router", tag: "type", doc: "Who gets the records of ingresses without targets.",
		cases: []component{{routerType, "Sends records to the address that their contents say.", protobufRouter}},
	}
}

func sections3() []section {
	endpoints := section{
		name: "endpoints", wrapper: "endpoint", tag: "kind", doc: "Functions behind URLs.",
		cases: []component{{"http", "As " + kindEndpointV1 + ".", endpointV1}},
	}
	ingresses := section{name: "ingresses", wrapper: "ingress", tag: "type", named: "id", doc: "Where messages come from.", cases: []component{
		{"io.statefun.kafka/ingress", "As " + kindKafkaIngress + ".", kafkaIngress},
		{"statefun.kafka.io/protobuf-ingress", "Records of Kafka topics, for routers.", kafkaProtobufIngress},
		{"io.statefun.kinesis/ingress", "As " + kindKinesisIngress + ".", kinesisIngress},
	}}
	egresses := section{name: "egresses", wrapper: "egress", tag: "type", named: "id", doc: "Where messages go.", cases: []component{
		{"io.statefun.kafka/egress", "As " + kindKafkaEgress + ".", kafkaEgress},
		{"io.statefun.kinesis/egress", "As " + kindKinesisEgress + ".", kinesisEgress},
	}}
	for _, c := range components() { // later versions of StateFun took these names too
		switch {
		case strings.Contains(c.kind, ".endpoints."):
			endpoints.cases = append(endpoints.cases, c)
		case strings.HasSuffix(c.kind, "/ingress"):
			ingresses.cases = append(ingresses.cases, c)
		default:
			egresses.cases = append(egresses.cases, c)
		}
	}
	return []section{endpoints, routers(), ingresses, egresses}
}

// oldFormat reads a document {version, module}.
func (l *loader) oldFormat(root *yaml.Node) {
	l.lenient, l.legacy = true, true
	defer func() { l.legacy = false }()
	versionNode := lookupKey(root, "version")
	version := l.text(versionNode, "version")
	if version == "" {
		return
	}
	for _, f := range legacyFormats() {
		if f.version == version {
			f.mapping().read(l, root, "")
			return
		}
	}
	l.errorf(versionNode, "version", "newer modules have one document for each component, with kind and spec",
		"must be \"1.0\", \"2.0\" or \"3.0\", is %q", version)
}

// mapping is the whole document.
func (f format) mapping() mapping {
	sections := make([]key, len(f.sections))
	for i, s := range f.sections {
		sections[i] = optional(s.name, sectionList{s}, s.doc)
	}
	var remote bool
	return mapping{keys: []key{
		{name: "version", required: true, value: constant(f.version), doc: "In quotes."},
		required("module", mapping{keys: []key{
			required("meta", mapping{keys: []key{
				required("type", choiceAnyCase(&remote, "", word[bool]{"remote", true}), "Always `remote`."),
			}}, "What it is."),
			required("spec", mapping{keys: sections, elsewhere: f.elsewhere}, "Its components."),
		}}, "The module."),
	}}
}

func (f format) document() *Schema {
	s := f.mapping().schema()
	s.Title, s.Description = "format "+f.version, f.doc
	return s
}

// constant is text that was looked at before.
type constant string

func (constant) read(*loader, *yaml.Node, string) {}
func (constant) absent()                          {}
func (c constant) schema() *Schema                { return &Schema{Const: string(c)} }

// sectionList is the value of a section's key.
type sectionList struct{ section section }

func (s sectionList) read(l *loader, n *yaml.Node, path string) {
	var done []struct{}
	list[struct{}]{into: &done, item: func(*struct{}) value { return item(s) }}.read(l, n, path)
}

func (sectionList) absent() {}

func (s sectionList) schema() *Schema {
	return &Schema{Type: typeList, Items: item(s).schema()}
}

// item is one component: {wrapper: {meta, spec}}.
type item struct{ section section }

func (i item) read(l *loader, n *yaml.Node, path string) {
	s := i.section
	outer, ok := l.object(n, path)
	if !ok {
		return
	}
	outer.unknown(mapping{keys: []key{{name: s.wrapper, value: ignored{}}}})
	body := outer.require(s.wrapper)
	if body == nil {
		return
	}
	o, ok := l.object(body, outer.at(s.wrapper))
	if !ok {
		return
	}
	o.unknown(mapping{keys: []key{{name: "meta", value: ignored{}}, {name: "spec", value: ignored{}}}})
	metaNode, specNode := o.require("meta"), o.require("spec")
	if metaNode == nil {
		return
	}
	d := declared{pos: l.pos(n)}
	c, ok := i.meta(l, metaNode, o.at("meta"), &d)
	if ok && specNode != nil {
		c.spec(l, d).read(l, specNode, o.at("spec"))
	}
}

// meta reads what a component is, and how it is called.
func (i item) meta(l *loader, n *yaml.Node, path string, d *declared) (component, bool) {
	s := i.section
	var tag string
	m := mapping{keys: append([]key{required(s.tag, text(&tag), "")}, s.nameKey(l, d)...)}
	m.finish = func(o *object) {
		if s.named != "" {
			d.meta = o.place(s.named)
		}
	}
	m.read(l, n, path)
	if tag == "" {
		return component{}, false
	}
	words := make([]string, len(s.cases))
	for j, c := range s.cases {
		if words[j] = c.kind; c.kind == tag {
			return c, true
		}
	}
	place := lookupKey(deref(n), s.tag)
	if why, ok := s.refused[tag]; ok {
		l.errorf(place, join(path, s.tag), "use "+words[0], "%s can't be used: %s", tag, why)
		return component{}, false
	}
	l.noneOf(place, join(path, s.tag), tag, words)
	return component{}, false
}

func (s section) nameKey(l *loader, d *declared) []key {
	switch s.named {
	case "type":
		return []key{required("type", l.function(&d.function), "The function's type, `ns/name`.")}
	case "id":
		return []key{required("id", l.typeName(&d.id), "Its name, `ns/name`.")}
	}
	return nil
}

func (item) absent() {}

func (i item) schema() *Schema {
	s := i.section
	l := &loader{module: &Module{}, legacy: true}
	one := &Schema{}
	for _, c := range s.cases {
		var d declared
		meta := mapping{keys: append([]key{{name: s.tag, required: true, value: constant(c.kind), doc: c.doc}}, s.nameKey(l, &d)...)}
		if s.named != "" {
			d.meta = &yaml.Node{}
		}
		body := mapping{keys: []key{required("meta", meta, "What it is."), required("spec", c.spec(l, d), "What it does.")}}
		one.OneOf = append(one.OneOf, body.schema())
	}
	return mapping{keys: []key{{name: s.wrapper, required: true, value: described{one}}}}.schema()
}

// described is a value that is only a schema.
type described struct{ form *Schema }

func (described) read(*loader, *yaml.Node, string) {}
func (described) absent()                          {}
func (d described) schema() *Schema                { return d.form }

// function1 and function2 are functions of formats 1.0 and 2.0.
func function1(l *loader, d declared) mapping {
	e := &Endpoint{Pos: d.pos}
	states := list[State]{into: &e.States, item: func(s *State) value { return text(&s.Name) }, name: nameOfState}
	return l.function2x(d, e, optional("states", states, "The names of its states."))
}

func function2(l *loader, d declared) mapping {
	e := &Endpoint{Pos: d.pos}
	return l.function2x(d, e, optional("states", l.states(&e.States), "Its states."))
}

func (l *loader) function2x(d declared, e *Endpoint, states key) mapping {
	e.Transport = okHTTPDefaults()
	e.Functions = Pattern{Namespace: d.function.Namespace, Name: d.function.Name}
	t, def := &e.Transport, okHTTPDefaults()
	keys := []key{
		required("endpoint", urlTemplate(&e.URLTemplate), "Its URL: `http`, `https`, `http+unix:///path/to/file.sock/path`, or `nats://subject`."),
		states,
		optional("timeout", positive(&t.Call, def.Call), "Time for a whole call."),
		optional("connectTimeout", positive(&t.Connect, def.Connect), "Time to make a connection; not longer than `timeout`."),
		optional("readTimeout", positive(&t.Read, def.Read), "How long the endpoint may be silent; not longer than `timeout`."),
		optional("writeTimeout", positive(&t.Write, def.Write), "Time for one write; not longer than `timeout`."),
		optional("maxNumBatchRequests", maxBatch(e), "Messages in one call; 0 or less: no limit."),
	}
	keys = append(keys, extras(e, protocolV2)...)
	return mapping{keys: keys, finish: func(o *object) {
		checkLimits(o, t, "timeout", "connectTimeout", "readTimeout", "writeTimeout")
		path := strings.TrimSuffix(o.path, "spec") + "meta.type"
		l.addEndpoint(o, e, d.meta, path)
	}}
}
