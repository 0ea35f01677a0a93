package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
)

// ErrRevision means that a state is another one than the client expects.
var ErrRevision = errors.New("revision conflict")

// StateEditor changes what addresses remember.
type StateEditor interface {
	// EditState has decide change the state of a between two of its calls, and
	// returns the state as changed once that is durable. After an error that
	// isn't ErrUnknown nothing has changed.
	EditState(ctx context.Context, a actor.Address, decide actor.Edit) (actor.StateView, error)
	// DeclaredType is the type that the function t declared for a state; empty
	// if that isn't known.
	DeclaredType(t actor.TypeName, state string) string
}

// stateEditRoutes are the table's lines for changes of states.
func (a *api) stateEditRoutes() []route {
	if a.StateEditor == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/state/{namespace}/{type}/{id}/{name}", role: RoleRead, serve: a.serveStateValue},
		{method: http.MethodDelete, path: "/v1/state/{namespace}/{type}/{id}", role: RoleAdmin, serve: a.serveStateRemoval},
		{method: http.MethodPut, path: "/v1/state/{namespace}/{type}/{id}/{name}", role: RoleAdmin, serve: a.serveStateChange},
		{method: http.MethodDelete, path: "/v1/state/{namespace}/{type}/{id}/{name}", role: RoleAdmin, serve: a.serveStateRemoval},
	}
}

// stateEdit is a request to change a state.
type stateEdit struct {
	target   actor.Address
	name     string // empty: all
	revision revision
}

// revision is what If-Match says.
type revision struct {
	given, any bool
	number     uint64
}

func (a *api) stateEdit(r *http.Request, raw []string) (e stateEdit, p *Problem) {
	if e.target, p = addressOf(raw[:3]); p != nil {
		return e, p
	}
	if e.target.Type.Namespace == ownNamespace {
		return e, problem(badAddress, fmt.Sprintf("%s is a function of jetfn's own", e.target.Type))
	}
	if len(raw) > 3 {
		parts, p := decode(raw[3:], "<name>")
		if p != nil {
			return e, p
		}
		e.name = parts[0]
		if p := a.checkEntry(&e); p != nil {
			return e, p
		}
	}
	e.revision, p = revisionOf(r)
	return e, p
}

// ownNamespace is that of jetfn's own functions.
const ownNamespace = "jetfn"

func revisionOf(r *http.Request) (revision, *Problem) {
	text := strings.TrimSpace(r.Header.Get("If-Match"))
	switch text {
	case "":
		return revision{}, nil
	case "*":
		return revision{given: true, any: true}, nil
	}
	n, err := strconv.ParseUint(strings.Trim(strings.TrimPrefix(text, "W/"), `"`), 10, 64)
	if err != nil {
		return revision{}, problem(badRequest, fmt.Sprintf("If-Match %q is no revision; write the number that GET answered, or *", text))
	}
	return revision{given: true, number: n}, nil
}

// check compares the revision that the client expects. Revision 0 is that of
// an address without state.
func (v revision) check(view *actor.StateView) error {
	now := revisionText(view)
	switch {
	case !v.given, v.any && len(view.State) > 0, !v.any && strconv.FormatUint(v.number, 10) == now:
		return nil
	case v.any:
		return fmt.Errorf("%w: the address has no state", ErrRevision)
	}
	return fmt.Errorf("%w: the state has revision %s, not %d; look at it again", ErrRevision, now, v.number)
}

// revisionText is the revision of a state: the number of the commit that
// changed it last.
func revisionText(view *actor.StateView) string {
	if len(view.State) == 0 {
		return "0"
	}
	return strconv.FormatUint(view.Commit, 10)
}

func (a *api) serveStateChange(w http.ResponseWriter, r *http.Request, raw []string) {
	e, p := a.stateEdit(r, raw)
	if p == nil {
		p = known(a.Functions, e.target)
	}
	var given givenValue
	if p == nil {
		given, p = a.givenValue(w, r, e)
	}
	if p != nil {
		a.fail(w, r, p, e.target)
		return
	}
	if e.entry() {
		view, err := a.editEntry(r.Context(), &e, &given)
		a.answerState(w, r, e.target, &view, err)
		return
	}
	view, err := a.StateEditor.EditState(r.Context(), e.target, func(v actor.StateView, now int64) (actor.Edited, error) {
		if err := e.revision.check(&v); err != nil {
			return actor.Edited{}, err
		}
		old, had := v.State.Get(e.name)
		value, err := given.as(e.name, old.Value.Type)
		m := actor.Mutation{Name: e.name, Value: value}
		if had && old.ExpiresAt > now {
			m.ExpireAfter = time.Duration(old.ExpiresAt-now) * time.Millisecond
		}
		return actor.Edited{Mutations: []actor.Mutation{m}}, err
	})
	a.answerState(w, r, e.target, &view, err)
}

