package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

var errOnFire = errors.New("disk on fire")

// broken is an application of which nothing works.
type broken struct{ desk }

func (broken) SetPaused(context.Context, actor.PauseKey, bool) error { return errOnFire }

func (broken) EditState(context.Context, actor.Address, actor.Edit) (actor.StateView, error) {
	return actor.StateView{}, errOnFire
}

func (broken) DeadLetters(context.Context, gateway.DeadLetterQuery) ([]gateway.DeadLetter, string, error) {
	return nil, "", errOnFire
}

func (broken) DeadLetter(context.Context, string) (gateway.DeadLetter, error) {
	return gateway.DeadLetter{}, errOnFire
}

func (broken) ReplayDeadLetter(context.Context, string) (gateway.DeadLetter, error) {
	return gateway.DeadLetter{}, errOnFire
}

func (broken) ReplayDeadLetters(context.Context, gateway.DeadLetterQuery) (gateway.ReplayedPage, error) {
	return gateway.ReplayedPage{}, errOnFire
}

func (broken) DropDeadLetter(context.Context, string) error { return errOnFire }

func (broken) DropDeadLetters(context.Context, actor.TypeName) (int, error) { return 0, errOnFire }

func (broken) Timers(context.Context, gateway.TimerQuery) ([]gateway.Timer, string, error) {
	return nil, "", errOnFire
}

func (broken) Timer(context.Context, string) (gateway.Timer, error) {
	return gateway.Timer{}, errOnFire
}

func (broken) CancelTimer(context.Context, string) (gateway.Timer, error) {
	return gateway.Timer{}, errOnFire
}

func (broken) Revisions(context.Context) ([]gateway.ModuleInfo, error) { return nil, errOnFire }

func (broken) Revision(context.Context, uint64) (gateway.ModuleRevision, error) {
	return gateway.ModuleRevision{}, errOnFire
}

func (broken) ApplyModule(context.Context, *gateway.ModuleChange) (gateway.ModuleApplied, error) {
	return gateway.ModuleApplied{}, errOnFire
}

func (broken) Partitions(context.Context) ([]gateway.PartitionInfo, error) { return nil, errOnFire }

func (broken) Top(context.Context) (gateway.Top, error) { return gateway.Top{}, errOnFire }

func (broken) Inspect(context.Context, actor.Address) (gateway.Inspection, error) {
	return gateway.Inspection{}, errOnFire
}

func (broken) Entries(context.Context, actor.Address, string, string, int) (actor.StateView, string, error) {
	return actor.StateView{}, "", errOnFire
}

func (broken) Entry(context.Context, actor.Address, string) (actor.StateView, error) {
	return actor.StateView{}, errOnFire
}

func (broken) EditEntry(context.Context, actor.StateView, actor.Address, string, *actor.Value, time.Duration) (actor.Edited, error) {
	return actor.Edited{}, errOnFire
}

func TestWhatGoesWrongIsAnsweredAndLoggedWhereverItHappens(t *testing.T) {
	t.Parallel()
	app := &fakeApp{
		send: func(context.Context, gateway.Message) (gateway.Receipt, error) { return gateway.Receipt{}, errOnFire },
		state: func(context.Context, actor.Address) (actor.StateView, error) {
			return actor.StateView{}, errOnFire
		},
		states: func(context.Context, actor.TypeName, string, int) ([]gateway.StateItem, string, error) {
			return nil, "", errOnFire
		},
		call: func(context.Context, *gateway.CallRequest) (gateway.CallReply, error) {
			return gateway.CallReply{}, errOnFire
		},
		result: func(context.Context, string) (gateway.CallReply, error) { return gateway.CallReply{}, errOnFire },
	}
	var log bytes.Buffer
	h := gateway.NewAPI(gateway.APIConfig{
		Sender: app, Caller: app, States: app, Functions: app, Readiness: app, Log: zerolog.New(&log),
		Pauses: broken{}, StateEditor: broken{}, DeadLetters: broken{}, DeadLetterDesk: broken{}, Timers: broken{}, Modules: broken{},
		LogLevel: &level{name: "info"}, Overview: broken{}, Tail: glance{}, Tables: broken{},
	})
	fill := strings.NewReplacer("{namespace}", "example", "{type}", "greeter", "{id}", "Bob", "{name}", "seen", "{revision}", "7")
	works := []string{ // without asking any of those
		"/", "/healthz", "/readyz", "/openapi.json", "/v1/functions", "/v1/functions/example/greeter/paused", "/v1/log",
		"/v1/tail/egress", "/v1/tail/dlq", "/v1/tail/functions/example/greeter",
	}
	for path, operations := range describe(t, h).Paths {
		for method := range operations {
			method, target := strings.ToUpper(method), fill.Replace(path)
			body, query := "x", ""
			switch target {
			case "/v1/log":
				body = `{"level":"debug"}`
			case "/v1/dlq", "/v1/dlq/replay":
				query = "?all=true"
				if method == http.MethodGet {
					query = ""
				}
			}
			log.Reset()
			w := serve(h, request(method, target+query, body, "Content-Type", "text/plain"))
			if slices.Contains(works, target) {
				if w.Code != http.StatusOK {
					t.Errorf("%s %s = %d %s, want 200", method, target, w.Code, w.Body)
				}
				continue
			}
			p := wantProblem(t, w, http.StatusInternalServerError, "internal", method != http.MethodGet)
			var line struct {
				Level, Error, Message string
				TraceID               string `json:"trace_id"`
			}
			if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Level != "error" || line.Message != "request failed" ||
				line.Error != errOnFire.Error() || line.TraceID != p.TraceID {
				t.Errorf("%s %s is answered %s and logged %s", method, target, w.Body, log.String())
			}
		}
	}
}
