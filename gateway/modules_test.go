package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/gateway"
)

// revisions is a module whose newest revision is 7.
type revisions struct{ asked *gateway.ModuleChange }

func (revisions) Revisions(context.Context) ([]gateway.ModuleInfo, error) {
	return []gateway.ModuleInfo{{Revision: 7, Origin: "apply", InPlace: true}}, nil
}

func (revisions) Revision(_ context.Context, n uint64) (gateway.ModuleRevision, error) {
	if n > 7 {
		return gateway.ModuleRevision{}, gateway.ErrNotFound
	}
	return gateway.ModuleRevision{Revision: 7, Files: []gateway.ModuleFile{{Name: "m.yaml", Text: "kind: x"}}}, nil
}

func (r revisions) ApplyModule(_ context.Context, c *gateway.ModuleChange) (gateway.ModuleApplied, error) {
	if r.asked != nil {
		*r.asked = *c
	}
	switch {
	case c.Expected != nil && *c.Expected != 7:
		return gateway.ModuleApplied{}, gateway.ErrRevision
	case len(c.Files) > 0 && c.Files[0].Text == "bad":
		return gateway.ModuleApplied{}, &gateway.ModuleError{Diagnostics: []gateway.Diagnostic{
			{File: "m.yaml", Line: 1, Column: 2, Severity: "error", Message: "one"}, {File: "m.yaml", Line: 3, Column: 4, Severity: "error", Message: "two"},
		}}
	}
	return gateway.ModuleApplied{Revision: 8, Changed: true}, nil
}

func TestAModuleIsAskedForAsTheClientSaid(t *testing.T) {
	t.Parallel()
	var asked gateway.ModuleChange
	app := &fakeApp{}
	h := gateway.NewAPI(gateway.APIConfig{Sender: app, Caller: app, States: app, Functions: app, Readiness: app, Modules: revisions{&asked}})
	const yaml, json = "application/yaml", "application/json"
	for name, c := range map[string]struct {
		media, body, match, by string
		want                   int
		slug                   string
	}{
		"YAML":                 {media: yaml, body: "kind: x", want: 200},
		"files":                {media: json, body: `{"files":[{"name":"a","text":"b"}],"by":"Ada\u0000"}`, want: 200, match: `"7"`},
		"a rollback":           {media: json, body: `{"rollback":3}`, want: 200},
		"both":                 {media: json, body: `{"rollback":3,"files":[{"name":"a","text":"b"}]}`, want: 400, slug: "bad-body"},
		"neither":              {media: json, body: `{}`, want: 400, slug: "bad-body"},
		"an unknown member":    {media: json, body: `{"file":[]}`, want: 400, slug: "bad-body"},
		"a file without name":  {media: json, body: `{"files":[{"text":"b"}]}`, want: 400, slug: "bad-body"},
		"two of one name":      {media: json, body: `{"files":[{"name":"a","text":"b"},{"name":"a","text":"c"}]}`, want: 400, slug: "bad-body"},
		"bytes":                {media: yaml, body: "\xff", want: 400, slug: "bad-body"},
		"another type":         {media: "application/pdf", body: "x", want: 415, slug: "bad-type"},
		"another revision":     {media: yaml, body: "kind: x", match: "6", want: 409, slug: "revision-conflict"},
		"any revision":         {media: yaml, body: "kind: x", match: "*", want: 400, slug: "bad-request"},
		"no revision":          {media: yaml, body: "kind: x", match: "x", want: 400, slug: "bad-request"},
		"a module of problems": {media: yaml, body: "bad", want: 422, slug: "invalid-module"},
	} {
		header := []string{"Content-Type", c.media}
		if c.match != "" {
			header = append(header, "If-Match", c.match)
		}
		w := serve(h, request(http.MethodPut, "/v1/modules", c.body, header...))
		if w.Code != c.want || c.slug != "" && !strings.Contains(w.Body.String(), `"urn:jetfn:problem:`+c.slug+`"`) {
			t.Errorf("PUT of %s = %d %s, want %d %s", name, w.Code, w.Body, c.want, c.slug)
		}
		if c.slug == "invalid-module" && !strings.Contains(w.Body.String(), `{"file":"m.yaml","line":3,"column":4,"severity":"error","message":"two"}`) {
			t.Errorf("the problem of %s has no second diagnostic: %s", name, w.Body)
		}
	}
	serve(h, request(http.MethodPut, "/v1/modules", `{"rollback":3,"by":"Ada\u0000\n"}`, "Content-Type", json, "If-Match", `"7"`))
	if asked.Rollback != 3 || !strings.HasPrefix(asked.By, "Ada at ") || asked.Expected == nil || *asked.Expected != 7 {
		t.Errorf("asked for %+v", asked)
	}
	serve(h, request(http.MethodPut, "/v1/modules?by="+strings.Repeat("%C3%A9", 101), "kind: x", "Content-Type", yaml))
	if by, _, _ := strings.Cut(asked.By, " at "); by != strings.Repeat("é", 100) {
		t.Errorf("%d bytes are noted of who asked, want 200 at most and no half letter: %q", len(by), by)
	}
}

func TestARevisionIsNamedByItsNumberOrAsTheNewest(t *testing.T) {
	t.Parallel()
	h := whole(gateway.Access{})
	for name, want := range map[string]int{"7": 200, "newest": 200, "8": 404, "0": 404, "-1": 404, "x": 404, "07": 200} {
		w := serve(h, request("GET", "/v1/modules/"+name, ""))
		if w.Code != want {
			t.Errorf("GET of revision %s = %d %s, want %d", name, w.Code, w.Body, want)
		} else if want == http.StatusOK && w.Header().Get("Etag") != `"7"` {
			t.Errorf("the revision %s has the tag %s, want its number", name, w.Header().Get("Etag"))
		}
	}
	if w := serve(h, request("GET", "/v1/modules", "")); w.Header().Get("Etag") != `"7"` {
		t.Errorf("the list of revisions has the tag %s, want the newest one's number", w.Header().Get("Etag"))
	}
	w := serve(h, request("PUT", "/v1/modules", "kind: x", "Content-Type", "application/yaml", "If-Match", "6"))
	if p := wantProblem(t, w, http.StatusConflict, "revision-conflict", false); !strings.Contains(p.Title, "module") {
		t.Errorf("the problem's title is %q, want that it is about the module", p.Title)
	}
}
