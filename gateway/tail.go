package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/jetfn/jetfn/actor"
)

// Tail tells what happens, from now on.
type Tail interface {
	// Tail hands events to emit, one at a time, until ctx ends, the worker
	// does, or emit fails. Those that come faster than emit takes them are
	// counted, and the next one tells how many. Now and then it hands over nil,
	// so that a client that is gone is noticed.
	Tail(ctx context.Context, q TailQuery, emit func(*TailEvent) error) error
}

// TailQuery says what to tell of: egress messages, dead letters, or what a
// function type does.
type TailQuery struct {
	Egress, DeadLetters bool
	Function            actor.TypeName
}

// TailEvent is one thing that has happened.
type TailEvent struct {
	At   string `json:"at"` // RFC 3339
	Kind string `json:"kind"`
	// Address is the function's.
	Address  string  `json:"address"`
	Egress   string  `json:"egress,omitempty"`
	Key      string  `json:"key,omitempty"`
	ID       string  `json:"id,omitempty"` // of an egress message or dead letter
	Caller   string  `json:"caller,omitempty"`
	Messages int     `json:"messages,omitempty"` // of a call
	Attempt  int     `json:"attempt,omitempty"`
	Type     string  `json:"type,omitempty"`
	Bytes    int     `json:"bytes"`
	Text     *string `json:"text,omitempty"` // of a built-in type, shortened
	Took     int64   `json:"took,omitempty"` // milliseconds since the message was stored
	Reason   string  `json:"reason,omitempty"`
	Error    string  `json:"error,omitempty"`
	TraceID  string  `json:"traceId,omitempty"`
	Missed   uint64  `json:"missed,omitempty"` // events before this one
}

// The kinds of events.
const (
	TailProcessed  = "processed"   // a message has taken effect
	TailFailed     = "failed"      // an attempt has failed
	TailDeadLetter = "dead-letter" // a message was given up
	TailEgress     = "egress"      // an egress message is stored
)

const ndjson = "application/x-ndjson"

// tailPulse is how often an empty line tells a client that nothing happens.
const tailPulse = 15 * time.Second

func (a *api) tailRoutes() []route {
	if a.Tail == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/tail/egress", role: RoleRead, serve: fixed(a.serveTail(TailQuery{Egress: true}))},
		{method: http.MethodGet, path: "/v1/tail/dlq", role: RoleRead, serve: fixed(a.serveTail(TailQuery{DeadLetters: true}))},
		{method: http.MethodGet, path: "/v1/tail/functions/{namespace}/{type}", role: RoleRead, serve: a.serveTailFunction},
	}
}

func (a *api) serveTailFunction(w http.ResponseWriter, r *http.Request, raw []string) {
	t, p := typeOf(raw)
	if p != nil {
		p.write(w, r)
		return
	}
	a.serveTail(TailQuery{Function: t})(w, r)
}

// serveTail writes a line for each event, and an empty one when nothing
// happens for a while.
func (a *api) serveTail(q TailQuery) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		w.Header().Set("Content-Type", ndjson)
		w.Header().Set("Cache-Control", "no-store")
		if r.Method == http.MethodHead {
			return
		}
		w.WriteHeader(http.StatusOK)
		if c.Flush() != nil {
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		_ = a.Tail.Tail(ctx, q, func(e *TailEvent) error { // the client is gone, or the worker ends
			line := []byte("\n")
			if e != nil {
				text, err := json.Marshal(e)
				if err != nil {
					return err
				}
				line = append(text, '\n')
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
			return c.Flush()
		})
	}
}

// TailPulse is how often Tail calls emit with nil when there is no event.
func TailPulse() time.Duration { return tailPulse }

func tailOperations() map[string]operation {
	answers := []outcome{{status: http.StatusOK, about: "an event a line, until the client goes", media: []string{ndjson}, schema: schemaFor[TailEvent]()}}
	return map[string]operation{
		"GET /v1/tail/egress":                       {summary: "Egress messages, as they are stored from now on.", answers: answers},
		"GET /v1/tail/dlq":                          {summary: "Dead letters, as they are stored from now on.", answers: answers},
		"GET /v1/tail/functions/{namespace}/{type}": {summary: "What a function type does from now on: messages processed, attempts failed.", answers: answers},
	}
}
