package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/wire"
)

// How long a call waits for its answer: if nothing is said, and at most.
const (
	defaultCallTimeout = 30 * time.Second
	maxCallTimeout     = 10 * time.Minute
	// resultTimeout is how long the owner of a call may take to say what became
	// of it.
	resultTimeout = 10 * time.Second
	maxKey        = 255 // bytes of an Idempotency-Key
)

// Calls answers calls, whichever way they come in.
type Calls struct {
	Caller    Caller
	Functions Functions
}

// Do calls a function. Timeout is as the client wrote it: a duration, or empty
// for 30 seconds. After a Problem the reply has the call's id, if there is
// one.
func (c *Calls) Do(ctx context.Context, r *CallRequest, timeout string) (CallReply, *Problem) {
	wait, p := callTimeout(timeout)
	if p == nil {
		p = checkKey(r.Key)
	}
	if p == nil {
		p = known(c.Functions, r.Target)
	}
	if p != nil {
		return CallReply{}, p
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	reply, err := c.Caller.Call(ctx, r)
	if err != nil {
		return reply, problemOf(err, true)
	}
	return reply, reply.problem()
}

// problem is the failure of the function as clients see it; nil if it didn't
// fail.
func (r *CallReply) problem() *Problem {
	f := r.Failure
	if f == nil {
		return nil
	}
	p := problem(functionFailed, f.Reason+": "+f.Error)
	p.DeadLetterID, p.Attempts, p.Accepted = f.DeadLetterID, f.Attempts, true
	return p
}

func callTimeout(text string) (time.Duration, *Problem) {
	if text == "" {
		return defaultCallTimeout, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxCallTimeout {
		return 0, problem(badRequest, fmt.Sprintf("timeout %q is no duration up to %v, such as 30s", text, maxCallTimeout))
	}
	return d, nil
}

func checkKey(key string) *Problem {
	if len(key) > maxKey {
		return problem(badRequest, fmt.Sprintf("the Idempotency-Key has %d bytes, at most %d are possible", len(key), maxKey))
	}
	return nil
}

// NewTrace is tr, or the beginning of a trace if it is none, and whether it is
// that. Sample decides whether such a trace is recorded; nil: whoever is called
// may do so.
func NewTrace(tr actor.Trace, sample func() bool) (t actor.Trace, fresh bool) {
	if validTraceparent(tr.Parent) {
		return tr, false
	}
	flags := "-01"
	if sample != nil && !sample() {
		flags = "-00"
	}
	return actor.Trace{Parent: "00-" + randomHex(16) + "-" + randomHex(8) + flags}, true
}

// Render is the reply's value as clients get it: as JSON if they accept
// nothing else, else decoded if its type is built in.
func (r *CallReply) Render(accept string) (mediaType string, body []byte) {
	text, builtin := wire.Text(r.Value.Type, r.Value.Data)
	switch {
	case wantsJSON(accept):
		v := NamedValue{Type: r.Value.Type, Value: r.Value.Data}
		if v.Value == nil {
			v.Value = []byte{} // "" rather than null
		}
		answer := struct {
			Type  string  `json:"type"`
			Value []byte  `json:"value"`
			Text  *string `json:"text,omitempty"`
		}{Type: v.Type, Value: v.Value}
		if builtin {
			answer.Text = &text
		}
		return "application/json", encodeJSON(answer)
	case builtin:
		return "text/plain; charset=utf-8", []byte(text)
	}
	return "application/octet-stream", r.Value.Data
}

// wantsJSON reports whether the first of the media types that a client accepts
// is JSON.
func wantsJSON(accept string) bool {
	first, _, _ := strings.Cut(accept, ",")
	first, _, _ = strings.Cut(first, ";")
	return strings.EqualFold(strings.TrimSpace(first), "application/json")
}

func (a *api) serveCall(w http.ResponseWriter, r *http.Request, raw []string) {
	target, p := addressOf(raw)
	trace, fresh := NewTrace(traceOf(r), a.Sample)
	request := &CallRequest{Target: target, Trace: trace, Fresh: fresh, Key: r.Header.Get("Idempotency-Key"), Async: prefersAsync(r)}
	if p == nil {
		p = a.checkCall(r, target)
	}
	if p == nil {
		request.Value, p = valueOf(w, r, a.MaxBodyBytes)
	}
	var reply CallReply
	if p == nil {
		w.Header().Set("Traceparent", request.Trace.Parent)
		calls := Calls{a.Caller, a.Functions}
		reply, p = calls.Do(r.Context(), request, r.URL.Query().Get("timeout"))
	}
	if reply.CallID != "" {
		w.Header().Set("Jetfn-Call-Id", reply.CallID)
	}
	switch {
	case p != nil:
		p.TraceID = TraceID(request.Trace)
		a.fail(w, r, p, target)
	case request.Async:
		w.Header().Set("Preference-Applied", "respond-async")
		pending(w, reply.CallID)
	default:
		answer(w, r, &reply)
	}
}

// checkCall refuses what would not be done as asked.
func (a *api) checkCall(r *http.Request, target actor.Address) *Problem {
	if r.URL.Query().Has("delay") || r.Header.Get("Jetfn-Delay") != "" {
		return problem(badRequest, "a call can't be delayed; send a message with a delay")
	}
	if p := known(a.Functions, target); p != nil {
		return p
	}
	_, p := callTimeout(r.URL.Query().Get("timeout"))
	return p
}

// prefersAsync reads Prefer (RFC 7240).
func prefersAsync(r *http.Request) bool {
	for _, line := range r.Header.Values("Prefer") {
		for p := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(p, ";")
			if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
				return true
			}
		}
	}
	return false
}

// pending says that there is no answer yet, and where it will be.
func pending(w http.ResponseWriter, id string) {
	w.Header().Set("Location", "/v1/calls/"+id)
	w.Header().Set("Retry-After", "1")
	writeJSON(w, http.StatusAccepted, "application/json", struct {
		ID string `json:"id"`
	}{id})
}

// answer writes a function's answer.
func answer(w http.ResponseWriter, r *http.Request, reply *CallReply) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if reply.Value.Type == "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	mediaType, body := reply.Render(strings.Join(r.Header.Values("Accept"), ","))
	h.Set("Jetfn-Type", printable(reply.Value.Type))
	h.Set("Content-Type", mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // fails when the client is gone
}

// printable writes the bytes that a header can't hold as %XX.
func printable(s string) string {
	control := func(b byte) bool { return b < ' ' || b == 0x7F }
	if !slices.ContainsFunc([]byte(s), control) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if control(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (a *api) serveCallResult(w http.ResponseWriter, r *http.Request, raw []string) {
	ids, p := decode(raw, "<id>")
	if p != nil {
		p.write(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), resultTimeout)
	defer cancel()
	reply, err := a.Caller.Result(ctx, ids[0])
	if err != nil {
		p = problemOf(err, false)
	} else {
		w.Header().Set("Jetfn-Call-Id", reply.CallID)
		p = reply.problem()
	}
	switch {
	case p != nil:
		a.fail(w, r, p, actor.Address{})
	case reply.Pending:
		pending(w, reply.CallID)
	default:
		answer(w, r, &reply)
	}
}
