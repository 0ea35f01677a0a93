package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
)

// Errors of the dead letters' ports.
var (
	// ErrAlreadyReplayed means that a dead letter was replayed before.
	ErrAlreadyReplayed = errors.New("already replayed")
	// ErrUnknownFunction means that no function serves an address.
	ErrUnknownFunction = errors.New("unknown function")
	// ErrBadType means that a value's type is missing or wrong.
	ErrBadType = errors.New("bad type")
)

// DeadLetters reads the messages that were given up.
type DeadLetters interface {
	// DeadLetters returns a page, the oldest letters first, and the cursor of
	// the next one, which is empty at the end. A page may have fewer letters
	// than asked for although there is a next one.
	DeadLetters(ctx context.Context, q DeadLetterQuery) (letters []DeadLetter, next string, err error)
	// DeadLetter returns one, or ErrNotFound.
	DeadLetter(ctx context.Context, id string) (DeadLetter, error)
}

// DeadLetterDesk sends dead letters on their way again, or away.
type DeadLetterDesk interface {
	// ReplayDeadLetter sends the message once more, to its target's mailbox,
	// with the caller it had; or returns ErrAlreadyReplayed, ErrNotFound,
	// ErrUnknownFunction, ErrBadType, ErrTooLarge or actor.ErrBadAddress, and
	// has done nothing.
	ReplayDeadLetter(ctx context.Context, id string) (DeadLetter, error)
	// ReplayDeadLetters does so with a page of them. Those of one address go
	// in their order.
	ReplayDeadLetters(ctx context.Context, q DeadLetterQuery) (ReplayedPage, error)
	// DropDeadLetter removes one for ever, or returns ErrNotFound.
	DropDeadLetter(ctx context.Context, id string) error
	// DropDeadLetters removes all of a function (zero: of all functions) that
	// are there when it is called.
	DropDeadLetters(ctx context.Context, function actor.TypeName) (int, error)
}

// DeadLetterQuery selects a page of dead letters.
type DeadLetterQuery struct {
	Function actor.TypeName // zero: all
	After    string         // a cursor, or a letter's id; empty: from the start
	Until    string         // ReplayedPage's; empty: what is there now
	Limit    int            // at most so many
	Replayed *bool          // only those that were replayed, or were not; nil: all
}

// DeadLetter is a message that was given up, as clients see it.
type DeadLetter struct {
	ID         string  `json:"id"`
	Address    string  `json:"address"`
	Caller     string  `json:"caller,omitempty"`
	Type       string  `json:"type"`
	Value      []byte  `json:"value"`          // base64 in JSON
	Text       *string `json:"text,omitempty"` // of a built-in type; nil: of another
	Reason     string  `json:"reason"`
	Error      string  `json:"error"`
	HTTPStatus int     `json:"httpStatus,omitempty"`
	Attempts   int     `json:"attempts"`
	FirstAt    string  `json:"firstAt"` // RFC 3339
	LastAt     string  `json:"lastAt"`
	Endpoint   string  `json:"endpoint,omitempty"`
	TraceID    string  `json:"traceId"`
	ReplayedAt string  `json:"replayedAt,omitempty"`
	// ValueBytes is how long the value was, if it was too long to be kept.
	ValueBytes int `json:"valueBytes,omitempty"`
}

// describe fills in what can be derived.
func (d *DeadLetter) describe() {
	if d.Value == nil {
		d.Value = []byte{} // "" rather than null
	}
	if text, ok := wire.Text(d.Type, d.Value); ok && d.ValueBytes == 0 {
		d.Text = &text
	}
}

// ReplayedPage is what became of a page of dead letters.
type ReplayedPage struct {
	Replayed int             `json:"replayed"`
	Skipped  int             `json:"skipped"` // replayed before
	Failed   []UnreplayedOne `json:"failed"`
	Next     string          `json:"next,omitempty"` // cursor of the next page
	Until    string          `json:"until"`          // of all pages, so that what is given up again isn't replayed again
}

// UnreplayedOne is a dead letter that can't be replayed.
type UnreplayedOne struct {
	ID     string `json:"id"`
	Reason string `json:"reason"` // a problem's slug
	Error  string `json:"error"`
}

// Unreplayed tells why the letter called id could not be replayed.
func Unreplayed(id string, err error) UnreplayedOne {
	p := problemOf(err, true)
	return UnreplayedOne{ID: id, Reason: p.Type[len(problemPrefix):], Error: p.Detail}
}

// dlqRoutes are the table's lines for dead letters.
func (a *api) dlqRoutes() []route {
	if a.DeadLetters == nil || a.DeadLetterDesk == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/dlq", role: RoleRead, serve: fixed(a.serveDeadLetters)},
		{method: http.MethodDelete, path: "/v1/dlq", role: RoleAdmin, serve: fixed(a.serveDropAll)},
		{method: http.MethodPost, path: "/v1/dlq/replay", role: RoleAdmin, serve: fixed(a.serveReplayPage)},
		{method: http.MethodGet, path: "/v1/dlq/{id}", role: RoleRead, serve: a.serveDeadLetter},
		{method: http.MethodDelete, path: "/v1/dlq/{id}", role: RoleAdmin, serve: a.serveDrop},
		{method: http.MethodPost, path: "/v1/dlq/{id}/replay", role: RoleAdmin, serve: a.serveReplay},
	}
}

