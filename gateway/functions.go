package gateway

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// Pauses stops the calls of function types and addresses, and lets them go on.
type Pauses interface {
	// Paused reports whether what k names gets no calls, for whatever reason.
	Paused(k actor.PauseKey) bool
	// AllPaused are the types, namespaces as ns/*, and addresses that are
	// paused themselves, sorted.
	AllPaused() []Pause
	// SetPaused pauses or resumes what k names, durably. When it returns nil, no
	// call of what is paused begins any more; those under way come to their end.
	SetPaused(ctx context.Context, k actor.PauseKey, paused bool) error
	// Backlog counts the messages that wait or are being handled, by type.
	Backlog(ctx context.Context) (map[actor.TypeName]int, error)
}

// Pause is something that is paused, and why.
type Pause struct {
	Key   actor.PauseKey
	At    int64             // Unix milliseconds; zero: not known
	Cause *actor.PauseCause // nil: an operator has paused it
}

// PauseInfo is a Pause as operators see it.
type PauseInfo struct {
	Since      string `json:"since,omitempty"`
	By         string `json:"by"`                // "operator" or "failure"
	Address    string `json:"address,omitempty"` // the one paused, or whose message failed
	Reason     string `json:"reason,omitempty"`
	Error      string `json:"error,omitempty"`
	HTTPStatus int    `json:"httpStatus,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"`
	Attempts   int    `json:"attempts,omitempty"`
	FirstAt    string `json:"firstAt,omitempty"`
	LastAt     string `json:"lastAt,omitempty"`
}

func (p *Pause) info() PauseInfo {
	out := PauseInfo{Since: timeText(p.At), By: "operator"}
	if !p.Key.Whole {
		out.Address = p.Key.String()
	}
	if c := p.Cause; c != nil {
		out.By, out.Reason, out.Error = "failure", c.Reason, c.Error
		if !c.Address.IsZero() {
			out.Address = c.Address.String()
		}
		out.HTTPStatus, out.Endpoint, out.Attempts = c.HTTPStatus, c.Endpoint, c.Attempts
		out.FirstAt, out.LastAt = timeText(c.FirstAt), timeText(c.LastAt)
	}
	return out
}

