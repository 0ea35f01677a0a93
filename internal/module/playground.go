package module

import (
	"fmt"
	"slices"
)

func (l *loader) playgroundIngress(spec *object, pos Pos) {
	l.once(spec.node, "", "ingress io.statefun.playground/ingress")
	port, ok := l.port(spec)
	if ok {
		l.module.PlaygroundIngresses = append(l.module.PlaygroundIngresses, PlaygroundIngress{Pos: pos, Port: port})
	}
}

func (l *loader) playgroundEgress(spec *object, pos Pos) {
	l.once(spec.node, "", "egress io.statefun.playground/egress")
	e := PlaygroundEgress{Pos: pos}
	port, ok := l.port(spec)
	e.Port = port
	spec.require("topics")
	for i, n := range spec.list("topics") {
		key := fmt.Sprintf("spec.topics[%d]", i)
		switch topic := l.text(n, key); {
		case topic == "":
		case slices.Contains(e.Topics, topic):
			l.errorf(n, key, "", "topic %q occurs twice", topic)
		default:
			e.Topics = append(e.Topics, topic)
		}
	}
	if ok {
		l.module.PlaygroundEgresses = append(l.module.PlaygroundEgresses, e)
	}
}

func (l *loader) port(spec *object) (int, bool) {
	n := spec.require("port")
	if n == nil {
		return 0, false
	}
	port := spec.integer("port", 0, 1, 65535)
	if port == 0 {
		return 0, false
	}
	l.once(n, "spec.port", fmt.Sprintf("port %d", port))
	return port, true
}
