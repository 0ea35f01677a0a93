package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// Pauses stops the calls of function types, and lets them go on.
type Pauses interface {
	// Paused reports whether t gets no calls.
	Paused(t actor.TypeName) bool
	// PausedTypes are the types that were paused, and namespaces as ns/*.
	PausedTypes() []actor.TypeName
	// SetPaused pauses or resumes t, durably. When it returns nil, no call of a
	// paused type begins any more; those under way come to their end.
	SetPaused(ctx context.Context, t actor.TypeName, paused bool) error
	// Backlog counts the messages that wait or are being handled, by type.
	Backlog(ctx context.Context) (map[actor.TypeName]int, error)
}

// functionRoutes are the table's lines for functions.
func (a *api) functionRoutes() []route {
	table := []route{{method: http.MethodGet, path: "/v1/functions", role: RoleRead, serve: fixed(a.serveFunctions)}}
	if a.Pauses == nil {
		return table
	}
	return append(table,
		route{method: http.MethodPost, path: "/v1/functions/{namespace}/{type}/pause", role: RoleAdmin, serve: a.servePause(true)},
		route{method: http.MethodPost, path: "/v1/functions/{namespace}/{type}/resume", role: RoleAdmin, serve: a.servePause(false)},
	)
}

func (a *api) serveFunctions(w http.ResponseWriter, r *http.Request) {
	answer := functionList{Items: a.functions(r.Context())}
	if answer.Items == nil {
		answer.Items = []FunctionInfo{}
	}
	writeJSON(w, http.StatusOK, "application/json", answer)
}

// functions are the bindings; a type of a namespace's binding that has
// something to tell of follows it.
func (a *api) functions(ctx context.Context) []FunctionInfo {
	list := a.Functions.List()
	if a.Pauses == nil {
		return list
	}
	backlog, err := a.Pauses.Backlog(ctx)
	counted := err == nil
	told := map[actor.TypeName]bool{}
	for _, t := range a.Pauses.PausedTypes() {
		told[t] = true
	}
	for t := range backlog {
		told[t] = true
	}
	for i := range list {
		if t, err := actor.ParseTypeName(list[i].Type); err == nil {
			delete(told, t)
		}
	}
	rest := make([]actor.TypeName, 0, len(told))
	for t := range told {
		rest = append(rest, t)
	}
	slices.SortFunc(rest, func(a, b actor.TypeName) int { return strings.Compare(a.String(), b.String()) })
	var out []FunctionInfo
	for _, f := range list {
		t, err := actor.ParseTypeName(f.Type)
		if err != nil {
			out = append(out, f)
			continue
		}
		out = append(out, a.told(f, t, backlog, counted))
		for _, one := range rest {
			if t.Name == actor.AnyName && one.Namespace == t.Namespace {
				g := f
				g.Type = one.String()
				out = append(out, a.told(g, one, backlog, counted))
			}
		}
	}
	return out
}

func (a *api) told(f FunctionInfo, t actor.TypeName, backlog map[actor.TypeName]int, counted bool) FunctionInfo {
	f.Paused = a.Pauses.Paused(t)
	if n := backlog[t]; counted && t.Name != actor.AnyName {
		f.Backlog = &n
	}
	return f
}

// pausedAnswer says what holds now.
type pausedAnswer struct {
	Type   string `json:"type"`
	Paused bool   `json:"paused"`
}

func (a *api) servePause(paused bool) func(http.ResponseWriter, *http.Request, []string) {
	return func(w http.ResponseWriter, r *http.Request, raw []string) {
		t, p := typeOf(raw)
		if p == nil && !a.bound(t) {
			p = problem(unknownFunction, fmt.Sprintf("no module binds a function to %s", t))
		}
		if p != nil {
			p.write(w, r)
			return
		}
		if err := a.Pauses.SetPaused(r.Context(), t, paused); err != nil {
			a.fail(w, r, problemOf(err, true), actor.Address{})
			return
		}
		writeJSON(w, http.StatusOK, "application/json", pausedAnswer{t.String(), a.Pauses.Paused(t)})
	}
}

// bound reports whether t is a function of the module, or a namespace of one.
func (a *api) bound(t actor.TypeName) bool {
	if t.Namespace == ownNamespace {
		return false
	}
	return t.Name != actor.AnyName && a.Functions.Known(t) ||
		slices.ContainsFunc(a.Functions.List(), func(f FunctionInfo) bool { return f.Type == t.String() }) ||
		slices.Contains(a.Pauses.PausedTypes(), t)
}
