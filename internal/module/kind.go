package module

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/suggest"
)

// The kinds of documents.
const (
	kindEndpoint          = "io.statefun.endpoints.v2/http"
	kindEndpointV1        = "io.statefun.endpoints.v1/http"
	kindKafkaIngress      = "io.statefun.kafka.v1/ingress"
	kindKafkaEgress       = "io.statefun.kafka.v1/egress"
	kindKinesisIngress    = "io.statefun.kinesis.v1/ingress"
	kindKinesisEgress     = "io.statefun.kinesis.v1/egress"
	kindPlaygroundIngress = "io.statefun.playground.v1/ingress"
	kindPlaygroundEgress  = "io.statefun.playground.v1/egress"
	kindNATSIngress       = "io.jetfn.nats.v1/ingress"
	kindNATSEgress        = "io.jetfn.nats.v1/egress"
	kindCronIngress       = "io.jetfn.cron.v1/ingress"
)

// component is a kind of document.
type component struct {
	kind string
	doc  string
	// spec reads one spec, and adds what it says to the loader's module.
	spec func(l *loader, d declared) mapping
}

// declared is what a component's surroundings say of it.
type declared struct {
	pos  Pos
	meta *yaml.Node // where formats with a version declare the id; nil: in spec
	id   actor.TypeName
	// function is what a function of formats 1.0 and 2.0 is called.
	function actor.TypeName
}

func components() []component {
	return []component{
		{kindEndpoint, "Functions behind a URL.", endpointV2},
		{kindEndpointV1, "Functions behind a URL, as StateFun 3.0 and 3.1 described them: always with the transport okhttp.", endpointV1},
		{kindKafkaIngress, "Records of Kafka topics, for functions.", kafkaIngress},
		{kindKafkaEgress, "Records of functions, for Kafka topics.", kafkaEgress},
		{kindKinesisIngress, "Records of Kinesis streams, for functions.", kinesisIngress},
		{kindKinesisEgress, "Records of functions, for Kinesis streams.", kinesisEgress},
		{kindPlaygroundIngress, "A port that takes messages for any function over HTTP.", playgroundIngress},
		{kindPlaygroundEgress, "A port where messages of functions are fetched over HTTP.", playgroundEgress},
		{kindNATSIngress, "Messages on NATS subjects, for functions.", natsIngress},
		{kindNATSEgress, "Messages of functions, for NATS subjects.", natsEgress},
		{kindCronIngress, "Messages at the times of a schedule, for functions.", cronIngress},
	}
}

func kinds() []string {
	all := components()
	out := make([]string, len(all))
	for i, c := range all {
		out[i] = c.kind
	}
	return out
}

func findComponent(kind string) (component, bool) {
	for _, c := range components() {
		if c.kind == kind {
			return c, true
		}
	}
	return component{}, false
}

// ours reports whether jetfn made a kind up; it has no users with odd keys.
func ours(kind string) bool { return strings.HasPrefix(kind, "io.jetfn.") }

// component reads a document {kind, spec}.
func (l *loader) component(root *yaml.Node) {
	o, ok := l.object(root, "")
	if !ok {
		return
	}
	if o.value("kind") == nil && o.value("module") != nil {
		l.errorf(root, "version", `say "1.0", "2.0" or "3.0", as the module was written for StateFun 2.0, 2.1 or 3.0`, "the key is missing")
		return
	}
	kindNode := o.require("kind")
	if kindNode == nil {
		return
	}
	kind := l.text(kindNode, "kind")
	if kind == "" {
		return
	}
	if o.value("apiVersion") != nil {
		l.manifest(kindNode, kind, o)
		return
	}
	c, ok := findComponent(kind)
	if !ok {
		l.unknownKind(kindNode, kind)
		return
	}
	l.lenient = !ours(kind)
	l.coerces = l.lenient && !l.strict
	defer func() { l.coerces = false }()
	o.unknown(mapping{keys: []key{{name: "kind", value: ignored{}}, {name: "spec", value: ignored{}}}})
	if spec := o.require("spec"); spec != nil {
		c.spec(l, declared{pos: l.pos(root)}).read(l, spec, "spec")
	}
}

// manifest reports a manifest of Kubernetes, in which modules often travel.
func (l *loader) manifest(n *yaml.Node, kind string, o *object) {
	hint := "give jetfn the module itself"
	if data := o.value("data"); data != nil && data.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(data.Content); i += 2 {
			if name, text := data.Content[i], deref(data.Content[i+1]); strings.Contains(text.Value, "kind:") {
				hint = fmt.Sprintf("the module is the text below %s on line %d: put it into a file of its own", name.Value, name.Line)
				break
			}
		}
	}
	l.errorf(n, "kind", hint, "this is a manifest of Kubernetes, a %s, and no module", kind)
}

func (l *loader) unknownKind(n *yaml.Node, kind string) {
	hint := "kinds of extension modules need StateFun's JVM, which isn't here; kinds: " + strings.Join(kinds(), ", ")
	if near := suggest.Nearest(kind, kinds()); near != "" {
		hint = "did you mean " + near + "?"
	}
	l.errorf(n, "kind", hint, "unknown kind %q", kind)
}

// lookupKey is for a first look at a mapping, before its keys are checked.
func lookupKey(root *yaml.Node, key string) *yaml.Node {
	if root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			return deref(root.Content[i+1])
		}
	}
	return nil
}

// idKey is the key id of an ingress or egress, or nothing if the id is declared
// outside of spec.
func (d declared) idKey(v value, doc string) []key {
	if d.meta != nil {
		return nil
	}
	return []key{required("id", v, doc)}
}

// place is where the id stands.
func (d declared) place(o *object) (*yaml.Node, string) {
	if d.meta != nil {
		return d.meta, strings.TrimSuffix(o.path, "spec") + "meta.id"
	}
	return o.place("id"), o.at("id")
}
