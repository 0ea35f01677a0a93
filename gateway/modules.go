package gateway

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jetfn/jetfn/actor"
)

// Modules shows the application's module, and changes it.
type Modules interface {
	// Revisions are those that are kept, the newest first.
	Revisions(ctx context.Context) ([]ModuleInfo, error)
	// Revision is one of them; the newest one if the number is zero. Its error
	// is ErrNotFound if it isn't kept.
	Revision(ctx context.Context, number uint64) (ModuleRevision, error)
	// ApplyModule makes a revision and puts it in place. Its error is a
	// *ModuleError if the module can't be used, and ErrRevision if the newest
	// revision is another one than the client expects.
	ApplyModule(ctx context.Context, c *ModuleChange) (ModuleApplied, error)
}

// ModuleInfo is a revision of the module.
type ModuleInfo struct {
	Revision  uint64 `json:"revision"`
	AppliedAt string `json:"appliedAt"`
	By        string `json:"by"`
	Origin    string `json:"origin"`       // "files", "apply" or "rollback"
	Of        uint64 `json:"of,omitempty"` // the revision that a rollback took up
	Summary   string `json:"summary"`
	InPlace   bool   `json:"inPlace"` // at the worker that answers
	// Problem is why that worker can't use it; empty: it can, or another one
	// is newer.
	Problem string `json:"problem,omitempty"`
}

// ModuleRevision is a revision with its text. Variables are not expanded, and
// secrets that stand in it literally are replaced by ***.
type ModuleRevision struct {
	Revision  uint64            `json:"revision"`
	AppliedAt string            `json:"appliedAt"`
	By        string            `json:"by"`
	Origin    string            `json:"origin"`
	Of        uint64            `json:"of,omitempty"`
	Summary   string            `json:"summary"`
	InPlace   bool              `json:"inPlace"`
	Problem   string            `json:"problem,omitempty"`
	Files     []ModuleFile      `json:"files"`
	Removed   []RemovedFunction `json:"removed,omitempty"`
}

// ModuleFile is a file of a module.
type ModuleFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// RemovedFunction is one whose messages wait for it to come back.
type RemovedFunction struct {
	Functions string `json:"functions"` // ns/name or ns/*
	At        string `json:"at"`        // when it was removed
	Until     string `json:"until"`     // when its messages become dead letters
}

// ModuleChange is what a client wants the module to be.
type ModuleChange struct {
	Files    []ModuleFile // either these
	Rollback uint64       // or what this revision was
	By       string
	// Expected is the newest revision that there has to be; nil: any.
	Expected *uint64
}

// ModuleApplied is what became of it.
type ModuleApplied struct {
	Revision uint64       `json:"revision"`
	Changed  bool         `json:"changed"` // false: the newest revision says the same
	Summary  string       `json:"summary"`
	Warnings []Diagnostic `json:"warnings,omitempty"`
}

