package gateway

import (
	"errors"
	"fmt"
	"net/http"
)

// maxLogBody limits the body of a change of the log's level.
const maxLogBody = 4 << 10

// ErrLevel means that a level of the log isn't known.
var ErrLevel = errors.New("unknown level")

// LogLevel is the least severity that is logged.
type LogLevel interface {
	// Level is its name.
	Level() string
	// SetLevel changes it, until the process ends. An unknown name is
	// ErrLevel.
	SetLevel(name string) error
}

// logAnswer is what GET and POST of /v1/log say, and what the latter takes.
type logAnswer struct {
	Level string `json:"level"`
}

// logRoutes are the table's lines for the log.
func (a *api) logRoutes() []route {
	if a.LogLevel == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/log", role: RoleRead, serve: fixed(a.serveLog)},
		{method: http.MethodPost, path: "/v1/log", role: RoleAdmin, serve: fixed(a.serveSetLog)},
	}
}

func (a *api) serveLog(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jsonType, logAnswer{a.LogLevel.Level()})
}

func (a *api) serveSetLog(w http.ResponseWriter, r *http.Request) {
	body, p := bodyOf(w, r, maxLogBody)
	if p != nil {
		p.write(w, r)
		return
	}
	var asked logAnswer
	if p := readJSON(body, &asked, `{"level": "debug"}`); p != nil {
		p.write(w, r)
		return
	}
	if asked.Level == "" {
		problem(badBody, "the body names no level").write(w, r)
		return
	}
	if err := a.LogLevel.SetLevel(asked.Level); err != nil {
		problem(badRequest, fmt.Sprintf("there is no level %q; use trace, debug, info, warn or error", asked.Level)).write(w, r)
		return
	}
	a.serveLog(w, r)
}

// logOperations describe them.
func logOperations() map[string]operation {
	answers := []outcome{{status: http.StatusOK, about: "the least severity that is logged", media: []string{jsonType}, schema: schemaFor[logAnswer]()}}
	return map[string]operation{
		"GET /v1/log": {summary: "The least severity that is logged.", answers: answers},
		"POST /v1/log": {
			summary: `Change it until the process ends. The body is {"level":"debug"}, or trace, info, warn, error.`,
			body:    []string{jsonType}, json: logLevels(), answers: answers, problems: []slug{badBody, badRequest},
		},
	}
}

// logLevels is the schema of a change.
func logLevels() schema {
	level := schema{"type": "string", "enum": []string{"trace", "debug", "info", "warn", "error"}}
	return closed(schema{"type": "object", "properties": map[string]schema{"level": level}, "required": []string{"level"}})
}
