package module

import (
	"fmt"
)

func playgroundIngress(l *loader, d declared) mapping {
	in := &PlaygroundIngress{Pos: d.pos}
	return mapping{
		keys: []key{port(&in.Port)},
		finish: func(o *object) {
			l.once(o.node, o.path, "ingress io.statefun.playground/ingress")
			if l.freePort(o, in.Port) {
				l.module.PlaygroundIngresses = append(l.module.PlaygroundIngresses, *in)
			}
		},
	}
}

func playgroundEgress(l *loader, d declared) mapping {
	e := &PlaygroundEgress{Pos: d.pos}
	topics := list[string]{into: &e.Topics, item: text, name: func(s string) string { return fmt.Sprintf("topic %q", s) }}
	return mapping{
		keys: []key{
			port(&e.Port),
			required("topics", topics, "The topics that there are; functions name one in each record."),
		},
		finish: func(o *object) {
			l.once(o.node, o.path, "egress io.statefun.playground/egress")
			if l.freePort(o, e.Port) {
				l.module.PlaygroundEgresses = append(l.module.PlaygroundEgresses, *e)
			}
		},
	}
}

func port(into *int) key {
	return required("port", number(into, 1, 65535), "The port to listen on.")
}

func (l *loader) freePort(o *object, port int) bool {
	if port == 0 {
		return false
	}
	l.once(o.place("port"), o.at("port"), fmt.Sprintf("port %d", port))
	return true
}
