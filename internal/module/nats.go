package module

func natsIngress(l *loader, d declared) mapping {
	in := &Ingress{Pos: d.pos, ID: d.id}
	keys := d.idKey(l.typeName(&in.ID), "Its name, `ns/name`; without `stream` it reads `<app>.ingress.<ns>.<name>.<key>`.")
	keys = append(keys,
		required("targets", l.targets(&in.Targets), "Function types; each gets every message, with the key as its id."),
		defaults("valueType", l.valueType(&in.ValueType), "by the message's header", "The type of the values, `ns/name`."),
		optional("stream", streamName(&in.Stream), "An existing stream to read instead; the last token of a message's subject is its key."),
		defaults("subject", subject(&in.Subject, true), "all", "Which of the stream's subjects to read."),
		optional("consumer", streamName(&in.Consumer), "A durable consumer of yours whose filter and position are taken over once."),
	)
	return mapping{keys: keys, finish: func(o *object) {
		if n, path := d.place(o); !in.ID.IsZero() {
			l.once(n, path, "ingress "+in.ID.String())
		}
		for _, name := range []string{"subject", "consumer"} {
			if n := o.value(name); n != nil && o.value("stream") == nil {
				l.errorf(n, o.at(name), "name the stream, or leave it out and publish to <app>.ingress.<id>.<key>", "belongs to an existing stream, and none is named")
			}
		}
		l.module.Ingresses = append(l.module.Ingresses, *in)
	}}
}

func natsEgress(l *loader, d declared) mapping {
	e := &Egress{Pos: d.pos, ID: Pattern{Namespace: d.id.Namespace, Name: d.id.Name}}
	keys := d.idKey(l.pattern(&e.ID), "Its name, `ns/name`, or `ns/*` for all of a namespace.")
	keys = append(keys, defaults("subject", subject(&e.Subject, false), "`<app>.egress.<ns>.<name>`", "Another prefix for the subjects of its messages."))
	return mapping{keys: keys, finish: func(o *object) {
		if n, path := d.place(o); e.ID.Namespace != "" {
			l.once(n, path, "egress "+e.ID.String())
		}
		l.module.Egresses = append(l.module.Egresses, *e)
	}}
}
