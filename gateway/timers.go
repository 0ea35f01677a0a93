package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
)

// Timers are the delayed messages that are pending.
type Timers interface {
	// Timers returns a page, those that are due first before the others, and
	// the cursor of the next one, which is empty at the end. A page may have
	// fewer than asked for although there is a next one.
	Timers(ctx context.Context, q TimerQuery) (timers []Timer, next string, err error)
	// Timer returns one, or ErrNotFound.
	Timer(ctx context.Context, id string) (Timer, error)
	// CancelTimer cancels one and returns it once that is durable, or
	// ErrNotFound if it has fired or was cancelled. After an error that isn't
	// ErrUnknown nothing has changed.
	CancelTimer(ctx context.Context, id string) (Timer, error)
}

// TimerQuery selects a page of pending timers.
type TimerQuery struct {
	Function actor.TypeName // of the target; zero: all
	Target   actor.Address  // zero: all
	Caller   actor.Address  // that set them; zero: all
	Token    string         // cancellation token; empty: all
	Before   time.Time      // due before; zero: all
	After    string         // a cursor; empty: from the start
	Limit    int            // at most so many
}

// Matches reports whether a timer is one of those that are asked for.
func (q *TimerQuery) Matches(t *actor.Timer) bool {
	e := &t.Envelope
	return (q.Function.IsZero() || e.Target.Type == q.Function) &&
		(q.Target.IsZero() || e.Target == q.Target) &&
		(q.Caller.IsZero() || e.Caller == q.Caller) &&
		(q.Token == "" || t.Token == q.Token) &&
		(q.Before.IsZero() || t.DueAt < q.Before.UnixMilli())
}

// Timer is a pending delayed message, as clients see it.
type Timer struct {
	ID        string  `json:"id"`
	Address   string  `json:"address"`          // that it goes to
	Caller    string  `json:"caller,omitempty"` // that set it; empty: from outside
	Partition int     `json:"partition"`
	DueAt     string  `json:"dueAt"`           // RFC 3339
	Token     string  `json:"token,omitempty"` // the caller can cancel it by
	Type      string  `json:"type"`
	Value     []byte  `json:"value"`          // base64 in JSON
	Text      *string `json:"text,omitempty"` // of a built-in type; nil: of another
	TraceID   string  `json:"traceId,omitempty"`
}

// NewTimer shows a timer of a partition under an id.
func NewTimer(id string, partition int, t *actor.Timer) Timer {
	out := Timer{
		ID: id, Address: t.Envelope.Target.String(), Partition: partition, Token: t.Token,
		DueAt: time.UnixMilli(t.DueAt).UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Type:  t.Envelope.Value.Type, Value: t.Envelope.Value.Data, TraceID: TraceID(t.Envelope.Trace),
	}
	if !t.Envelope.Caller.IsZero() {
		out.Caller = t.Envelope.Caller.String()
	}
	if out.Value == nil {
		out.Value = []byte{} // "" rather than null
	}
	if text, ok := wire.Text(out.Type, out.Value); ok {
		out.Text = &text
	}
	return out
}

// timerRoutes are the table's lines for timers.
func (a *api) timerRoutes() []route {
	if a.Timers == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/timers", role: RoleRead, serve: fixed(a.serveTimers)},
		{method: http.MethodGet, path: "/v1/timers/{id}", role: RoleRead, serve: a.serveTimer},
		{method: http.MethodDelete, path: "/v1/timers/{id}", role: RoleAdmin, serve: a.serveTimerCancellation},
	}
}

// timerPage is the answer to a listing.
type timerPage struct {
	Items []Timer `json:"items"`
	Next  string  `json:"next,omitempty"`
}

func (a *api) serveTimers(w http.ResponseWriter, r *http.Request) {
	q, p := timerQuery(r)
	if p != nil {
		p.write(w, r)
		return
	}
	list, next, err := a.Timers.Timers(r.Context(), q)
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	page := timerPage{list, next}
	if page.Items == nil {
		page.Items = []Timer{}
	}
	writeJSON(w, http.StatusOK, jsonType, page)
}

// timerQuery reads a page's parameters.
func timerQuery(r *http.Request) (q TimerQuery, p *Problem) {
	values := r.URL.Query()
	q.After, q.Token = values.Get("after"), values.Get("token")
	if q.Function, p = functionOf(values); p != nil {
		return q, p
	}
	if q.Target, p = addressIn(values, "address"); p != nil {
		return q, p
	}
	if q.Caller, p = addressIn(values, "caller"); p != nil {
		return q, p
	}
	if text := values.Get("before"); text != "" {
		before, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return q, problem(badRequest, fmt.Sprintf("before %q is no time; write it as 2006-01-02T15:04:05Z", text))
		}
		q.Before = before
	}
	q.Limit, p = limitOf(r)
	return q, p
}

// addressIn reads a parameter that is an address.
func addressIn(values url.Values, name string) (actor.Address, *Problem) {
	text := values.Get(name)
	if text == "" {
		return actor.Address{}, nil
	}
	a, err := actor.ParseAddress(text)
	if err != nil {
		return a, problem(badRequest, name+": "+err.Error())
	}
	return a, nil
}

func (a *api) serveTimer(w http.ResponseWriter, r *http.Request, raw []string) {
	a.serveOneTimer(w, r, raw, a.Timers.Timer, false)
}

func (a *api) serveTimerCancellation(w http.ResponseWriter, r *http.Request, raw []string) {
	a.serveOneTimer(w, r, raw, a.Timers.CancelTimer, true)
}

func (a *api) serveOneTimer(w http.ResponseWriter, r *http.Request, raw []string, do func(context.Context, string) (Timer, error), write bool) {
	id, err := url.PathUnescape(raw[0])
	if err != nil || id == "" {
		problem(notFound, fmt.Sprintf("%q is no timer's id", raw[0])).write(w, r)
		return
	}
	t, err := do(r.Context(), id)
	if err != nil {
		a.fail(w, r, problemOf(err, write), actor.Address{})
		return
	}
	writeJSON(w, http.StatusOK, jsonType, t)
}

// timerOperations describe the routes.
func timerOperations() map[string]operation {
	text := schema{"type": "string"}
	address := schema{"type": "string", "pattern": "^[^/]+/[^/]+/.+$"}
	function := schema{"type": "string", "pattern": "^[^/]+/[^/]+$"}
	one := []outcome{{status: http.StatusOK, about: "the delayed message", media: []string{jsonType}, schema: schemaFor[Timer]()}}
	return map[string]operation{
		"GET /v1/timers": {
			summary: "Delayed messages that are pending, those that are due first before the others.",
			query: append([]parameter{
				{name: "function", about: "to one function only, namespace/type", schema: function},
				{name: "address", about: "to one address only, namespace/type/id", schema: address},
				{name: "caller", about: "set by one address only", schema: address},
				{name: "token", about: "with this cancellation token only", schema: text},
				{name: "before", about: "due before this time only", schema: schema{"type": "string", "format": "date-time"}},
			}, pageParameters()...),
			answers:  []outcome{{status: http.StatusOK, about: "a page of them", media: []string{jsonType}, schema: schemaFor[timerPage]()}},
			problems: []slug{badRequest, notReady, timeout},
		},
		"GET /v1/timers/{id}":    {summary: "One delayed message that is pending.", answers: one, problems: []slug{notFound, notReady, timeout}},
		"DELETE /v1/timers/{id}": {summary: "Cancel a delayed message.", answers: one, problems: []slug{notFound, notReady, timeout}},
	}
}