func (a *api) serveStateRemoval(w http.ResponseWriter, r *http.Request, raw []string) {
	e, p := a.stateEdit(r, raw)
	if p != nil {
		a.fail(w, r, p, e.target)
		return
	}
	if e.entry() {
		view, err := a.editEntry(r.Context(), &e, nil)
		a.answerState(w, r, e.target, &view, err)
		return
	}
	view, err := a.StateEditor.EditState(r.Context(), e.target, func(v actor.StateView, _ int64) (actor.Edited, error) {
		if err := e.revision.check(&v); err != nil {
			return actor.Edited{}, err
		}
		var change actor.Edited
		for i := range v.State {
			if name := v.State[i].Name; e.name == "" || e.name == name {
				change.Mutations = append(change.Mutations, actor.Mutation{Name: name, Delete: true})
			}
		}
		if len(change.Mutations) == 0 {
			return change, fmt.Errorf("%w: the address has no such state", ErrNotFound)
		}
		return change, nil
	})
	a.answerState(w, r, e.target, &view, err)
}

func (a *api) answerState(w http.ResponseWriter, r *http.Request, target actor.Address, view *actor.StateView, err error) {
	if err != nil {
		a.fail(w, r, problemOf(err, true), target)
		return
	}
	w.Header().Set("Etag", strconv.Quote(revisionText(view)))
	writeJSON(w, http.StatusOK, "application/json", addressState(target, *view))
}

// givenValue is a value as a client wrote it, whose type may be that of the
// value that it replaces.
type givenValue struct {
	typename    string // empty: not said
	contentType string
	body        []byte
	declared    string // by the function; empty: not known
}

func (a *api) givenValue(w http.ResponseWriter, r *http.Request, e stateEdit) (givenValue, *Problem) {
	given := givenValue{
		typename: r.Header.Get("Jetfn-Type"), contentType: r.Header.Get("Content-Type"),
		declared: a.StateEditor.DeclaredType(e.target.Type, e.name),
	}
	if given.typename == "" {
		given.typename = r.URL.Query().Get("valueType")
	}
	if !utf8.ValidString(given.typename) {
		return given, problem(badType, fmt.Sprintf("the type name %q is not valid UTF-8", given.typename))
	}
	if name, ok := strings.CutPrefix(given.contentType, vendorPrefix); ok && given.typename == "" {
		given.typename = name
	}
	var p *Problem
	given.body, p = bodyOf(w, r, a.MaxBodyBytes)
	return given, p
}

const vendorPrefix = "application/vnd."

// as is the value for a state that has the type old; empty: it has no value.
func (g *givenValue) as(name, old string) (actor.Value, error) {
	typename := g.typename
	switch {
	case typename != "":
	case old != "":
		typename = old
	case g.declared != "":
		typename = g.declared
	}
	if g.declared != "" && typename != g.declared {
		return actor.Value{}, fmt.Errorf("%w: the function declares state %q with the type %s, not %s", ErrBadType, name, g.declared, typename)
	}
	if typename == "" {
		value, bad := actor.ValueFrom("", g.contentType, g.body)
		if bad != nil {
			return value, fmt.Errorf("%w: %s", ErrBadType, bad.Detail)
		}
		return value, nil
	}
	data := g.body
	if g.typename == "" && g.isText() {
		encoded, err := wire.FromText(typename, string(g.body))
		switch {
		case err == nil:
			data = encoded
		case !errors.Is(err, wire.ErrNotBuiltin):
			return actor.Value{}, fmt.Errorf("%w: %w", ErrBadType, err)
		}
	}
	if _, ok := wire.Text(typename, data); !ok && wire.Builtin(typename) {
		return actor.Value{}, fmt.Errorf("%w: the bytes are no %s; send text without a type, or its protobuf message", ErrBadType, typename)
	}
	return actor.Value{Type: typename, Data: data}, nil
}

// isText reports whether the client wrote text, and not the bytes of a value.
func (g *givenValue) isText() bool {
	media, _, _ := strings.Cut(g.contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "text/plain"
}
