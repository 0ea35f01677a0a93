package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// Tables are the entries of addresses' tables.
type Tables interface {
	// Entries returns up to limit entries of a table of a, or of all its
	// tables, in the order of their keys, from behind the one called after,
	// and the cursor of the next page, which is empty at the end.
	Entries(ctx context.Context, a actor.Address, table, after string, limit int) (actor.StateView, string, error)
	// Entry returns the state of a with one entry.
	Entry(ctx context.Context, a actor.Address, name string) (actor.StateView, error)
	// EditEntry is what sets an entry to a value, or removes it where that is
	// nil, in a table that otherwise stays as it is; an actor.Edit may return
	// it, and its error.
	EditEntry(ctx context.Context, v actor.StateView, a actor.Address, entry string, value *actor.Value, lives time.Duration) (actor.Edited, error)
}

// entryPage is the answer to a listing of entries.
type entryPage struct {
	AddressState
	Next string `json:"next,omitempty"`
}

// serveEntries answers GET of a state with ?table=.
func (a *api) serveEntries(w http.ResponseWriter, r *http.Request, target actor.Address) {
	limit, p := limitOf(r)
	table, after := r.URL.Query().Get("table"), r.URL.Query().Get("after")
	switch {
	case p != nil:
	case a.Tables == nil:
		p = problem(unsupported, "tables are not supported here")
	case after != "" && !actor.IsEntry(after):
		p = problem(badRequest, fmt.Sprintf("after %q is no entry; write the next of the page before", after))
	}
	if p != nil {
		a.fail(w, r, p, target)
		return
	}
	if table == "*" {
		table = ""
	}
	view, next, err := a.Tables.Entries(r.Context(), target, table, after, limit)
	if err != nil {
		a.fail(w, r, problemOf(err, false), target)
		return
	}
	writeJSON(w, http.StatusOK, jsonType, entryPage{addressState(target, view), next})
}

// serveStateValue answers GET of one state, or of one entry.
func (a *api) serveStateValue(w http.ResponseWriter, r *http.Request, raw []string) {
	e, p := a.stateEdit(r, raw)
	if p != nil {
		a.fail(w, r, p, e.target)
		return
	}
	var view actor.StateView
	var err error
	if e.entry() {
		view, err = a.Tables.Entry(r.Context(), e.target, e.name)
	} else {
		view, err = a.States.State(r.Context(), e.target)
	}
	if err == nil {
		view = e.only(view)
		if len(view.State) == 0 {
			err = fmt.Errorf("%w: the address has no state %q", ErrNotFound, e.name)
		}
	}
	if err != nil {
		a.fail(w, r, problemOf(err, false), e.target)
		return
	}
	a.answerState(w, r, e.target, &view, nil)
}

// entry reports whether the edit is about an entry of a table.
func (e *stateEdit) entry() bool { return actor.IsEntry(e.name) }

// only is the view with the value of the edit's name and, of an entry, its
// revision.
func (e *stateEdit) only(v actor.StateView) actor.StateView {
	out := v
	out.State, out.Entries = nil, nil
	if value, ok := v.State.Get(e.name); ok {
		out.State = actor.State{value}
	}
	for i := range v.Entries {
		if v.Entries[i].Name == e.name {
			out.Commit = v.Entries[i].Commit
		}
	}
	return out
}

// editEntry sets an entry of a table, or removes it where given is nil.
func (a *api) editEntry(ctx context.Context, e *stateEdit, given *givenValue) (actor.StateView, error) {
	view, err := a.StateEditor.EditState(ctx, e.target, func(v actor.StateView, now int64) (actor.Edited, error) {
		old, there := v.State.Get(e.name)
		only := e.only(v)
		switch {
		case !hasEntry(&v, e.name):
			return actor.Edited{}, &actor.MissingEntries{Names: []string{e.name}}
		case given == nil && !there:
			return actor.Edited{}, fmt.Errorf("%w: the address has no entry %q", ErrNotFound, e.name)
		}
		if err := e.revision.check(&only); err != nil {
			return actor.Edited{}, err
		}
		if given == nil {
			return a.Tables.EditEntry(ctx, v, e.target, e.name, nil, 0)
		}
		value, err := given.as(e.name, old.Value.Type)
		if err != nil {
			return actor.Edited{}, err
		}
		lives := time.Duration(0)
		if there && old.ExpiresAt > now {
			lives = time.Duration(old.ExpiresAt-now) * time.Millisecond
		}
		return a.Tables.EditEntry(ctx, v, e.target, e.name, &value, lives)
	})
	return e.only(view), err
}

func hasEntry(v *actor.StateView, name string) bool {
	for i := range v.Entries {
		if v.Entries[i].Name == name {
			return true
		}
	}
	return false
}

// checkEntry refuses the name of an entry that can't be.
func (a *api) checkEntry(e *stateEdit) *Problem {
	if !e.entry() {
		return nil
	}
	if a.Tables == nil {
		return problem(unsupported, "tables are not supported here")
	}
	table := tableOf(e.name)
	if table == "" || len(e.name) == len(table)+1 {
		return problem(badRequest, "the name of an entry is <table>/<key>, neither of them empty: "+strconv.Quote(e.name))
	}
	return nil
}