// Diagnostic is a problem of a module.
type Diagnostic struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // from 1; zero: the file as a whole
	Column   int    `json:"column"`
	Severity string `json:"severity"` // "error" or "warning"
	Key      string `json:"key,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

// ModuleError means that a module can't be used.
type ModuleError struct{ Diagnostics []Diagnostic }

func (e *ModuleError) Error() string {
	if len(e.Diagnostics) == 1 {
		return e.Diagnostics[0].Message
	}
	return fmt.Sprintf("the module has %d problems", len(e.Diagnostics))
}

// maxBy is the most that a client may say of who it is.
const maxBy = 200

// moduleRoutes are the table's lines for the module.
func (a *api) moduleRoutes() []route {
	if a.Modules == nil {
		return nil
	}
	return []route{
		{method: http.MethodGet, path: "/v1/modules", role: RoleRead, serve: fixed(a.serveModules)},
		{method: http.MethodGet, path: "/v1/modules/{revision}", role: RoleRead, serve: a.serveModule},
		{method: http.MethodPut, path: "/v1/modules", role: RoleAdmin, serve: fixed(a.serveApply)},
	}
}

// moduleList is the answer to a listing.
type moduleList struct {
	Items []ModuleInfo `json:"items"`
}

func (a *api) serveModules(w http.ResponseWriter, r *http.Request) {
	items, err := a.Modules.Revisions(r.Context())
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	if len(items) > 0 {
		w.Header().Set("Etag", etag(items[0].Revision))
	}
	writeJSON(w, http.StatusOK, jsonType, moduleList{Items: items})
}

func (a *api) serveModule(w http.ResponseWriter, r *http.Request, raw []string) {
	number := uint64(0)
	if raw[0] != "newest" {
		var err error
		if number, err = strconv.ParseUint(raw[0], 10, 64); err != nil || number == 0 {
			problem(notFound, fmt.Sprintf("%q is no revision; write its number, or newest", raw[0])).write(w, r)
			return
		}
	}
	revision, err := a.Modules.Revision(r.Context(), number)
	if err != nil {
		a.fail(w, r, problemOf(err, false), actor.Address{})
		return
	}
	w.Header().Set("Etag", etag(revision.Revision))
	writeJSON(w, http.StatusOK, jsonType, revision)
}

func (a *api) serveApply(w http.ResponseWriter, r *http.Request) {
	change, p := a.moduleChange(w, r)
	if p != nil {
		p.write(w, r)
		return
	}
	applied, err := a.Modules.ApplyModule(r.Context(), change)
	if err != nil {
		p := problemOf(err, true)
		if p.Status == http.StatusConflict {
			p.Title = "The module is another one than expected"
		}
		a.fail(w, r, p, actor.Address{})
		return
	}
	w.Header().Set("Etag", etag(applied.Revision))
	writeJSON(w, http.StatusOK, jsonType, applied)
}

func etag(revision uint64) string { return strconv.Quote(strconv.FormatUint(revision, 10)) }

// moduleRequest is a change as JSON.
type moduleRequest struct {
	Files    []ModuleFile `json:"files,omitempty"`
	Rollback uint64       `json:"rollback,omitempty"`
	By       string       `json:"by,omitempty"`
}

// moduleChange reads what a client wants.
func (a *api) moduleChange(w http.ResponseWriter, r *http.Request) (*ModuleChange, *Problem) {
	expected, p := revisionOf(r)
	if p != nil {
		return nil, p
	}
	if expected.any {
		return nil, problem(badRequest, "If-Match * says nothing here: there is always a module; write the number of the newest revision, or leave it out")
	}
	body, p := bodyOf(w, r, a.MaxBodyBytes)
	if p != nil {
		return nil, p
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		media = ""
	}
	request := moduleRequest{By: r.URL.Query().Get("by")}
	switch media {
	case "application/yaml", "application/x-yaml", "text/yaml", "text/plain":
		request.Files = []ModuleFile{{Name: "module.yaml", Text: string(body)}}
	case jsonType:
		if p := readJSON(body, &request, `{"files": [{"name", "text"}]} or {"rollback": revision}`); p != nil {
			return nil, p
		}
	default:
		return nil, problem(badType, fmt.Sprintf("a module is application/yaml, or application/json of the form {\"files\": [{\"name\", \"text\"}]}, and not %q", media))
	}
	change := &ModuleChange{Files: request.Files, Rollback: request.Rollback, By: who(r, request.By)}
	if expected.given {
		change.Expected = &expected.number
	}
	return change, request.check()
}

func (m *moduleRequest) check() *Problem {
	switch {
	case len(m.Files) > 0 && m.Rollback > 0:
		return problem(badBody, "files and rollback exclude each other")
	case len(m.Files) == 0 && m.Rollback == 0:
		return problem(badBody, "there are no files and no revision to roll back to")
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		switch {
		case f.Name == "" || seen[f.Name]:
			return problem(badBody, fmt.Sprintf("each file needs a name of its own, and %q is none", f.Name))
		case !utf8.ValidString(f.Text):
			return problem(badBody, fmt.Sprintf("the file %q is not valid UTF-8", f.Name))
		}
		seen[f.Name] = true
	}
	return nil
}

// who is what a client says of itself, and where it is.
func who(r *http.Request, by string) string {
	by = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(by, ""))
	if by == "" {
		by = "somebody"
	}
	for len(by) > maxBy {
		_, size := utf8.DecodeLastRuneInString(by)
		by = by[:len(by)-size]
	}
	return by + " at " + r.RemoteAddr
}

// diagnosed is the problem of a module that can't be used.
func diagnosed(err error) (*Problem, bool) {
	var bad *ModuleError
	if !errors.As(err, &bad) {
		return nil, false
	}
	p := problem(invalidModule, err.Error())
	p.Diagnostics = bad.Diagnostics
	return p, true
}

func moduleOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/modules": {
			summary:  "The revisions of the module that are kept, the newest first.",
			answers:  []outcome{{status: http.StatusOK, about: "all of them", media: []string{jsonType}, schema: schemaFor[moduleList](), headers: []string{"Etag"}}},
			problems: []slug{notReady, timeout},
		},
		"GET /v1/modules/{revision}": {
			summary:  "A revision of the module with its text, by its number, or newest.",
			answers:  []outcome{{status: http.StatusOK, about: "the revision", media: []string{jsonType}, schema: schemaFor[ModuleRevision](), headers: []string{"Etag"}}},
			problems: []slug{notFound, notReady, timeout},
		},
		"PUT /v1/modules": {
			summary: "Make another module take effect on all workers: files, or what an earlier revision was.",
			query:   []parameter{{name: "by", about: "who asks, for the list of revisions", schema: schema{"type": "string", "maxLength": maxBy}}},
			header:  []parameter{{name: "If-Match", about: "the newest revision that there has to be", schema: schema{"type": "string"}}},
			body:    []string{jsonType, "application/yaml", "text/plain"}, json: closed(schemaFor[moduleRequest]()),
			answers:  []outcome{{status: http.StatusOK, about: "the newest revision now", media: []string{jsonType}, schema: schemaFor[ModuleApplied](), headers: []string{"Etag"}}},
			problems: []slug{badBody, badRequest, notFound, revisionDiffers, tooLarge, badType, invalidModule, notReady, timeout},
		},
	}
}
