package module

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
)

// The kinds of documents.
const (
	kindEndpoint          = "io.statefun.endpoints.v2/http"
	kindPlaygroundIngress = "io.statefun.playground.v1/ingress"
	kindPlaygroundEgress  = "io.statefun.playground.v1/egress"
	kindNATSIngress       = "io.jetfn.nats.v1/ingress"
	kindNATSEgress        = "io.jetfn.nats.v1/egress"
)

func supportedKinds() []string {
	return []string{kindEndpoint, kindPlaygroundIngress, kindPlaygroundEgress, kindNATSIngress, kindNATSEgress}
}

// laterKinds are StateFun's other kinds: known, but not read yet.
func laterKinds() []string {
	return []string{
		"io.statefun.endpoints.v1/http",
		"io.statefun.kafka.v1/ingress", "io.statefun.kafka.v1/egress",
		"io.statefun.kinesis.v1/ingress", "io.statefun.kinesis.v1/egress",
	}
}

// component reads a document {kind, spec}.
func (l *loader) component(root *yaml.Node) {
	kindNode := lookupKey(root, "kind")
	kind := ""
	if kindNode != nil && kindNode.Kind == yaml.ScalarNode {
		kind = kindNode.Value
	}
	o, ok := l.object(root, "", !strings.HasPrefix(kind, "io.jetfn."))
	if !ok {
		return
	}
	if o.require("kind") == nil {
		return
	}
	if kind = l.text(kindNode, "kind"); kind == "" {
		return
	}
	read := l.reader(kind)
	if read == nil {
		l.unknownKind(kindNode, kind)
		return
	}
	specNode := o.require("spec")
	o.done()
	if specNode == nil {
		return
	}
	spec, ok := l.object(specNode, "spec", o.lenient)
	if !ok {
		return
	}
	read(spec, l.pos(root))
	spec.done()
}

func (l *loader) reader(kind string) func(spec *object, pos Pos) {
	switch kind {
	case kindEndpoint:
		return l.endpoint
	case kindPlaygroundIngress:
		return l.playgroundIngress
	case kindPlaygroundEgress:
		return l.playgroundEgress
	case kindNATSIngress:
		return l.natsIngress
	case kindNATSEgress:
		return l.natsEgress
	}
	return nil
}

func (l *loader) unknownKind(n *yaml.Node, kind string) {
	switch {
	case kind == "io.statefun.endpoints.v1/http":
		l.errorf(n, "kind", "use "+kindEndpoint+", with the timeouts under transport", "kind %s is not supported yet", kind)
	case slices.Contains(laterKinds(), kind):
		l.errorf(n, "kind", "use "+kindNATSIngress+" and "+kindNATSEgress, "kind %s is not supported yet", kind)
	default:
		hint := "kinds: " + strings.Join(supportedKinds(), ", ")
		if near := nearest(kind, append(supportedKinds(), laterKinds()...)); near != "" {
			hint = "did you mean " + near + "?"
		}
		l.errorf(n, "kind", hint, "unknown kind %q", kind)
	}
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

// checkTargets warns of ingress targets that no endpoint serves.
func (l *loader) checkTargets() {
	for _, in := range l.module.Ingresses {
		for _, t := range in.Targets {
			if !l.module.serves(t) {
				l.found = append(l.found, Diagnostic{
					File: in.Pos.File, Line: in.Pos.Line, Column: in.Pos.Column, Severity: Warning, Key: "spec.targets",
					Message: "no endpoint serves the function " + t.String() + "; its messages will become dead letters",
				})
			}
		}
	}
}

func (m *Module) serves(t actor.TypeName) bool {
	return slices.ContainsFunc(m.Endpoints, func(e Endpoint) bool { return e.Functions.Matches(t) })
}
