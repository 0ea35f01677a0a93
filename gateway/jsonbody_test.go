package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/gateway"
)

// bodySchema is the schema of a JSON body.
type bodySchema struct {
	Type                 string
	Properties           map[string]bodySchema
	Items                *bodySchema
	AdditionalProperties any
}

// check finds objects that say too little, or allow too much.
func (s *bodySchema) check(t *testing.T, where string) {
	t.Helper()
	switch s.Type {
	case "object":
		if len(s.Properties) == 0 || s.AdditionalProperties != false {
			t.Errorf("%s is an object of the members %v, and others are %v; want some, and no others", where, s.Properties, s.AdditionalProperties)
		}
		for name, p := range s.Properties {
			p.check(t, where+"."+name)
		}
	case "array":
		if s.Items == nil {
			t.Errorf("%s is an array of anything", where)
			return
		}
		s.Items.check(t, where+"[]")
	case "string", "integer":
	default:
		t.Errorf("%s has the type %q", where, s.Type)
	}
}

func TestJSONBodiesAreObjectsAsTheyAreDescribed(t *testing.T) {
	t.Parallel()
	h := whole(gateway.Access{})
	good := map[string]string{
		"POST /v1/log":    `{"level":"debug"}`,
		"PUT /v1/modules": `{"files":[{"name":"a","text":"b"}],"by":"Ada"}`,
	}
	for path, operations := range describe(t, h).Paths {
		for method, op := range operations {
			content, ok := op.RequestBody.Content["application/json"]
			if !ok {
				continue
			}
			route := strings.ToUpper(method) + " " + path
			if content.Schema.Type != "object" {
				t.Errorf("the body of %s has the type %q, want object", route, content.Schema.Type)
			}
			content.Schema.check(t, route)
			body, ok := good[route]
			if !ok {
				t.Errorf("%s takes JSON: put a body that it takes into this test", route)
				continue
			}
			delete(good, route)
			put := func(body string) int {
				w := serve(h, request(strings.ToUpper(method), path, body, "Content-Type", "application/json"))
				if w.Code != http.StatusOK {
					wantProblem(t, w, http.StatusBadRequest, "bad-body", false)
				}
				return w.Code
			}
			if got := put(" " + body + "\n"); got != http.StatusOK {
				t.Errorf("%s with %s = %d, want 200", route, body, got)
			}
			for what, bad := range map[string]string{
				"nothing": "", "an array": "[" + body + "]", "an empty array": "[]", "a text": `"level"`, "a number": "1", "true": "true", "null": "null",
				"an object without members": "{}", "an unknown member": `{"unknown":1,` + body[1:], "text behind it": body + " x", "another object behind it": body + body,
				"half of it": body[:len(body)-1], "a comment": body + "// why", "invalid UTF-8": strings.Replace(body, ":", ":\xff", 1),
				"invalid UTF-8 in a text": strings.Replace(body, `"}`, "\xff\"}", 1), "a byte order mark": "\ufeff" + body,
			} {
				if got := put(bad); got != http.StatusBadRequest {
					t.Errorf("%s with %s, %q, = %d, want 400", route, what, bad, got)
				}
			}
		}
	}
	for route := range good {
		t.Errorf("%s is not described as one that takes JSON", route)
	}
}

func TestAMemberOfAFileThatNobodyKnowsIsRefused(t *testing.T) {
	t.Parallel()
	body := `{"files":[{"name":"a","text":"b","mode":"x"}]}`
	w := serve(whole(gateway.Access{}), request("PUT", "/v1/modules", body, "Content-Type", "application/json"))
	wantProblem(t, w, http.StatusBadRequest, "bad-body", false)
}

func TestAServerWithoutTablesSaysSo(t *testing.T) {
	t.Parallel()
	h := whole(gateway.Access{})
	d := describe(t, h)
	for _, c := range []struct{ method, target string }{
		{"GET", "/v1/state/example/greeter/Bob?table=items"},
		{"GET", "/v1/state/example/greeter/Bob/items%2Fpen"},
		{"PUT", "/v1/state/example/greeter/Bob/items%2Fpen"},
		{"DELETE", "/v1/state/example/greeter/Bob/items%2Fpen"},
	} {
		w := serve(h, request(c.method, c.target, "x", "Content-Type", "text/plain"))
		wantProblem(t, w, http.StatusNotImplemented, "unsupported", false)
		r := request(c.method, c.target, "")
		if op, ok := d.find(r); !ok || op.Responses["501"].Description == "" {
			t.Errorf("%s %s is described without 501", c.method, c.target)
		}
	}
}
