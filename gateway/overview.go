package gateway

import (
	"context"
	"net/http"

	"github.com/jetfn/jetfn/actor"
)

// Overview is what an application does, at a glance and in detail.
type Overview interface {
	// Partitions tells of each partition.
	Partitions(ctx context.Context) ([]PartitionInfo, error)
	// Top tells of functions and partitions, since the worker began.
	Top(ctx context.Context) (Top, error)
	// Inspect tells what an address has to do, and what hinders it.
	Inspect(ctx context.Context, a actor.Address) (Inspection, error)
}

// PartitionInfo is one partition as clients see it.
type PartitionInfo struct {
	Partition int    `json:"partition"`
	Owner     string `json:"owner"`            // the worker's name
	Up        bool   `json:"up"`               // it takes messages
	Reason    string `json:"reason,omitempty"` // why not
	Epoch     uint64 `json:"epoch"`
	Commits   uint64 `json:"commits"`
	// ApplyLag is how many commits' effects are not all in place.
	ApplyLag int `json:"applyLag"`
	// CheckpointAge is in milliseconds; 0: this owner has written none yet.
	CheckpointAge int64 `json:"checkpointAge"`
	Waiting       int   `json:"waiting"` // messages
	Timers        int   `json:"timers"`
	EgressPending int   `json:"egressPending"`
}

// Top is a sample: whoever wants rates takes two.
type Top struct {
	At        int64           `json:"at"` // Unix milliseconds
	Worker    string          `json:"worker"`
	Inflight  int64           `json:"inflight"`
	Max       int             `json:"maxInflight"`
	Functions []TopFunction   `json:"functions"`
	Parts     []PartitionInfo `json:"partitions"`
}

// TopFunction is what a function type has done since the worker began, and has
// to do.
type TopFunction struct {
	Type        string  `json:"type"`
	In          int64   `json:"in"` // messages
	Done        int64   `json:"done"`
	Calls       int64   `json:"calls"`
	Failures    int64   `json:"failures"`
	Retries     int64   `json:"retries"`
	DeadLetters int64   `json:"deadLetters"`
	Inflight    int64   `json:"inflight"`
	Backlog     int     `json:"backlog"`
	BacklogAge  int64   `json:"backlogAge"` // milliseconds
	Retrying    int     `json:"retrying"`   // addresses
	Latency     float64 `json:"latency"`    // of all calls together, in milliseconds
	P50         float64 `json:"p50"`        // of a call, in milliseconds, about
	P99         float64 `json:"p99"`
	Paused      bool    `json:"paused"`
}

// Inspection is all that is known of one address.
type Inspection struct {
	Address   string          `json:"address"`
	Partition int             `json:"partition"`
	Owner     string          `json:"owner"`
	Function  *FunctionInfo   `json:"function,omitempty"` // nil: no module binds one
	Phase     string          `json:"phase"`
	Paused    bool            `json:"paused"` // it gets no calls
	State     AddressState    `json:"state"`
	Waiting   int             `json:"waiting"`
	InCall    int             `json:"inCall"`             // messages in the call, or waiting for its repetition
	Attempts  int             `json:"attempts"`           // of that call
	FirstAt   int64           `json:"firstAt,omitempty"`  // Unix milliseconds
	CalledAt  int64           `json:"calledAt,omitempty"` // the latest attempt
	LastError *LastError      `json:"lastError,omitempty"`
	Messages  []QueuedMessage `json:"messages"` // the first ones
	Timers    []Timer         `json:"timers"`   // delayed messages to it, the first ones
	// DeadLetter is the newest one of the address.
	DeadLetter *DeadLetter `json:"deadLetter,omitempty"`
}

// LastError is why the latest attempt that failed did.
type LastError struct {
	At         int64  `json:"at"` // Unix milliseconds
	Reason     string `json:"reason"`
	Error      string `json:"error"`
	HTTPStatus int    `json:"httpStatus,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"`
}

// QueuedMessage is a message that waits, or is being handled.
type QueuedMessage struct {
	ID       string  `json:"id"` // source/sequence/index
	Caller   string  `json:"caller,omitempty"`
	Type     string  `json:"type"`
	Bytes    int     `json:"bytes"`
	Text     *string `json:"text,omitempty"` // of a built-in type, shortened
	StoredAt int64   `json:"storedAt"`       // Unix milliseconds
	InCall   bool    `json:"inCall"`
	TraceID  string  `json:"traceId,omitempty"`
}

// overviewRoutes are the table's lines for it.
func (a *api) overviewRoutes() []route {
	if a.Overview == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/partitions", role: RoleRead, serve: fixed(a.servePartitions)},
		{method: http.MethodGet, path: "/v1/top", role: RoleRead, serve: fixed(a.serveTop)},
		{method: http.MethodGet, path: "/v1/inspect/{namespace}/{type}/{id}", role: RoleRead, serve: a.serveInspect},
	}
}

func (a *api) servePartitions(w http.ResponseWriter, r *http.Request) {
	list, err := a.Overview.Partitions(r.Context())
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	writeJSON(w, http.StatusOK, jsonType, partitionList{list})
}

// partitionList is the answer to a listing.
type partitionList struct {
	Items []PartitionInfo `json:"items"`
}

func (a *api) serveTop(w http.ResponseWriter, r *http.Request) {
	top, err := a.Overview.Top(r.Context())
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	writeJSON(w, http.StatusOK, jsonType, top)
}

func (a *api) serveInspect(w http.ResponseWriter, r *http.Request, raw []string) {
	target, p := addressOf(raw)
	if p != nil {
		p.write(w, r)
		return
	}
	page, err := a.Overview.Inspect(r.Context(), target)
	if err != nil {
		a.fail(w, r, problemOf(err, false), target)
		return
	}
	writeJSON(w, http.StatusOK, jsonType, page)
}

// overviewOperations describe them.
func overviewOperations() map[string]operation {
	problems := []slug{notReady, timeout}
	return map[string]operation{
		"GET /v1/partitions": {
			summary: "The partitions: whose they are, and how far behind.",
			answers: []outcome{{status: http.StatusOK, about: "all of them", media: []string{jsonType}, schema: schemaFor[partitionList]()}}, problems: problems,
		},
		"GET /v1/top": {
			summary: "What functions and partitions have done since the worker began, and have to do.",
			answers: []outcome{{status: http.StatusOK, about: "one sample", media: []string{jsonType}, schema: schemaFor[Top]()}}, problems: problems,
		},
		"GET /v1/inspect/{namespace}/{type}/{id}": {
			summary: "All that is known of one address: state, messages, call, failure, timers, newest dead letter.",
			answers: []outcome{{status: http.StatusOK, about: "what there is", media: []string{jsonType}, schema: schemaFor[Inspection]()}}, problems: problems,
		},
	}
}
