package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// Problem is an error as clients see it (RFC 9457).
type Problem struct {
	Type    string `json:"type"` // "urn:jetfn:problem:<slug>"
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	Address string `json:"address,omitempty"`
	TraceID string `json:"traceId"`
	// DeadLetterID and Attempts are those of the message that was given up.
	DeadLetterID string `json:"dlqId,omitempty"`
	Attempts     int    `json:"attempts,omitempty"`
	// Diagnostics are the problems of a module.
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
	// Accepted is false when the request surely had no effect.
	Accepted bool `json:"accepted"`

	allow     string // the methods to use instead; empty: the method is right
	challenge string // what credentials are missing; empty: none
}

const problemPrefix = "urn:jetfn:problem:"

// Media types of answers.
const (
	problemType = "application/problem+json"
	jsonType    = "application/json"
	textType    = "text/plain"
)

// slug names a kind of problem.
type slug string

const (
	badAddress      slug = "bad-address"
	badBody         slug = "bad-body"
	badRequest      slug = "bad-request"
	unauthorized    slug = "unauthorized"
	notAllowed      slug = "forbidden"
	unknownFunction slug = "unknown-function"
	notFound        slug = "not-found"
	badMethod       slug = "method-not-allowed"
	tooLarge        slug = "too-large"
	badType         slug = "bad-type"
	busy            slug = "busy"
	internal        slug = "internal"
	unsupported     slug = "unsupported"
	notReady        slug = "not-ready"
	timeout         slug = "timeout"
	alreadyReplayed slug = "already-replayed"
	revisionDiffers slug = "revision-conflict"
	keyMismatch     slug = "idempotency-mismatch"
	functionFailed  slug = "function-failed"
	invalidModule   slug = "invalid-module"
	paused          slug = "paused"
)

// slugs are all of them.
func slugs() []slug {
	return []slug{
		badAddress, badBody, badRequest, unauthorized, notAllowed, unknownFunction, notFound, badMethod,
		tooLarge, badType, busy, internal, unsupported, notReady, timeout,
		alreadyReplayed, revisionDiffers, keyMismatch, functionFailed, paused, invalidModule,
	}
}

// statusAndTitle is what all problems of a kind share.
func (s slug) statusAndTitle() (int, string) {
	switch s {
	case badAddress:
		return http.StatusBadRequest, "The address can't be used"
	case badBody:
		return http.StatusBadRequest, "The body can't be read"
	case badRequest:
		return http.StatusBadRequest, "The request can't be understood"
	case unauthorized:
		return http.StatusUnauthorized, "Who asks is not known"
	case notAllowed:
		return http.StatusForbidden, "The request is not allowed"
	case unknownFunction:
		return http.StatusNotFound, "No function serves this address"
	case notFound:
		return http.StatusNotFound, "There is nothing here"
	case badMethod:
		return http.StatusMethodNotAllowed, "The method is not allowed here"
	case tooLarge:
		return http.StatusRequestEntityTooLarge, "The message is too large"
	case badType:
		return http.StatusUnsupportedMediaType, "The value's type is missing or wrong"
	case busy:
		return http.StatusTooManyRequests, "There is no room now"
	case unsupported:
		return http.StatusNotImplemented, "This is not supported yet"
	case keyMismatch:
		return http.StatusUnprocessableEntity, "The key was used for another request"
	case invalidModule:
		return http.StatusUnprocessableEntity, "The module can't be used"
	case functionFailed:
		return http.StatusBadGateway, "The function failed"
	case paused:
		return http.StatusServiceUnavailable, "The function, or the address, is paused"
	case notReady:
		return http.StatusServiceUnavailable, "The application is not ready"
	case timeout:
		return http.StatusGatewayTimeout, "The outcome is not known"
	case alreadyReplayed:
		return http.StatusConflict, "The dead letter was replayed before"
	case revisionDiffers:
		return http.StatusConflict, "The state is another one than expected"
	case internal:
	}
	return http.StatusInternalServerError, "Something went wrong"
}

// problem makes a problem of a request that surely had no effect.
func problem(s slug, detail string) *Problem {
	status, title := s.statusAndTitle()
	return &Problem{Type: problemPrefix + string(s), Title: title, Status: status, Detail: detail}
}

