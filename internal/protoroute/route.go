package protoroute

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/jetfn/jetfn/actor"
)

// Route is a template of an address, checked against a message type. It is
// safe for many goroutines.
type Route struct {
	template string
	message  protoreflect.MessageDescriptor
	parts    [3][]piece // namespace, name, id
}

// piece is a part of a template: text, or a path.
type piece struct {
	text string
	path []step // nil: text
}

// Compile reads a template "namespace/name/id", split at the last two
// slashes, with expressions {{$.path.to[0].field}}.
func Compile(message protoreflect.MessageDescriptor, template string) (*Route, error) {
	r := &Route{template: template, message: message}
	parts, err := split(template)
	if err != nil {
		return nil, err
	}
	for i, part := range parts {
		if r.parts[i], err = pieces(message, part); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// split cuts at the last two slashes that are outside of expressions.
func split(template string) (parts [3]string, err error) {
	var cuts []int
	depth := 0
	for i := range len(template) {
		switch {
		case strings.HasPrefix(template[i:], "{{"):
			depth++
		case strings.HasPrefix(template[i:], "}}"):
			depth--
		case template[i] == '/' && depth <= 0:
			cuts = append(cuts, i)
		}
	}
	if len(cuts) < 2 {
		return parts, fmt.Errorf("%q is not of the form namespace/name/id", template)
	}
	a, b := cuts[len(cuts)-2], cuts[len(cuts)-1]
	parts = [3]string{template[:a], template[a+1 : b], template[b+1:]}
	for _, p := range parts {
		if p == "" {
			return parts, fmt.Errorf("%q has an empty part; it must be namespace/name/id", template)
		}
	}
	return parts, nil
}

func pieces(message protoreflect.MessageDescriptor, part string) ([]piece, error) {
	var out []piece
	for part != "" {
		before, after, found := strings.Cut(part, "{{")
		if before != "" {
			out = append(out, piece{text: before})
		}
		if !found {
			return out, nil
		}
		expression, rest, closed := strings.Cut(after, "}}")
		if !closed {
			return nil, fmt.Errorf("%q has a {{ without its }}", part)
		}
		path, err := parsePath(message, strings.TrimSpace(expression))
		if err != nil {
			return nil, err
		}
		out = append(out, piece{path: path})
		part = rest
	}
	return out, nil
}

// Namespace is that of the addresses, if it is the same for all.
func (r *Route) Namespace() (string, bool) {
	p := r.parts[0]
	if len(p) == 1 && p[0].path == nil {
		return p[0].text, true
	}
	return "", false
}

// String is the template.
func (r *Route) String() string { return r.template }

// Message is the full name of the message type.
func (r *Route) Message() string { return string(r.message.FullName()) }

// Address is where a message goes. The address is checked.
func (r *Route) Address(data []byte) (actor.Address, error) {
	m := dynamicpb.NewMessage(r.message)
	if err := proto.Unmarshal(data, m); err != nil {
		return actor.Address{}, fmt.Errorf("not a message of type %s: %w", r.Message(), err)
	}
	var texts [3]string
	for i, part := range r.parts {
		var b strings.Builder
		for _, p := range part {
			if p.path == nil {
				b.WriteString(p.text)
				continue
			}
			text, err := evaluate(m, p.path)
			if err != nil {
				return actor.Address{}, err
			}
			b.WriteString(text)
		}
		texts[i] = b.String()
	}
	a := actor.Address{Type: actor.TypeName{Namespace: texts[0], Name: texts[1]}, ID: texts[2]}
	if err := a.Check(); err != nil {
		return a, fmt.Errorf("message of type %s: %w", r.Message(), err)
	}
	return a, nil
}
