package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/jetfn/jetfn/actor"
)

// rawSegments returns the segments of the request's path, still encoded and
// just as they were sent: nothing is cleaned, since an id may hold dots,
// slashes and empty steps.
func rawSegments(r *http.Request) []string {
	path := r.RequestURI
	if path == "" { // not from a server
		path = r.URL.EscapedPath()
	}
	path, _, _ = strings.Cut(path, "?")
	if _, rest, absolute := strings.Cut(path, "://"); absolute && path[0] != '/' { // http://host/path
		_, path, _ = strings.Cut(rest, "/")
	} else {
		path = strings.TrimPrefix(path, "/")
	}
	return strings.Split(path, "/")
}

// addressOf reads an address of three encoded segments.
func addressOf(raw []string) (actor.Address, *Problem) {
	parts, p := decode(raw, "<namespace>/<type>/<id>")
	if p != nil {
		return actor.Address{}, p
	}
	a := actor.Address{Type: actor.TypeName{Namespace: parts[0], Name: parts[1]}, ID: parts[2]}
	if err := a.Check(); err != nil {
		return a, problem(badAddress, err.Error())
	}
	return a, nil
}

// typeOf reads a type name of two encoded segments.
func typeOf(raw []string) (actor.TypeName, *Problem) {
	parts, p := decode(raw, "<namespace>/<type>")
	if p != nil {
		return actor.TypeName{}, p
	}
	return actor.TypeName{Namespace: parts[0], Name: parts[1]}, nil
}

// decode decodes each segment once. There must be as many as form has, and
// none may be empty.
func decode(raw []string, form string) ([]string, *Problem) {
	if want := strings.Count(form, "/") + 1; len(raw) != want {
		return nil, problem(badAddress, fmt.Sprintf("the path has %d segments where %s is expected; write a slash inside a part as %%2F", len(raw), form))
	}
	parts := make([]string, len(raw))
	for i, segment := range raw {
		part, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return nil, problem(badAddress, fmt.Sprintf("path segment %q: %v; write a per cent sign as %%25", segment, err))
		case part == "":
			return nil, problem(badAddress, fmt.Sprintf("part %d of %s is empty", i+1, form))
		case !utf8.ValidString(part):
			return nil, problem(badAddress, fmt.Sprintf("path segment %q is not valid UTF-8", segment))
		}
		parts[i] = part
	}
	return parts, nil
}
