package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// operation describes what a route does, for the document at /openapi.json.
// What all routes share is added to it.
type operation struct {
	summary string
	query   []parameter
	header  []parameter
	body    []string  // media types of the body; none: there is none
	json    schema    // of a JSON body
	answers []outcome // those of success, and others that are no problems
	// problems are those of its own; what the guard and the listener answer is
	// added.
	problems []slug
}

// parameter is one of the query or of the headers.
type parameter struct {
	name, about string
	schema      schema
}

// outcome is one way in which a request ends well.
type outcome struct {
	status  int
	about   string
	media   []string // none: no body
	schema  schema
	headers []string
}

// openAPI is the document that describes the table of routes.
func (a *api) openAPI() ([]byte, error) {
	paths := map[string]map[string]any{}
	described := operations()
	for i := range a.table {
		rt := &a.table[i]
		if paths[rt.path] == nil {
			paths[rt.path] = map[string]any{}
		}
		paths[rt.path][strings.ToLower(rt.method)] = rt.describe(described[rt.method+" "+rt.path])
	}
	return json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "jetfn", "version": a.Version,
			"description": "Stateful functions on NATS JetStream. Parts of an address are percent-encoded, a slash inside one as %2F. Every error is a problem document (RFC 9457).",
		},
		"components": map[string]any{
			"schemas":         map[string]any{"Problem": problemSchema()},
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		"paths": paths,
	}, "", "  ")
}

// describe is one operation of the document.
func (rt *route) describe(op operation) map[string]any {
	out := map[string]any{
		"operationId": rt.operationID(), "summary": op.summary, "x-role": rt.role,
		"responses": rt.responses(op), "security": []any{},
	}
	if rt.role != RolePublic { // where no tokens are set none is needed
		out["security"] = []any{map[string]any{"token": []string{}}, map[string]any{}}
	}
	var parameters []any
	for _, part := range rt.parts() {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters = append(parameters, described(strings.TrimSuffix(name, "}"), "path", "", schema{"type": "string", "minLength": 1}))
		}
	}
	for _, p := range op.query {
		parameters = append(parameters, described(p.name, "query", p.about, p.schema))
	}
	for _, p := range op.header {
		parameters = append(parameters, described(p.name, "header", p.about, p.schema))
	}
	if parameters != nil {
		out["parameters"] = parameters
	}
	if len(op.body) > 0 {
		content := map[string]any{}
		for _, media := range op.body {
			content[media] = map[string]any{"schema": op.bodySchema(media)}
		}
		out["requestBody"] = map[string]any{"required": true, "content": content}
	}
	return out
}

func (op *operation) bodySchema(media string) schema {
	if media == "application/json" && op.json != nil {
		return op.json
	}
	return schema{"type": "string"}
}

func described(name, in, about string, s schema) map[string]any {
	p := map[string]any{"name": name, "in": in, "schema": s}
	if about != "" {
		p["description"] = about
	}
	if in == "path" {
		p["required"] = true
	}
	return p
}

// operationID is the method and the words of the path.
func (rt *route) operationID() string {
	words := []string{strings.ToLower(rt.method)}
	for _, part := range rt.parts() {
		if part = strings.Trim(part, "{}"); part != "" && part != "v1" {
			words = append(words, part)
		}
	}
	return strings.Join(words, "-")
}

// responses are an operation's answers and problems by status.
func (rt *route) responses(op operation) map[string]any {
	out := map[string]any{}
	for _, a := range op.answers {
		response := map[string]any{"description": a.about}
		content := map[string]any{}
		for _, media := range a.media {
			s := a.schema
			if s == nil {
				s = schema{}
			}
			content[media] = map[string]any{"schema": s}
		}
		if len(content) > 0 {
			response["content"] = content
		}
		headers := map[string]any{}
		for _, name := range a.headers {
			headers[name] = map[string]any{"schema": schema{"type": "string"}}
		}
		if len(headers) > 0 {
			response["headers"] = headers
		}
		out[strconv.Itoa(a.status)] = response
	}
	for status, slugs := range rt.problems(op) {
		key := strconv.Itoa(status)
		if out[key] != nil {
			continue // the answer has this status, for instance of readiness
		}
		out[key] = map[string]any{
			"description": strings.Join(slugs, ", "),
			"content":     map[string]any{problemType: map[string]any{"schema": schema{"$ref": "#/components/schemas/Problem"}}},
		}
	}
	return out
}

// problems are the slugs of an operation by status, those of all routes
// included.
func (rt *route) problems(op operation) map[int][]string {
	all := append([]slug{busy, internal}, op.problems...)
	if !rt.probe {
		all = append(all, notAllowed)
	}
	if rt.role != RolePublic {
		all = append(all, unauthorized)
	}
	if strings.Contains(rt.path, "{namespace}") {
		all = append(all, badAddress)
	}
	byStatus := map[int][]string{}
	for _, s := range all {
		status, _ := s.statusAndTitle()
		byStatus[status] = append(byStatus[status], string(s))
	}
	return byStatus
}

// problemSchema is a problem, with all the types there are.
func problemSchema() schema {
	types := make([]string, len(slugs()))
	for i, s := range slugs() {
		types[i] = problemPrefix + string(s)
	}
	s := schemaFor[Problem]()
	properties, ok := s["properties"].(map[string]schema)
	if ok {
		properties["type"] = schema{"type": "string", "enum": types}
	}
	return s
}

// describeAll makes the document, once, since the table doesn't change.
func (a *api) describeAll() {
	document, err := a.openAPI()
	if err != nil { // it is all of our own types
		document = []byte("{}")
	}
	a.description = append(document, '\n')
}

func (a *api) serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(a.description) // fails when the client is gone
}
