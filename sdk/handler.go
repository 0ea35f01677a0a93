package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"time"
)

const (
	octets          = "application/octet-stream"
	defaultMaxBody  = 32 << 20
	attemptHeader   = "Jetfn-Attempt"
	maxFailureBytes = 4 << 10
)

// HandlerOption changes a handler.
type HandlerOption func(*handler)

// WithMaxBody limits the size of a call's body. The default is 32 MiB.
func WithMaxBody(bytes int64) HandlerOption { return func(h *handler) { h.maxBody = bytes } }

// WithMaxCalls limits how many calls are answered at once; the worker is told
// to come again for others. The default is no limit.
func WithMaxCalls(n int) HandlerOption {
	return func(h *handler) { h.places = make(chan struct{}, max(n, 1)) }
}

// Handler serves the functions of r over HTTP to workers that speak
// StateFun's protocol, in version 3.x or 2.x as each call is written. Any path
// will do, except that GET of a path that ends in /healthz is answered 200.
//
// A call that fails is answered 500, or 400 if the error is [Never], with the
// error's text and, if the error says so, a Retry-After header. Other methods
// than POST are answered 405, other content types 415, empty or unreadable
// bodies 400, larger ones 413, calls beyond [WithMaxCalls] 429.
//
// In protocol 2.x the module declares the states, with when they expire, and
// a call whose states are not declared there fails with an error that names
// them. Tables, buffers and cancellation need protocol 3.x.
func Handler(r *Registry, opts ...HandlerOption) http.Handler {
	h := &handler{registry: r, maxBody: defaultMaxBody}
	for _, opt := range opts {
		opt(h)
	}
	return h
}

type handler struct {
	registry *Registry
	maxBody  int64
	places   chan struct{} // of calls; nil: no limit
}

// enter takes a place for a call, which leave gives back; false if there is
// none.
func (h *handler) enter() (leave func(), ok bool) {
	if h.places == nil {
		return func() {}, true
	}
	select {
	case h.places <- struct{}{}:
		return func() { <-h.places }, true
	default:
		return nil, false
	}
}

// ServeHTTP answers one call.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && isHealth(r.URL.Path):
		w.WriteHeader(http.StatusOK)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, http.StatusMethodNotAllowed, "a call is a POST")
		return
	case !isOctets(r.Header.Get("Content-Type")):
		refuse(w, http.StatusUnsupportedMediaType, "a call's content type is "+octets)
		return
	}
	leave, ok := h.enter()
	if !ok {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "too many calls at once")
		return
	}
	defer leave()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a call may have %d bytes at most", h.maxBody))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "the body broke off")
		return
	case len(body) == 0:
		refuse(w, http.StatusBadRequest, "the body is empty")
		return
	}
	attempt, _ := strconv.Atoi(r.Header.Get(attemptHeader)) // zero: not told
	answer, err := h.registry.Answer(r.Context(), body, CallInfo{
		Attempt: attempt, Parent: r.Header.Get("Traceparent"), State: r.Header.Get("Tracestate"),
	})
	if err != nil {
		h.fail(r.Context(), w, err)
		return
	}
	w.Header().Set("Content-Type", octets)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // who has gone doesn't miss it
}

// fail answers with an error of a function, and logs it.
func (h *handler) fail(ctx context.Context, w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var failure *Failure
	switch {
	case errors.As(err, &failure) && failure.Never, errors.Is(err, errBadRequest):
		status = http.StatusBadRequest
	case failure != nil && failure.After > 0:
		seconds := (failure.After + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	attrs := []slog.Attr{slog.Any("error", err)}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, slog.String("stack", string(panicked.Stack)))
	}
	h.registry.logger.LogAttrs(ctx, slog.LevelError, "call failed", attrs...)
	refuse(w, status, err.Error())
}

func refuse(w http.ResponseWriter, status int, text string) {
	if len(text) > maxFailureBytes {
		text = text[:maxFailureBytes]
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

func isHealth(path string) bool {
	const name = "/healthz"
	return len(path) >= len(name) && path[len(path)-len(name):] == name
}

// isOctets allows a missing type, and parameters.
func isOctets(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == octets
}

// CallInfo is what a transport knows of a call besides its body.
type CallInfo struct {
	Attempt       int    // from 1; zero: not told
	Parent, State string // W3C trace context
}

// Answer answers a call of either protocol, as bytes: what transports use that
// carry StateFun's messages.
func (r *Registry) Answer(ctx context.Context, body []byte, info CallInfo) ([]byte, error) {
	protocol := protocolOf(body)
	b, err := protocol.read(body)
	if err != nil || b == nil {
		return nil, err
	}
	b.Attempt, b.Parent, b.State = info.Attempt, info.Parent, info.State
	effects, err := r.Invoke(ctx, b)
	if err != nil {
		return nil, err
	}
	return protocol.write(effects)
}
