package gateway

import (
	"fmt"
	"net/http"

	"github.com/rs/zerolog"
)

// defaultMaxRequests are in progress at most.
const defaultMaxRequests = 16384

// defaultMaxBodyBytes leaves room for headers in a message of 8 MiB.
const defaultMaxBodyBytes = 8<<20 - 64<<10

// APIConfig is what the HTTP surface needs. Only Metrics, Access,
// MaxBodyBytes, MaxRequests and Log may be left out.
type APIConfig struct {
	App       string // the application's name, shown at /
	Version   string // shown at /
	Sender    Sender
	Caller    Caller
	States    States
	Functions Functions
	Readiness Readiness
	// DeadLetters and DeadLetterDesk may both be nil: /v1/dlq is not found.
	DeadLetters    DeadLetters
	DeadLetterDesk DeadLetterDesk
	StateEditor    StateEditor  // nil: states can't be changed
	Pauses         Pauses       // nil: functions can't be paused
	Circuits       Circuits     // nil: nothing is known of endpoints
	Timers         Timers       // nil: /v1/timers is not found
	Modules        Modules      // nil: /v1/modules is not found
	Tables         Tables       // nil: entries of tables can't be looked at
	Metrics        http.Handler // nil: /metrics is not found
	LogLevel       LogLevel     // nil: /v1/log is not found
	Overview       Overview     // nil: /v1/top and the like are not found
	Tail           Tail         // nil: /v1/tail is not found
	// Sample decides whether the trace of a call without one is recorded; nil:
	// its functions may do so.
	Sample func() bool
	Access Access
	// MaxBodyBytes limits a message's body. The default is 8 MiB less 64 KiB.
	MaxBodyBytes int64
	// MaxRequests limits the requests in progress, besides those of probes.
	// The default is 16,384.
	MaxRequests int
	Log         zerolog.Logger
}

// api routes by hand: a mux would clean paths and redirect.
type api struct {
	APIConfig

	table       []route
	description []byte // of the table, as OpenAPI
	guard       *guard
	under       requests
}

// NewAPI returns the application's HTTP surface.
func NewAPI(cfg APIConfig) http.Handler {
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = defaultMaxBodyBytes
	}
	if cfg.MaxRequests == 0 {
		cfg.MaxRequests = defaultMaxRequests
	}
	a := &api{APIConfig: cfg, under: requests{limit: int64(cfg.MaxRequests)}, guard: newGuard(cfg.Access, false)}
	a.table = a.routes()
	a.describeAll()
	return a
}

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.guard.pass(w, r, a.route)
}

func (a *api) route(w http.ResponseWriter, r *http.Request) {
	rt, raw, p := a.find(r)
	role := RolePublic
	if rt != nil {
		role = rt.role
	}
	if rt == nil || !rt.probe {
		if refused := a.guard.refuse(r, role); refused != nil {
			p = refused
		}
		if full := a.under.begin(); full != nil {
			p = full
		}
		defer a.under.end()
	}
	if p != nil {
		p.write(w, r)
		return
	}
	rt.serve(w, r, raw)
}

func serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeText(w, "ok\n")
}

// readiness is the answer to a probe.
type readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`
}

func (a *api) serveReady(w http.ResponseWriter, _ *http.Request) {
	answer := readiness{Reasons: a.Readiness.Reasons()}
	answer.Ready = len(answer.Reasons) == 0
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, jsonType, answer)
}

// functionList is the answer to a listing.
type functionList struct {
	Items []FunctionInfo `json:"items"`
}

func (a *api) serveIndex(w http.ResponseWriter, _ *http.Request) {
	writeText(w, fmt.Sprintf(`jetfn %s, application %s

POST /v1/call/{namespace}/{type}/{id}    call a function and wait for its answer
GET  /v1/calls/{id}                      the answer to a call in the background
POST /v1/send/{namespace}/{type}/{id}    send a message; the body is its value
GET  /v1/state/{namespace}/{type}/{id}   what an address remembers
GET  /v1/state/{namespace}/{type}        addresses with state, ?after= and ?limit=
PUT  /v1/state/{namespace}/{type}/{id}/{name}   change a state; DELETE removes it
GET  /v1/functions                       the functions
POST /v1/functions/{namespace}/{type}/pause     stop its calls; resume lets them go on
GET  /v1/modules                         revisions of the module; PUT applies another one
GET  /v1/dlq                             dead letters, ?function=, ?after= and ?limit=
GET  /v1/dlq/{id}                        one of them; DELETE drops it
POST /v1/dlq/{id}/replay                 send its message once more
GET  /v1/timers                          delayed messages, ?function=, ?after= and ?limit=
GET  /v1/timers/{id}                     one of them; DELETE cancels it
GET  /v1/top                             what functions and partitions do
GET  /v1/inspect/{namespace}/{type}/{id} what an address does, and what hinders it
GET  /v1/tail/egress                     what happens from now on; or dlq, functions/{namespace}/{type}
GET  /v1/partitions                      whose they are, and how far behind
GET  /v1/log                             what is logged; POST {"level":"debug"} changes it
GET  /healthz  /readyz  /metrics  /openapi.json

Parts of an address are percent-encoded, a slash inside one as %%2F.
`, a.Version, a.App))
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(text)) // fails when the client is gone
}