// timeText is a time in Unix milliseconds; empty if it isn't known.
func timeText(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// functionRoutes are the table's lines for functions.
func (a *api) functionRoutes() []route {
	table := []route{{method: http.MethodGet, path: "/v1/functions", role: RoleRead, serve: fixed(a.serveFunctions)}}
	if a.Pauses == nil {
		return table
	}
	return append(table,
		route{method: http.MethodGet, path: "/v1/functions/{namespace}/{type}/paused", role: RoleRead, serve: a.servePaused},
		route{method: http.MethodPost, path: "/v1/functions/{namespace}/{type}/pause", role: RoleAdmin, serve: a.servePause(true)},
		route{method: http.MethodPost, path: "/v1/functions/{namespace}/{type}/resume", role: RoleAdmin, serve: a.servePause(false)},
		route{method: http.MethodPost, path: "/v1/functions/{namespace}/{type}/{id}/pause", role: RoleAdmin, serve: a.servePause(true)},
		route{method: http.MethodPost, path: "/v1/functions/{namespace}/{type}/{id}/resume", role: RoleAdmin, serve: a.servePause(false)},
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
	tell := newTelling(ctx, a.Pauses)
	tell.circuits = a.Circuits
	rest := tell.besides(list)
	var out []FunctionInfo
	for _, f := range list {
		t, err := actor.ParseTypeName(f.Type)
		if err != nil {
			out = append(out, f)
			continue
		}
		out = append(out, tell.of(f, t))
		for _, one := range rest {
			if t.Name == actor.AnyName && one.Namespace == t.Namespace {
				g := f
				g.Type = one.String()
				out = append(out, tell.of(g, one))
			}
		}
	}
	return out
}

// telling is what there is to tell of functions besides what modules declare.
type telling struct {
	backlog   map[actor.TypeName]int
	counted   bool
	types     map[actor.TypeName]*Pause
	addresses map[actor.TypeName]int // paused ones
	circuits  Circuits
}

func newTelling(ctx context.Context, from Pauses) *telling {
	t := &telling{types: map[actor.TypeName]*Pause{}, addresses: map[actor.TypeName]int{}}
	backlog, err := from.Backlog(ctx)
	t.backlog, t.counted = backlog, err == nil
	list := from.AllPaused()
	for i := range list {
		if p := &list[i]; p.Key.Whole {
			t.types[p.Key.Address.Type] = p
		} else {
			t.addresses[p.Key.Address.Type]++
		}
	}
	return t
}

// besides are the types of which there is something to tell, and which list
// doesn't have.
func (t *telling) besides(list []FunctionInfo) []actor.TypeName {
	told := map[actor.TypeName]bool{}
	for name := range t.types {
		told[name] = true
	}
	for name := range t.addresses {
		told[name] = true
	}
	for name := range t.backlog {
		told[name] = true
	}
	for i := range list {
		if name, err := actor.ParseTypeName(list[i].Type); err == nil {
			delete(told, name)
		}
	}
	rest := slices.Collect(maps.Keys(told))
	slices.SortFunc(rest, func(a, b actor.TypeName) int { return strings.Compare(a.String(), b.String()) })
	return rest
}

// of adds to f what there is to tell of t.
func (t *telling) of(f FunctionInfo, name actor.TypeName) FunctionInfo {
	p := t.types[name]
	if p == nil {
		p = t.types[actor.TypeName{Namespace: name.Namespace, Name: actor.AnyName}]
	}
	if p != nil {
		info := p.info()
		f.Paused, f.Pause = true, &info
	}
	f.PausedAddresses = t.addresses[name]
	if t.circuits != nil {
		f.Circuit = t.circuits.Circuit(name, f.Endpoint)
	}
	if n := t.backlog[name]; t.counted && name.Name != actor.AnyName {
		f.Backlog = &n
	}
	return f
}

// pausedPage is a page of paused addresses.
type pausedPage struct {
	Items []PauseInfo `json:"items"`
	Next  string      `json:"next,omitempty"`
}

// servePaused lists the paused addresses of a type.
func (a *api) servePaused(w http.ResponseWriter, r *http.Request, raw []string) {
	t, p := typeOf(raw)
	limit := defaultPage
	if p == nil {
		limit, p = limitOf(r)
	}
	if p == nil && !a.bound(actor.PauseType(t)) {
		p = problem(unknownFunction, fmt.Sprintf("no module binds a function to %s", t))
	}
	if p != nil {
		p.write(w, r)
		return
	}
	after := r.URL.Query().Get("after")
	page, last := pausedPage{Items: []PauseInfo{}}, ""
	list := a.Pauses.AllPaused()
	slices.SortFunc(list, func(a, b Pause) int { return strings.Compare(a.Key.Address.ID, b.Key.Address.ID) })
	for i := range list {
		switch k := list[i].Key; {
		case k.Whole || k.Address.Type != t || k.Address.ID <= after:
		case len(page.Items) == limit:
			page.Next = last
		default:
			page.Items, last = append(page.Items, list[i].info()), k.Address.ID
		}
	}
	writeJSON(w, http.StatusOK, "application/json", page)
}

// pausedAnswer says what holds now.
type pausedAnswer struct {
	Type    string `json:"type"`
	Address string `json:"address,omitempty"`
	Paused  bool   `json:"paused"`
}

func (a *api) servePause(paused bool) func(http.ResponseWriter, *http.Request, []string) {
	return func(w http.ResponseWriter, r *http.Request, raw []string) {
		k, p := pauseKeyOf(raw)
		if p == nil && !a.bound(k) {
			p = problem(unknownFunction, fmt.Sprintf("no module binds a function to %s", k.Address.Type))
		}
		if p != nil {
			p.write(w, r)
			return
		}
		if err := a.Pauses.SetPaused(r.Context(), k, paused); err != nil {
			a.fail(w, r, problemOf(err, true), actor.Address{})
			return
		}
		answer := pausedAnswer{Type: k.Address.Type.String(), Paused: a.Pauses.Paused(k)}
		if !k.Whole {
			answer.Address = k.String()
		}
		writeJSON(w, http.StatusOK, "application/json", answer)
	}
}

// pauseKeyOf reads a type of two encoded segments, or an address of three.
func pauseKeyOf(raw []string) (actor.PauseKey, *Problem) {
	if len(raw) == 2 {
		t, p := typeOf(raw)
		return actor.PauseType(t), p
	}
	address, p := addressOf(raw)
	return actor.PauseAddress(address), p
}

// bound reports whether k is a function of the module, a namespace of one, an
// address of one, or something that is paused.
func (a *api) bound(k actor.PauseKey) bool {
	t := k.Address.Type
	if t.Namespace == ownNamespace {
		return false
	}
	return t.Name != actor.AnyName && a.Functions.Known(t) ||
		k.Whole && slices.ContainsFunc(a.Functions.List(), func(f FunctionInfo) bool { return f.Type == t.String() }) ||
		slices.ContainsFunc(a.Pauses.AllPaused(), func(p Pause) bool { return p.Key == k })
}
