package module

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
)

// reserved is the namespace of built-in functions.
const reserved = "jetfn"

// The forms of names, as patterns.
const (
	formName         = `^[^/*]+/[^/*]+$`
	formPattern      = `^[^/*]+/([^/*]+|\*)$`
	formLooseName    = `^[^*]+/[^/*]+$`
	formLoosePattern = `^[^*]+/([^/*]+|\*)$`
)

// typeName is "namespace/name". In documents with a version the namespace may
// have slashes.
func (l *loader) typeName(into *actor.TypeName) value {
	return scalar[actor.TypeName]{into: into, form: l.nameForm(formName, formLooseName), parse: parseTypeName}
}

// function is the type of a function that a module may name.
func (l *loader) function(into *actor.TypeName) value {
	return scalar[actor.TypeName]{
		into: into, form: l.nameForm(formName, formLooseName),
		parse: func(l *loader, n *yaml.Node, path string) (actor.TypeName, bool) {
			t, ok := parseTypeName(l, n, path)
			return t, ok && l.free(n, path, t.Namespace)
		},
	}
}

// pattern is "namespace/name" or "namespace/*".
func (l *loader) pattern(into *Pattern) value {
	return scalar[Pattern]{into: into, form: l.nameForm(formPattern, formLoosePattern), parse: parsePattern}
}

// functions is one function type, or those of a namespace.
func (l *loader) functions(into *Pattern) value {
	return scalar[Pattern]{
		into: into, form: l.nameForm(formPattern, formLoosePattern),
		parse: func(l *loader, n *yaml.Node, path string) (Pattern, bool) {
			p, ok := parsePattern(l, n, path)
			return p, ok && l.free(n, path, p.Namespace)
		},
	}
}

func (l *loader) nameForm(strict, loose string) Schema {
	if l.legacy {
		return Schema{Type: typeText, Pattern: loose}
	}
	return Schema{Type: typeText, Pattern: strict}
}

func parseTypeName(l *loader, n *yaml.Node, path string) (actor.TypeName, bool) {
	s := l.text(n, path)
	if s == "" {
		return actor.TypeName{}, false
	}
	t, err := l.splitName(s)
	if err == nil && strings.Contains(s, "*") {
		err = fmt.Errorf("%q has a * where one name is needed", s)
	}
	if err != nil {
		l.errorf(n, path, "", "%v", err)
		return actor.TypeName{}, false
	}
	return t, true
}

// splitName is actor.ParseTypeName; in documents with a version, the last
// slash counts.
func (l *loader) splitName(s string) (actor.TypeName, error) {
	if i := strings.LastIndexByte(s, '/'); l.legacy && i > 0 && i < len(s)-1 {
		return actor.TypeName{Namespace: s[:i], Name: s[i+1:]}, nil
	}
	return actor.ParseTypeName(s) //nolint:wrapcheck // it says all
}

func parsePattern(l *loader, n *yaml.Node, path string) (Pattern, bool) {
	s := l.text(n, path)
	if s == "" {
		return Pattern{}, false
	}
	t, err := l.splitName(s)
	if err != nil {
		l.errorf(n, path, "use namespace/name or namespace/*", "%v", err)
		return Pattern{}, false
	}
	if t.Name == "*" {
		t.Name = ""
	}
	if strings.Contains(t.Namespace+t.Name, "*") {
		l.errorf(n, path, "use namespace/name or namespace/*", "%q: a * stands for all names of a namespace and nothing else", s)
		return Pattern{}, false
	}
	return Pattern{Namespace: t.Namespace, Name: t.Name}, true
}

// taken reports whether a namespace belongs to jetfn itself.
func taken(namespace string) bool {
	return namespace == reserved || strings.HasPrefix(namespace, reserved+"/")
}

// free reports names of the namespace that belongs to jetfn itself.
func (l *loader) free(n *yaml.Node, path, namespace string) bool {
	if !taken(namespace) {
		return true
	}
	l.errorf(n, path, "use another namespace", "the namespace %s is jetfn's own", reserved)
	return false
}

// valueType is the type of the values that come in, kept as text.
func (l *loader) valueType(into *string) value {
	check := func(s string) error {
		_, err := l.splitName(s)
		return err
	}
	return textLike(into, l.nameForm(formName, formLooseName), check)
}

// targets are the functions that get what comes in.
func (l *loader) targets(into *[]actor.TypeName) value {
	return list[actor.TypeName]{
		into: into, least: 1, name: func(t actor.TypeName) string { return "target " + t.String() },
		item: func(t *actor.TypeName) value { return target{l.function(t), t} },
	}
}

// target is a function, of which the place is noted.
type target struct {
	value

	into *actor.TypeName
}

func (t target) read(l *loader, n *yaml.Node, path string) {
	t.value.read(l, n, path)
	if !t.into.IsZero() {
		l.aims = append(l.aims, aim{*t.into, l.pos(n), path})
	}
}

// aim is a target that some endpoint should serve.
type aim struct {
	function actor.TypeName
	pos      Pos
	path     string
}

// checkTargets warns of targets that no endpoint serves.
func (l *loader) checkTargets() {
	for _, a := range l.aims {
		if !l.module.serves(a.function) {
			l.found = append(l.found, Diagnostic{
				File: a.pos.File, Line: a.pos.Line, Column: a.pos.Column, Severity: Warning, Key: a.path,
				Message: "no endpoint serves the function " + a.function.String() + "; its messages will become dead letters",
			})
		}
	}
}

func (m *Module) serves(t actor.TypeName) bool {
	return slices.ContainsFunc(m.Endpoints, func(e Endpoint) bool { return e.Functions.Matches(t) })
}

// subject is what messages can be published to; with wildcards also what can
// be subscribed to.
func subject(into *string, wildcards bool) value {
	return textLike(into, Schema{Type: typeText, MinLength: 1}, func(s string) error {
		tokens := strings.Split(s, ".")
		for i, t := range tokens {
			wild := t == "*" || t == ">" && i == len(tokens)-1
			switch {
			case t == "" || strings.ContainsAny(t, " \t\r\n"):
				return fmt.Errorf("%q is no subject: no empty tokens or blanks", s)
			case (t == "*" || t == ">") && !wildcards:
				return fmt.Errorf("%q is no subject to publish to: no empty tokens, blanks or wildcards", s)
			case t == ">" && !wild:
				return fmt.Errorf("%q is no subject: > can only be its end", s)
			}
		}
		return nil
	})
}

// streamName is the name of a JetStream stream or consumer.
func streamName(into *string) value {
	return textLike(into, Schema{Type: typeText, Pattern: `^[^\s.*>/\\]+$`}, func(s string) error {
		if strings.ContainsAny(s, " \t\r\n.*>/\\") {
			return errors.New("must be a name without blanks, dots, wildcards and slashes")
		}
		return nil
	})
}
