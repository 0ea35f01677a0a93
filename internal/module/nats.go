package module

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
)

func (l *loader) natsIngress(spec *object, pos Pos) {
	in := Ingress{Pos: pos}
	if n := spec.require("id"); n != nil {
		if id, ok := l.typeName(n, "spec.id"); ok {
			in.ID = id
			l.once(n, "spec.id", "ingress "+id.String())
		}
	}
	for _, key := range []string{"stream", "subject", "consumer"} {
		if n := spec.value(key); n != nil {
			l.errorf(n, "spec."+key, "leave it out and publish to <app>.ingress.<id>.<key>", "reading an existing stream is not supported yet")
		}
	}
	if n := spec.value("valueType"); n != nil {
		if t, ok := l.typeName(n, "spec.valueType"); ok {
			in.ValueType = t.String()
		}
	}
	in.Targets = l.targets(spec)
	l.module.Ingresses = append(l.module.Ingresses, in)
}

func (l *loader) targets(spec *object) (out []actor.TypeName) {
	list := spec.require("targets")
	items := spec.list("targets")
	if list != nil && list.Kind == yaml.SequenceNode && len(items) == 0 {
		l.errorf(list, "spec.targets", "", "must name at least one function")
	}
	for i, n := range items {
		key := fmt.Sprintf("spec.targets[%d]", i)
		t, ok := l.typeName(n, key)
		switch {
		case !ok:
		case slices.Contains(out, t):
			l.errorf(n, key, "", "target %s occurs twice", t)
		default:
			out = append(out, t)
		}
	}
	return out
}

func (l *loader) natsEgress(spec *object, pos Pos) {
	e := Egress{Pos: pos}
	if n := spec.require("id"); n != nil {
		if id, ok := l.pattern(n, "spec.id"); ok {
			e.ID = id
			l.once(n, "spec.id", "egress "+id.String())
		}
	}
	if n := spec.value("subject"); n != nil {
		e.Subject = l.text(n, "spec.subject")
		l.checkSubject(n, e.Subject)
	}
	l.module.Egresses = append(l.module.Egresses, e)
}

// checkSubject wants a subject that messages can be published to.
func (l *loader) checkSubject(n *yaml.Node, subject string) {
	if subject == "" {
		return
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || token == "*" || token == ">" || strings.ContainsAny(token, " \t\r\n") {
			l.errorf(n, "spec.subject", "", "%q is no subject to publish to: no empty tokens, blanks or wildcards", subject)
			return
		}
	}
}
