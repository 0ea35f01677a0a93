package protoroute

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// step goes from a message to one of its fields, or to an item of a list.
type step struct {
	field protoreflect.FieldDescriptor
	index int // of a list; -1: the field is none
}

// parsePath reads $.field.field[0].field and looks the fields up.
func parsePath(message protoreflect.MessageDescriptor, expression string) ([]step, error) {
	rest, ok := strings.CutPrefix(expression, "$.")
	if !ok {
		return nil, fmt.Errorf("{{%s}} is no path; it must begin with $. as in {{$.user.id}}", expression)
	}
	var path []step
	var last protoreflect.FieldDescriptor
	for part := range strings.SplitSeq(rest, ".") {
		if message == nil {
			return nil, fmt.Errorf("{{%s}}: %s is no message, it has no field %s", expression, last.Name(), part)
		}
		s, err := parseStep(message, part)
		if err != nil {
			return nil, fmt.Errorf("{{%s}}: %w", expression, err)
		}
		path = append(path, s)
		last, message = s.field, s.field.Message()
	}
	if message != nil {
		return nil, fmt.Errorf("{{%s}} is a message, name one of its fields", expression)
	}
	return path, nil
}

func parseStep(message protoreflect.MessageDescriptor, part string) (step, error) {
	name, index, indexed := strings.Cut(part, "[")
	f := message.Fields().ByName(protoreflect.Name(name))
	if f == nil {
		return step{}, fmt.Errorf("%s has no field %q; it has %s", message.FullName(), name, fieldNames(message))
	}
	s := step{field: f, index: -1}
	switch {
	case f.IsMap():
		return s, fmt.Errorf("%s is a map, which a path can't go through", name)
	case f.IsList() != indexed && indexed:
		return s, fmt.Errorf("%s is no list", name)
	case f.IsList() != indexed:
		return s, fmt.Errorf("%s is a list, name an item as in %s[0]", name, name)
	case !indexed:
		return s, nil
	}
	digits, ok := strings.CutSuffix(index, "]")
	i, err := strconv.Atoi(digits)
	if !ok || err != nil || i < 0 {
		return s, fmt.Errorf("%q is no index, write it as %s[0]", part, name)
	}
	s.index = i
	return s, nil
}

func fieldNames(message protoreflect.MessageDescriptor) string {
	fields := message.Fields()
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = string(fields.Get(i).Name())
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// evaluate is the text at the end of a path. A field that isn't set has the
// default of its type.
func evaluate(m protoreflect.Message, path []step) (string, error) {
	for i, s := range path {
		v := m.Get(s.field)
		if s.index >= 0 {
			items := v.List()
			if s.index >= items.Len() {
				return "", fmt.Errorf("%s has %d items, there is none at %d", s.field.FullName(), items.Len(), s.index)
			}
			v = items.Get(s.index)
		}
		if i == len(path)-1 {
			return textOf(s.field, v)
		}
		m = v.Message()
	}
	return "", errors.New("empty path")
}

func textOf(f protoreflect.FieldDescriptor, v protoreflect.Value) (string, error) {
	switch f.Kind() {
	case protoreflect.EnumKind:
		if known := f.Enum().Values().ByNumber(v.Enum()); known != nil {
			return string(known.Name()), nil
		}
		return strconv.Itoa(int(v.Enum())), nil
	case protoreflect.BytesKind:
		if !utf8.Valid(v.Bytes()) {
			return "", fmt.Errorf("%s is not UTF-8", f.FullName())
		}
		return string(v.Bytes()), nil
	default:
		return v.String(), nil
	}
}
