package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Role is what a client has to be to use a route.
type Role string

// The roles. RoleAdmin includes all others; RoleIngress and RoleRead don't
// include each other.
const (
	RolePublic  Role = "public"  // everybody, without credentials
	RoleIngress Role = "ingress" // sends messages and gets the answers to them
	RoleRead    Role = "read"    // looks, and changes nothing
	RoleAdmin   Role = "admin"   // changes what the application has or does
)

// route is one line of the table of everything that the listener answers.
type route struct {
	method string // GET answers HEAD as well
	// path is a template: each part is a word, or a name in braces for a
	// variable, which any single segment of a request's path matches.
	path string
	role Role
	// serve gets the segments that stand for the variables, still encoded.
	serve func(w http.ResponseWriter, r *http.Request, raw []string)
	// probe routes may be called by any host name: they tell nothing and
	// change nothing, and whoever watches processes has names of his own.
	probe bool
}

// routes is the table. What is not in it does not exist.
func (a *api) routes() []route {
	table := []route{
		{method: http.MethodGet, path: "/", role: RolePublic, serve: fixed(a.serveIndex)},
		{method: http.MethodGet, path: "/healthz", role: RolePublic, probe: true, serve: fixed(serveHealth)},
		{method: http.MethodGet, path: "/readyz", role: RolePublic, probe: true, serve: fixed(a.serveReady)},
		{method: http.MethodGet, path: "/openapi.json", role: RolePublic, serve: fixed(a.serveDescription)},
		{method: http.MethodPost, path: "/v1/send/{namespace}/{type}/{id}", role: RoleIngress, serve: a.serveSend},
		{method: http.MethodPost, path: "/v1/call/{namespace}/{type}/{id}", role: RoleIngress, serve: a.serveCall},
		{method: http.MethodGet, path: "/v1/calls/{id}", role: RoleIngress, serve: a.serveCallResult},
		{method: http.MethodGet, path: "/v1/state/{namespace}/{type}", role: RoleRead, serve: a.serveStates},
		{method: http.MethodGet, path: "/v1/state/{namespace}/{type}/{id}", role: RoleRead, serve: a.serveState},
	}
	table = slices.Concat(table, a.functionRoutes(), a.stateEditRoutes(), a.dlqRoutes(), a.timerRoutes(), a.logRoutes(), a.moduleRoutes(), a.overviewRoutes(), a.tailRoutes())
	if a.Metrics != nil {
		table = append(table, route{method: http.MethodGet, path: "/metrics", role: RoleRead, serve: fixed(a.Metrics.ServeHTTP)})
	}
	return table
}

// fixed serves a path without variables.
func fixed(h http.HandlerFunc) func(http.ResponseWriter, *http.Request, []string) {
	return func(w http.ResponseWriter, r *http.Request, _ []string) { h(w, r) }
}

// answers reports whether the route is for this method.
func (rt *route) answers(method string) bool {
	return rt.method == method || rt.method == http.MethodGet && method == http.MethodHead
}

// match reports whether path, as its raw segments, is of the route's form,
// and returns the segments that stand for variables.
func (rt *route) match(path []string) (raw []string, ok bool) {
	parts := rt.parts()
	if len(parts) != len(path) {
		return nil, false
	}
	for i, part := range parts {
		switch {
		case strings.HasPrefix(part, "{"):
			raw = append(raw, path[i])
		case part != path[i]:
			return nil, false
		}
	}
	return raw, true
}

func (rt *route) parts() []string {
	return strings.Split(strings.TrimPrefix(rt.path, "/"), "/")
}

// expects reports whether path begins with the words before an address in the
// route, and returns the form of what has to follow them.
func (rt *route) expects(path []string) (form string, words int, ok bool) {
	parts := rt.parts()
	words = slices.Index(parts, "{namespace}")
	if words < 1 || len(path) < words || !slices.Equal(parts[:words], path[:words]) {
		return "", 0, false
	}
	form = strings.NewReplacer("{", "<", "}", ">").Replace(strings.Join(parts[words:], "/"))
	return form, words, true
}

// find returns the route for a request and the segments that stand for its
// variables, or why there is none.
func (a *api) find(r *http.Request) (*route, []string, *Problem) {
	path := rawSegments(r)
	var allowed []string
	for i := range a.table {
		rt := &a.table[i]
		raw, ok := rt.match(path)
		if ok && rt.answers(r.Method) {
			return rt, raw, nil
		}
		if ok {
			allowed = append(allowed, rt.allows()...)
		}
	}
	if len(allowed) > 0 {
		allow := strings.Join(allowed, ", ")
		p := problem(badMethod, fmt.Sprintf("%s is not allowed here, use %s", r.Method, allow))
		p.allow = allow
		return nil, nil, p
	}
	return nil, nil, a.nothing(r, path)
}

// allows are the methods that the route answers.
func (rt *route) allows() []string {
	if rt.method == http.MethodGet {
		return []string{http.MethodGet, http.MethodHead}
	}
	return []string{rt.method}
}

// nothing says what is wrong with a path that no route has: most often an
// address has too few parts or too many. A slash behind the path of another
// route begins none.
func (a *api) nothing(r *http.Request, path []string) *Problem {
	var forms []string
	given := 0
	for i := range a.table {
		rt := &a.table[i]
		if last := len(path) - 1; path[last] == "" && slices.Equal(rt.parts(), path[:last]) {
			forms = nil
			break
		}
		if form, words, ok := rt.expects(path); ok && rt.answers(r.Method) {
			forms, given = append(forms, form), len(path)-words
		}
	}
	if len(forms) > 0 {
		return problem(badAddress, fmt.Sprintf("the path has %d segments where %s is expected; write a slash inside a part as %%2F",
			given, strings.Join(forms, " or ")))
	}
	return problem(notFound, fmt.Sprintf("there is nothing at %q; GET / lists what is there", r.URL.Path))
}
