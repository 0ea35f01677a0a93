package gateway

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rs/zerolog"
)

// defaultMaxBodyBytes leaves room for headers in a message of 8 MiB.
const defaultMaxBodyBytes = 8<<20 - 64<<10

// APIConfig is what the HTTP surface needs. Only Metrics, Hosts, MaxBodyBytes
// and Log may be left out.
type APIConfig struct {
	App       string // the application's name, shown at /
	Version   string // shown at /
	Sender    Sender
	States    States
	Functions Functions
	Readiness Readiness
	Metrics   http.Handler // nil: /metrics is not found
	// Hosts are names by which requests may call this listener besides
	// loopback names and the address it listens at; "*" allows all.
	Hosts []string
	// MaxBodyBytes limits a message's body. The default is 8 MiB less 64 KiB.
	MaxBodyBytes int64
	Log          zerolog.Logger
}

// api routes by hand: a mux would clean paths and redirect.
type api struct {
	APIConfig

	guard *guard
}

// NewAPI returns the application's HTTP surface.
func NewAPI(cfg APIConfig) http.Handler {
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = defaultMaxBodyBytes
	}
	return &api{APIConfig: cfg, guard: newGuard(cfg.Hosts, false)}
}

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := rawSegments(r)
	top := strings.Join(segments, "/")
	switch top { // these tell nothing and change nothing, and probes call them by any name
	case "healthz":
		a.only(w, r, http.MethodGet, serveHealth)
		return
	case "readyz":
		a.only(w, r, http.MethodGet, a.serveReady)
		return
	}
	if p := a.guard.refuse(r); p != nil {
		p.write(w, r)
		return
	}
	switch {
	case top == "":
		a.only(w, r, http.MethodGet, a.serveIndex)
	case top == "metrics" && a.Metrics != nil:
		a.only(w, r, http.MethodGet, a.Metrics.ServeHTTP)
	case segments[0] == "v1" && len(segments) > 1:
		a.serveV1(w, r, segments[1], segments[2:])
	default:
		a.serveNothing(w, r)
	}
}

func (a *api) serveV1(w http.ResponseWriter, r *http.Request, collection string, rest []string) {
	switch {
	case collection == "send":
		a.only(w, r, http.MethodPost, func(w http.ResponseWriter, r *http.Request) { a.serveSend(w, r, rest) })
	case collection == "state" && len(rest) == 2:
		a.only(w, r, http.MethodGet, func(w http.ResponseWriter, r *http.Request) { a.serveStates(w, r, rest) })
	case collection == "state":
		a.only(w, r, http.MethodGet, func(w http.ResponseWriter, r *http.Request) { a.serveState(w, r, rest) })
	case collection == "functions" && len(rest) == 0:
		a.only(w, r, http.MethodGet, a.serveFunctions)
	default:
		a.serveNothing(w, r)
	}
}

// only serves one method, and HEAD where GET is served.
func (*api) only(w http.ResponseWriter, r *http.Request, method string, serve http.HandlerFunc) {
	if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
		serve(w, r)
		return
	}
	allow := method
	if method == http.MethodGet {
		allow = "GET, HEAD"
	}
	w.Header().Set("Allow", allow)
	problem(badMethod, fmt.Sprintf("%s is not allowed here, use %s", r.Method, allow)).write(w, r)
}

func (*api) serveNothing(w http.ResponseWriter, r *http.Request) {
	problem(notFound, fmt.Sprintf("there is nothing at %q; GET / lists what is there", r.URL.Path)).write(w, r)
}

func serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeText(w, "ok\n")
}

func (a *api) serveReady(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons,omitempty"`
	}{Reasons: a.Readiness.Reasons()}
	answer.Ready = len(answer.Reasons) == 0
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, "application/json", answer)
}

func (a *api) serveFunctions(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Items []FunctionInfo `json:"items"`
	}{Items: a.Functions.List()}
	if answer.Items == nil {
		answer.Items = []FunctionInfo{}
	}
	writeJSON(w, http.StatusOK, "application/json", answer)
}

func (a *api) serveIndex(w http.ResponseWriter, _ *http.Request) {
	writeText(w, fmt.Sprintf(`jetfn %s, application %s

POST /v1/send/{namespace}/{type}/{id}    send a message; the body is its value
GET  /v1/state/{namespace}/{type}/{id}   what an address remembers
GET  /v1/state/{namespace}/{type}        addresses with state, ?after= and ?limit=
GET  /v1/functions                       the functions
GET  /healthz  /readyz  /metrics

Parts of an address are percent-encoded, a slash inside one as %%2F.
`, a.Version, a.App))
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(text)) // fails when the client is gone
}
