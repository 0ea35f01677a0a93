package module

import (
	"errors"
	"fmt"
	"io/fs"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/protoroute"
)

// Router sends what comes in through an ingress to the address that its
// contents say.
type Router struct {
	Pos     Pos
	Ingress actor.TypeName
	// ValueType is the type of the values as functions get them.
	ValueType string
	Route     *protoroute.Route
}

// Address is where a record goes.
func (r Router) Address(record []byte) (actor.Address, error) {
	a, err := r.Route.Address(record)
	if err != nil {
		return a, fmt.Errorf("router at %s: %w", r.Pos, err)
	}
	if taken(a.Type.Namespace) {
		return a, fmt.Errorf("router at %s: %w: the namespace %s is jetfn's own", r.Pos, actor.ErrBadAddress, a.Type.Namespace)
	}
	return a, nil
}

const (
	routerType = "org.apache.flink.statefun.sdk/protobuf-router"
	// anyPrefix begins the types of protobuf messages.
	anyPrefix = "type.googleapis.com/"
)

// messageRef is a message type of a descriptor set.
type messageRef struct{ name, file string }

func (r *messageRef) keys() []key {
	return []key{
		required("messageType", text(&r.name), "The full name of the records' protobuf message type."),
		required("descriptorSet", resource(&r.file), "A file that `protoc --include_imports --descriptor_set_out` has written; `classpath:` is where the module is."),
	}
}

// message finds the message type, and reports what is in the way; then it is
// nil.
func (l *loader) message(o *object, r *messageRef) protoreflect.MessageDescriptor {
	if r.name == "" || r.file == "" {
		return nil
	}
	const key = "descriptorSet"
	set, err := l.readFile(r.file)
	if err != nil {
		if inner := (*fs.PathError)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		l.errorf(o.place(key), o.at(key), "", "%s can't be read: %v", r.file, err)
		return nil
	}
	message, err := protoroute.FindMessage(set, r.name)
	if err != nil {
		l.errorf(o.place(key), o.at(key), "", "%s %v", r.file, err)
		return nil
	}
	return message
}

// messageType is the value type of messages of r.
func (l *loader) messageType(o *object, r *messageRef) string {
	m := l.message(o, r)
	if m == nil {
		return ""
	}
	return anyPrefix + string(m.FullName())
}

func protobufRouter(l *loader, d declared) mapping {
	r := &Router{Pos: d.pos}
	ref := &messageRef{}
	var template string
	keys := []key{
		required("ingress", l.typeName(&r.Ingress), "The ingress whose records it looks at."),
		required("target", text(&template), "The address they go to, `ns/name/id`, with paths into the record such as `{{$.user.id}}`."),
	}
	return mapping{keys: append(keys, ref.keys()...), finish: func(o *object) {
		message := l.message(o, ref)
		if message == nil || template == "" {
			return
		}
		n, path := o.place("target"), o.at("target")
		route, err := protoroute.Compile(message, template)
		if err != nil {
			l.errorf(n, path, "", "%v", err)
			return
		}
		if namespace, same := route.Namespace(); same && !l.free(n, path, namespace) {
			return
		}
		r.Route, r.ValueType = route, anyPrefix+route.Message()
		if !r.Ingress.IsZero() {
			l.routed = append(l.routed, routed{r.Ingress, l.pos(o.place("ingress")), o.at("ingress")})
		}
		l.module.Routers = append(l.module.Routers, *r)
	}}
}

// routed is an ingress that a router names.
type routed struct {
	ingress actor.TypeName
	pos     Pos
	path    string
}

// unrouted is an ingress that needs a router.
type unrouted struct {
	ingress actor.TypeName
	pos     Pos
}

// checkRouters reports routers of no ingress, and ingresses that need a
// router and have none.
func (l *loader) checkRouters() {
	has := map[actor.TypeName]bool{}
	for _, r := range l.routed {
		has[r.ingress] = true
		if _, known := l.seen["ingress "+r.ingress.String()]; !known {
			l.found = append(l.found, Diagnostic{
				File: r.pos.File, Line: r.pos.Line, Column: r.pos.Column, Severity: Error, Key: r.path,
				Message: "there is no ingress " + r.ingress.String(),
			})
		}
	}
	for _, u := range l.unrouted {
		if !has[u.ingress] {
			l.found = append(l.found, Diagnostic{
				File: u.pos.File, Line: u.pos.Line, Column: u.pos.Column, Severity: Error,
				Message: "the ingress " + u.ingress.String() + " has no router, so its records reach nobody",
				Hint:    "add a router with ingress: " + u.ingress.String(),
			})
		}
	}
}