func (a *api) serveDeadLetters(w http.ResponseWriter, r *http.Request) {
	q, p := letterQuery(r)
	if p != nil {
		p.write(w, r)
		return
	}
	letters, next, err := a.DeadLetters.DeadLetters(r.Context(), q)
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	page := letterPage{letters, next}
	if page.Items == nil {
		page.Items = []DeadLetter{}
	}
	for i := range page.Items {
		page.Items[i].describe()
	}
	writeJSON(w, http.StatusOK, "application/json", page)
}

// letterPage is the answer to a listing.
type letterPage struct {
	Items []DeadLetter `json:"items"`
	Next  string       `json:"next,omitempty"`
}

// letterQuery reads a page's parameters.
func letterQuery(r *http.Request) (q DeadLetterQuery, p *Problem) {
	values := r.URL.Query()
	q.After, q.Until = values.Get("after"), values.Get("until")
	if q.Function, p = functionOf(values); p != nil {
		return q, p
	}
	if text := values.Get("replayed"); text != "" {
		replayed, err := strconv.ParseBool(text)
		if err != nil {
			return q, problem(badRequest, fmt.Sprintf("replayed %q is neither true nor false", text))
		}
		q.Replayed = &replayed
	}
	q.Limit, p = limitOf(r)
	return q, p
}

func functionOf(values url.Values) (actor.TypeName, *Problem) {
	text := values.Get("function")
	if text == "" {
		return actor.TypeName{}, nil
	}
	t, err := actor.ParseTypeName(text)
	if err != nil {
		return t, problem(badRequest, "function: "+err.Error())
	}
	return t, nil
}

// selected is functionOf for what changes something: all has to be said.
func selected(values url.Values) (actor.TypeName, *Problem) {
	t, p := functionOf(values)
	if all := values.Get("all") == "true"; p == nil && t.IsZero() != all {
		p = problem(badRequest, "say which dead letters: function=<namespace>/<type>, or all=true")
	}
	return t, p
}

func (a *api) serveDeadLetter(w http.ResponseWriter, r *http.Request, raw []string) {
	id, p := idOf(raw)
	if p != nil {
		p.write(w, r)
		return
	}
	letter, err := a.DeadLetters.DeadLetter(r.Context(), id)
	a.answerLetter(w, r, &letter, err, false)
}

func (a *api) serveReplay(w http.ResponseWriter, r *http.Request, raw []string) {
	id, p := idOf(raw)
	if p != nil {
		p.write(w, r)
		return
	}
	letter, err := a.DeadLetterDesk.ReplayDeadLetter(r.Context(), id)
	a.answerLetter(w, r, &letter, err, true)
}

func (a *api) answerLetter(w http.ResponseWriter, r *http.Request, letter *DeadLetter, err error, write bool) {
	if err != nil {
		a.fail(w, r, problemOf(err, write), actor.Address{})
		return
	}
	letter.describe()
	writeJSON(w, http.StatusOK, "application/json", letter)
}

func (a *api) serveReplayPage(w http.ResponseWriter, r *http.Request) {
	q, p := letterQuery(r)
	if p == nil {
		_, p = selected(r.URL.Query())
	}
	if p != nil {
		p.write(w, r)
		return
	}
	page, err := a.DeadLetterDesk.ReplayDeadLetters(r.Context(), q)
	if err != nil {
		a.fail(w, r, problemOf(err, true), actor.Address{})
		return
	}
	if page.Failed == nil {
		page.Failed = []UnreplayedOne{}
	}
	writeJSON(w, http.StatusOK, "application/json", page)
}

// dropped is the answer to a removal.
type dropped struct {
	Dropped int `json:"dropped"`
}

func (a *api) serveDrop(w http.ResponseWriter, r *http.Request, raw []string) {
	id, p := idOf(raw)
	if p != nil {
		p.write(w, r)
		return
	}
	if err := a.DeadLetterDesk.DropDeadLetter(r.Context(), id); err != nil {
		a.fail(w, r, problemOf(err, true), actor.Address{})
		return
	}
	writeJSON(w, http.StatusOK, "application/json", dropped{1})
}

func (a *api) serveDropAll(w http.ResponseWriter, r *http.Request) {
	function, p := selected(r.URL.Query())
	if p != nil {
		p.write(w, r)
		return
	}
	n, err := a.DeadLetterDesk.DropDeadLetters(r.Context(), function)
	if err != nil {
		a.fail(w, r, problemOf(err, true), actor.Address{})
		return
	}
	writeJSON(w, http.StatusOK, "application/json", dropped{n})
}

// idOf reads a dead letter's id from its path segment.
func idOf(raw []string) (string, *Problem) {
	id, err := url.PathUnescape(raw[0])
	if err != nil || id == "" {
		return "", problem(notFound, fmt.Sprintf("%q is no dead letter's id", raw[0]))
	}
	return id, nil
}
