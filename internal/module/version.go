package module

import (
	"fmt"
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxWeight keeps the sum of weights small.
const maxWeight = 1_000_000

// HeaderField is a header of calls.
type HeaderField struct{ Name, Value string }

// weight is an endpoint's share of addresses.
type weight struct{ into **int }

func (w weight) read(l *loader, n *yaml.Node, path string) {
	var i int
	value := number(&i, 0, maxWeight)
	before := l.errors
	value.read(l, n, path)
	if l.errors == before && !l.broken[n] {
		*w.into = &i
	}
}

func (w weight) absent() { *w.into = nil }

func (weight) schema() *Schema { return number(new(int), 0, maxWeight).schema() }

// headerFields is a mapping of names to values.
type headerFields struct{ into *[]HeaderField }

var fieldName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ownField reports whether calls have a header of their own by this name.
func ownField(name string) bool {
	return strings.HasPrefix(name, "Jetfn-") && name != "Jetfn-Version" || slices.Contains([]string{
		"Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Host", "Te", "Traceparent", "Tracestate",
		"Trailer", "Transfer-Encoding", "Upgrade", "User-Agent",
	}, name)
}

func (h headerFields) read(l *loader, n *yaml.Node, path string) {
	*h.into = nil
	o, ok := l.object(n, path)
	if !ok {
		return
	}
	seen := map[string]string{}
	for _, key := range o.order {
		value := o.values[key]
		name := textproto.CanonicalMIMEHeaderKey(key)
		text := l.text(value, join(path, key))
		switch {
		case !fieldName.MatchString(key):
			l.errorf(o.keys[key], join(path, key), "", "%q is no name of a header", key)
		case ownField(name):
			l.errorf(o.keys[key], join(path, key), "", "calls have a header %s of their own", name)
		case seen[name] != "":
			l.errorf(o.keys[key], join(path, key), "", "the header %s is there already", name)
		case strings.ContainsAny(text, "\r\n\x00"):
			l.errorf(value, join(path, key), "", "a header has one line")
		case text != "":
			*h.into = append(*h.into, HeaderField{name, text})
		}
		seen[name] = key
		if secretName.MatchString(key) {
			l.conceal(value.Line, value.Value)
		}
	}
	slices.SortFunc(*h.into, func(a, b HeaderField) int { return strings.Compare(a.Name, b.Name) })
}

func (h headerFields) absent() { *h.into = nil }

func (headerFields) schema() *Schema {
	return &Schema{Type: typeObject, MinKeys: 1, More: &Schema{Type: typeText, MinLength: 1}}
}

// placedEndpoint is an endpoint that was read, and where its functions are
// named.
type placedEndpoint struct {
	endpoint *Endpoint
	path     string
	pos      Pos
}

// checkVersions reports functions that several endpoints have and that are not
// shared by weight.
func (l *loader) checkVersions() {
	for _, functions := range slices.SortedFunc(maps.Keys(l.endpoints), func(a, b Pattern) int { return strings.Compare(a.String(), b.String()) }) {
		list := l.endpoints[functions]
		sum, weighted := 0, 0
		for i, e := range list {
			if w := e.endpoint.Weight; w != nil {
				sum += *w
				weighted++
			}
			for _, other := range list[:i] {
				if sameVersion(e.endpoint, other.endpoint) {
					l.atEndpoint(e, "give it another URL, or a header of its own",
						"this version of %s has the URL and the header of the one at %s", functions, other.pos)
				}
			}
		}
		switch {
		case weighted == len(list) && sum == 0:
			l.atEndpoint(list[0], "", "no version of %s has any weight, so none is called", functions)
		case len(list) > 1 && weighted < len(list):
			for _, e := range list[1:] {
				l.atEndpoint(e, "to have several versions side by side, give each a weight", "function %s is declared already, at %s", functions, list[0].pos)
			}
		}
	}
}

func sameVersion(a, b *Endpoint) bool {
	return a.Weight != nil && b.Weight != nil && a.URLTemplate != "" && a.URLTemplate == b.URLTemplate && slices.Equal(a.Header, b.Header)
}

func (l *loader) atEndpoint(e placedEndpoint, hint, format string, args ...any) {
	l.errors++
	l.found = append(l.found, Diagnostic{
		File: e.pos.File, Line: e.pos.Line, Column: e.pos.Column, Severity: Error, Key: e.path, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}
