package module

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// expandTree replaces the variables in every value of the tree; keys stay as
// they are.
func (l *loader) expandTree(n *yaml.Node, key string) {
	switch n.Kind {
	case yaml.ScalarNode:
		l.expandScalar(n, key)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			l.expandTree(n.Content[i+1], join(key, n.Content[i].Value))
		}
	case yaml.SequenceNode, yaml.DocumentNode:
		for _, c := range n.Content {
			l.expandTree(c, key)
		}
	default: // an alias is expanded where its anchor stands
	}
}

func (l *loader) expandScalar(n *yaml.Node, key string) {
	if !strings.Contains(n.Value, "${") {
		return
	}
	value, err := expand(n.Value, l.lookup)
	if err != nil {
		l.errorf(n, key, "", "%v", err)
		l.broken[n] = true
	}
	n.Value = value
	l.expanded[n] = n.Tag == strTag && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
}

// expand replaces ${NAME} and ${NAME:-default}. $${ stands for a literal ${.
// A default is taken if the variable is unset or empty.
func expand(s string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "${")
		if !ok {
			b.WriteString(s)
			return b.String(), nil
		}
		if strings.HasSuffix(before, "$") {
			b.WriteString(before + "{")
			s = after
			continue
		}
		b.WriteString(before)
		body, rest, ok := strings.Cut(after, "}")
		if !ok {
			return b.String(), errors.New("a ${ without its }; write $${ for the characters themselves")
		}
		value, err := variable(body, lookup)
		if err != nil {
			return b.String(), err
		}
		b.WriteString(value)
		s = rest
	}
}

func variable(body string, lookup func(string) (string, bool)) (string, error) {
	name, fallback, hasFallback := strings.Cut(body, ":-")
	if !validVariable(name) {
		return "", fmt.Errorf("${%s} is not of the form ${NAME} or ${NAME:-default}", body)
	}
	value, ok := lookup(name)
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case !ok:
		return "", fmt.Errorf("variable %s is not defined; set it, or give a default as in ${%s:-value}", name, name)
	}
	return value, nil
}

func validVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
