package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
)

// Bounds of a listing's page.
const (
	defaultPage = 100
	maxPage     = 1000
)

// AddressState is the state of one address as clients see it.
type AddressState struct {
	Address   string                `json:"address"`
	Partition int                   `json:"partition"`
	Revision  uint64                `json:"revision"` // number of the commit that changed it last
	Values    map[string]NamedValue `json:"values"`
}

// NamedValue is one value of an AddressState.
type NamedValue struct {
	Type      string  `json:"type"`
	Value     []byte  `json:"value"`               // base64 in JSON
	Text      *string `json:"text,omitempty"`      // of a built-in type; nil: of another
	WrittenAt int64   `json:"writtenAt"`           // Unix milliseconds
	ExpiresAt int64   `json:"expiresAt,omitempty"` // Unix milliseconds; zero: never
}

// NewAddressState is the state of a as view has it.
func NewAddressState(a actor.Address, view actor.StateView) AddressState {
	return addressState(a, view)
}

func addressState(a actor.Address, view actor.StateView) AddressState {
	out := AddressState{
		Address: a.String(), Partition: view.Partition, Revision: view.Commit,
		Values: make(map[string]NamedValue, len(view.State)),
	}
	for i := range view.State {
		s := &view.State[i]
		v := NamedValue{Type: s.Value.Type, Value: s.Value.Data, WrittenAt: s.WrittenAt, ExpiresAt: s.ExpiresAt}
		if v.Value == nil {
			v.Value = []byte{} // "" rather than null
		}
		if text, ok := wire.Text(v.Type, v.Value); ok {
			v.Text = &text
		}
		out.Values[s.Name] = v
	}
	return out
}

func (a *api) serveState(w http.ResponseWriter, r *http.Request, raw []string) {
	target, p := addressOf(raw)
	if p != nil {
		a.fail(w, r, p, target)
		return
	}
	if r.URL.Query().Has("table") {
		a.serveEntries(w, r, target)
		return
	}
	view, err := a.States.State(r.Context(), target)
	if err == nil && len(view.State) == 0 {
		err = ErrNotFound
	}
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, actor.ErrNotFound):
		a.fail(w, r, problem(notFound, "the address has no state"), target)
	case err != nil:
		a.fail(w, r, problemOf(err, false), target)
	default:
		a.answerState(w, r, target, &view, nil)
	}
}

// statePage is the answer to a listing.
type statePage struct {
	Items []AddressState `json:"items"`
	Next  string         `json:"next,omitempty"`
}

func (a *api) serveStates(w http.ResponseWriter, r *http.Request, raw []string) {
	typename, p := typeOf(raw)
	limit := defaultPage
	if p == nil {
		limit, p = limitOf(r)
	}
	if p != nil {
		p.write(w, r)
		return
	}
	items, next, err := a.States.States(r.Context(), typename, r.URL.Query().Get("after"), limit)
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	page := statePage{Items: make([]AddressState, len(items)), Next: next}
	for i := range items {
		page.Items[i] = addressState(items[i].Address, items[i].View)
	}
	writeJSON(w, http.StatusOK, jsonType, page)
}

func limitOf(r *http.Request) (int, *Problem) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, problem(badRequest, fmt.Sprintf("limit %q is no number from 1 to %d", text, maxPage))
	}
	return n, nil
}