// at adds the address that a problem is about.
func (p *Problem) at(a actor.Address) *Problem {
	p.Address = a.String()
	return p
}

// problemOf says what an error of a port means. For a write, everything that
// doesn't prove the opposite may have been accepted.
func problemOf(err error, write bool) *Problem {
	if p, ok := diagnosed(err); ok {
		return p
	}
	switch {
	case errors.Is(err, ErrNotReady):
		return problem(notReady, err.Error())
	case errors.Is(err, ErrBusy):
		return problem(busy, err.Error())
	case errors.Is(err, ErrPaused):
		return problem(paused, err.Error())
	case errors.Is(err, ErrKeyMismatch):
		return problem(keyMismatch, err.Error())
	case errors.Is(err, ErrTooLarge):
		return problem(tooLarge, err.Error())
	case errors.Is(err, ErrNotFound), errors.Is(err, actor.ErrNotFound):
		return problem(notFound, err.Error())
	case errors.Is(err, actor.ErrBadAddress):
		return problem(badAddress, err.Error())
	case errors.Is(err, ErrBadRequest):
		return problem(badRequest, err.Error())
	case errors.Is(err, ErrAlreadyReplayed):
		return problem(alreadyReplayed, err.Error())
	case errors.Is(err, ErrRevision):
		return problem(revisionDiffers, err.Error())
	case errors.Is(err, ErrUnknownFunction):
		return problem(unknownFunction, err.Error())
	case errors.As(err, new(*actor.InvokeError)): // an edit that can't be
		return problem(badRequest, err.Error())
	case errors.Is(err, ErrBadType):
		return problem(badType, err.Error())
	case errors.Is(err, ErrUnknown), errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p := problem(timeout, err.Error())
		p.Accepted = write
		return p
	default:
		p := problem(internal, err.Error())
		p.Accepted = write
		return p
	}
}

// ProblemOf is why an input can't be taken, as clients see it; nil for nil.
func ProblemOf(in *actor.Problem) *Problem {
	switch {
	case in == nil:
		return nil
	case in.Reason == actor.ReasonBadType:
		return problem(badType, in.Detail)
	}
	return problem(badAddress, in.Detail)
}

// Slug is the last part of the problem's type.
func (p *Problem) Slug() string { return strings.TrimPrefix(p.Type, problemPrefix) }

// write answers a request with p.
func (p *Problem) write(w http.ResponseWriter, r *http.Request) {
	if p.TraceID == "" {
		p.TraceID = traceID(r)
	}
	if d, ok := w.(*response); ok {
		d.problem = p
	}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	writeJSON(w, p.Status, problemType, p)
}

func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) {
	body := encodeJSON(v)
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails when the client is gone
}

// encodeJSON encodes a type of our own, which can't fail.
func encodeJSON(v any) []byte {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // nosniff is set, and people read it
	if enc.Encode(v) != nil {
		return []byte("{}\n")
	}
	return body.Bytes()
}

// Document is p as JSON, for clients that don't come over HTTP.
func (p *Problem) Document() []byte { return bytes.TrimSpace(encodeJSON(p)) }

// traceOf is the trace context of a request; zero if it has none that is
// valid.
func traceOf(r *http.Request) actor.Trace {
	parent := r.Header.Get("Traceparent")
	if !validTraceparent(parent) {
		return actor.Trace{}
	}
	return actor.Trace{Parent: parent, State: strings.Join(r.Header.Values("Tracestate"), ",")}
}

// traceID is the id of the request's trace, or a new one.
func traceID(r *http.Request) string {
	if tr := traceOf(r); tr.Parent != "" {
		return tr.Parent[3:35]
	}
	return randomHex(16)
}

// TraceID is the id of the trace; empty if it has none.
func TraceID(tr actor.Trace) string {
	if !validTraceparent(tr.Parent) {
		return ""
	}
	return tr.Parent[3:35]
}

// randomHex is n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// validTraceparent checks the form "00-<32 hex>-<16 hex>-<2 hex>", all of it
// lower case and no id zero.
func validTraceparent(s string) bool {
	parts := strings.Split(s, "-")
	if len(parts) < 4 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 {
		return false
	}
	for i, size := range []int{2, 32, 16, 2} {
		if len(parts[i]) != size || strings.Trim(parts[i], "0123456789abcdef") != "" {
			return false
		}
	}
	return strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != ""
}
