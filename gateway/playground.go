package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// vendorType begins a Content-Type that names a value type.
const vendorType = "application/vnd."

// statusHeader tells the playground's clients the outcome, as upstream's
// playground does; its status code is 200 whatever happened.
const statusHeader = "Status"

// playgroundIngress takes messages for any function.
type playgroundIngress struct {
	sender    Sender
	functions Functions
	guard     *guard
}

// NewPlaygroundIngress returns the playground's way in: any method to
// /<namespace>/<type>/<id> stores the body as a message. The header Status of
// the answer is 200 or 500 as upstream's, and what was not accepted has a
// status of 4xx or 5xx besides. A token needs the role ingress.
func NewPlaygroundIngress(sender Sender, functions Functions, access Access) http.Handler {
	return &playgroundIngress{sender: sender, functions: functions, guard: newGuard(access, true)}
}

// ServeHTTP stores one message.
func (h *playgroundIngress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.guard.pass(w, r, h.serve)
}

func (h *playgroundIngress) serve(w http.ResponseWriter, r *http.Request) {
	if p := h.store(w, r); p != nil {
		w.Header().Set(statusHeader, "500")
		p.write(w, r)
		return
	}
	w.Header().Set(statusHeader, "200")
	w.WriteHeader(http.StatusOK)
}

func (h *playgroundIngress) store(w http.ResponseWriter, r *http.Request) *Problem {
	if p := h.guard.refuse(r, RoleIngress); p != nil {
		return p
	}
	target, p := addressOf(rawSegments(r))
	if p != nil {
		return p
	}
	if p := known(h.functions, target); p != nil {
		return p.at(target)
	}
	body, p := bodyOf(w, r, defaultMaxBodyBytes)
	if p != nil {
		return p.at(target)
	}
	// Whatever names no type is text here, unlike elsewhere.
	mediaType := r.Header.Get("Content-Type")
	if !strings.HasPrefix(mediaType, vendorType) {
		mediaType = "text/plain"
	}
	value, p := valueFrom("", mediaType, body)
	if p != nil {
		return p.at(target)
	}
	if _, err := h.sender.Send(r.Context(), Message{Target: target, Value: value, Trace: traceOf(r)}); err != nil {
		return problemOf(err, true).at(target)
	}
	return nil
}

// playgroundEgress hands records out.
type playgroundEgress struct {
	popper Popper
	topics map[string]bool
	guard  *guard
}

// NewPlaygroundEgress returns the playground's way out: GET /<topic> takes
// the oldest record of a topic, once. The header Status of the answer is 200,
// 404 when there is no record, or 405 when there is no such topic, all with
// the status 200 and, but for the first, no body. A token needs the role
// ingress: a record is gone for others once it is taken.
func NewPlaygroundEgress(p Popper, topics []string, access Access) http.Handler {
	h := &playgroundEgress{popper: p, topics: make(map[string]bool, len(topics)), guard: newGuard(access, true)}
	for _, t := range topics {
		h.topics[t] = true
	}
	return h
}

// ServeHTTP takes one record.
func (h *playgroundEgress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.guard.pass(w, r, h.serve)
}

func (h *playgroundEgress) serve(w http.ResponseWriter, r *http.Request) {
	if p := h.guard.refuse(r, RoleIngress); p != nil {
		h.fail(w, r, p)
		return
	}
	if r.Method != http.MethodGet { // HEAD would take a record and show nothing
		w.Header().Set("Allow", http.MethodGet)
		h.fail(w, r, problem(badMethod, r.Method+" is not allowed here, use GET"))
		return
	}
	topic, err := url.PathUnescape(strings.Join(rawSegments(r), "/"))
	if err != nil || !h.topics[topic] {
		w.Header().Set(statusHeader, "405")
		w.WriteHeader(http.StatusOK)
		return
	}
	data, ok, err := h.popper.Pop(r.Context(), topic)
	if err != nil {
		h.fail(w, r, problemOf(err, true))
		return
	}
	if !ok {
		w.Header().Set(statusHeader, "404")
		w.WriteHeader(http.StatusOK)
		return
	}
	w.Header().Set(statusHeader, "200")
	w.Header().Set("Cache-Control", "no-store")
	writeText(w, string(data))
}

func (*playgroundEgress) fail(w http.ResponseWriter, r *http.Request, p *Problem) {
	status := "500"
	if p.Status < http.StatusInternalServerError {
		status = strconv.Itoa(p.Status)
	}
	w.Header().Set(statusHeader, status)
	p.write(w, r)
}
