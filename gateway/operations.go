package gateway

import "net/http"

// operations describe the routes, by "METHOD path" as the table has them. A
// test compares the two.
func operations() map[string]operation {
	text := schema{"type": "string"}
	all := map[string]operation{
		"GET /": {
			summary: "What is here.",
			answers: []outcome{{status: http.StatusOK, about: "a page", media: []string{textType}, schema: text}},
		},
		"GET /healthz": {
			summary: "Whether the process is alive.",
			answers: []outcome{{status: http.StatusOK, about: "it is", media: []string{textType}, schema: text}},
		},
		"GET /readyz": {
			summary: "Whether the application takes messages.",
			answers: []outcome{
				{status: http.StatusOK, about: "it does", media: []string{jsonType}, schema: schemaFor[readiness]()},
				{status: http.StatusServiceUnavailable, about: "not yet, and why", media: []string{jsonType}, schema: schemaFor[readiness]()},
			},
		},
		"GET /metrics": {
			summary: "Metrics in Prometheus' format.",
			answers: []outcome{{status: http.StatusOK, about: "the metrics", media: []string{textType}, schema: text}},
		},
		"GET /openapi.json": {
			summary: "This document.",
			answers: []outcome{{status: http.StatusOK, about: "this document", media: []string{jsonType}, schema: schema{"type": "object"}}},
		},
	}
	for _, group := range []map[string]operation{messageOperations(), stateOperations(), stateEditOperations(), functionOperations(), letterOperations(), timerOperations(), logOperations(), moduleOperations(), overviewOperations(), tailOperations()} {
		for route, op := range group {
			all[route] = op
		}
	}
	return all
}

// durationPattern is that of Go's durations, less those of many years.
const durationPattern = `^([0-9]{1,4}(\.[0-9]{1,9})?(ns|us|ms|s|m|h))+$`

// valueParameters are how a request says what its body is.
func valueParameters() (query, header []parameter) {
	about := "type of the value, namespace/name; without it the media type says it"
	return []parameter{{name: "valueType", about: about, schema: schema{"type": "string"}}},
		[]parameter{{name: "Jetfn-Type", about: about, schema: schema{"type": "string"}}}
}

func messageOperations() map[string]operation {
	query, header := valueParameters()
	duration := schema{"type": "string", "examples": []string{"10s"}, "pattern": durationPattern}
	delayed := append(query, parameter{name: "delay", about: "deliver it after this time, such as 10s", schema: duration})
	key := parameter{name: "Idempotency-Key", about: "do it once, however often it is asked for", schema: schema{"type": "string", "maxLength": maxKey}}
	header = append(header, parameter{name: "Jetfn-Delay", about: "the same as delay", schema: duration}, key)
	return map[string]operation{
		"POST /v1/send/{namespace}/{type}/{id}": {
			summary: "Send a message to a function. Its value is the body.",
			query:   delayed, header: header, body: []string{"text/plain", "application/octet-stream"},
			answers:  []outcome{{status: http.StatusAccepted, about: "the message is stored", media: []string{jsonType}, schema: schemaFor[sent]()}},
			problems: []slug{badBody, badRequest, unknownFunction, tooLarge, badType, keyMismatch, notReady, timeout},
		},
		"POST /v1/call/{namespace}/{type}/{id}": {
			summary: "Call a function and wait for its reply. The value is the body.",
			query: []parameter{
				query[0],
				{name: "timeout", about: "how long to wait, such as 30s, 10m at most", schema: duration},
			},
			header: []parameter{header[0], key, {name: "Prefer", about: "respond-async: don't wait", schema: schema{"type": "string"}}},
			body:   []string{"text/plain", "application/octet-stream"}, answers: replies(), problems: callProblems(),
		},
		"GET /v1/calls/{id}": {
			summary: "What became of a call.", answers: replies(), problems: callProblems(),
		},
	}
}

// replies are the answers to a call.
func replies() []outcome {
	return []outcome{
		{status: http.StatusOK, about: "the reply, of the type in Jetfn-Type", media: []string{textType, jsonType, "application/octet-stream"}, headers: []string{"Jetfn-Type", "Jetfn-Call-Id"}},
		{status: http.StatusAccepted, about: "there is none yet; Location is where it will be", media: []string{jsonType}, schema: schema{"type": "object"}, headers: []string{"Location", "Retry-After"}},
		{status: http.StatusNoContent, about: "a reply without a value", headers: []string{"Jetfn-Call-Id"}},
	}
}

func callProblems() []slug {
	return []slug{badAddress, badBody, badRequest, unknownFunction, notFound, tooLarge, badType, keyMismatch, functionFailed, paused, notReady, timeout}
}

func stateOperations() map[string]operation {
	return map[string]operation{
		"GET /v1/state/{namespace}/{type}/{id}": {
			summary: "What an address remembers: its values or, with table, entries of its tables.",
			query: append([]parameter{{name: "table", about: "entries of this table, or of all with *, in the order of their keys", schema: schema{"type": "string"}}},
				pageParameters()...),
			answers:  []outcome{{status: http.StatusOK, about: "its state", media: []string{jsonType}, schema: schemaFor[AddressState]()}},
			problems: []slug{badRequest, notFound, notReady, timeout, unsupported},
		},
		"GET /v1/state/{namespace}/{type}": {
			summary:  "The addresses of a type that have state.",
			query:    pageParameters(),
			answers:  []outcome{{status: http.StatusOK, about: "a page of them", media: []string{jsonType}, schema: schemaFor[statePage]()}},
			problems: []slug{badRequest, notReady, timeout},
		},
	}
}

// stateEditOperations are the changes of states.
func stateEditOperations() map[string]operation {
	match := parameter{name: "If-Match", about: "the revision that the state has to have, or *", schema: schema{"type": "string", "pattern": `^(\*|"?[0-9]{1,19}"?)$`}}
	changed := []outcome{{status: http.StatusOK, about: "the state as it is now", media: []string{jsonType}, schema: schemaFor[AddressState](), headers: []string{"Etag"}}}
	query, header := valueParameters()
	problems := []slug{badBody, badRequest, unknownFunction, notFound, revisionDiffers, tooLarge, badType, unsupported, notReady, timeout}
	return map[string]operation{
		"GET /v1/state/{namespace}/{type}/{id}/{name}": {
			summary: "One value of an address, or one entry, <table>%2F<key>, of a table.", answers: changed, problems: []slug{badRequest, notFound, notReady, timeout, unsupported},
		},
		"PUT /v1/state/{namespace}/{type}/{id}/{name}": {
			summary: "Set a value of an address, or an entry <table>%2F<key>, between two of its calls. The value is the body.",
			query:   query, header: append(header, match), body: []string{"text/plain", "application/octet-stream"},
			answers: changed, problems: problems,
		},
		"DELETE /v1/state/{namespace}/{type}/{id}/{name}": {
			summary: "Remove a value or an entry of an address.", header: []parameter{match}, answers: changed, problems: problems,
		},
		"DELETE /v1/state/{namespace}/{type}/{id}": {
			summary: "Remove all values of an address.", header: []parameter{match}, answers: changed, problems: problems,
		},
	}
}

func functionOperations() map[string]operation {
	answers := []outcome{{status: http.StatusOK, about: "what holds now", media: []string{jsonType}, schema: schemaFor[pausedAnswer]()}}
	problems := []slug{unknownFunction, notReady, timeout}
	return map[string]operation{
		"GET /v1/functions": {
			summary: "The functions that the modules declare.",
			answers: []outcome{{status: http.StatusOK, about: "all of them", media: []string{jsonType}, schema: schemaFor[functionList]()}},
		},
		"POST /v1/functions/{namespace}/{type}/pause": {
			summary: "Begin no more calls of a function, or of a namespace as ns/*.", answers: answers, problems: problems,
		},
		"POST /v1/functions/{namespace}/{type}/resume": {
			summary: "Let the calls of a function go on.", answers: answers, problems: problems,
		},
		"POST /v1/functions/{namespace}/{type}/{id}/pause": {
			summary: "Begin no more calls of an address.", answers: answers, problems: append(problems, badAddress),
		},
		"POST /v1/functions/{namespace}/{type}/{id}/resume": {
			summary: "Let the calls of an address go on.", answers: answers, problems: append(problems, badAddress),
		},
		"GET /v1/functions/{namespace}/{type}/paused": {
			summary:  "The addresses of a function that are paused, and why.",
			query:    pageParameters(),
			answers:  []outcome{{status: http.StatusOK, about: "a page of them", media: []string{jsonType}, schema: schemaFor[pausedPage]()}},
			problems: []slug{badRequest, unknownFunction},
		},
	}
}

// pageParameters are how a request says which page of a listing it wants.
func pageParameters() []parameter {
	return []parameter{
		{name: "after", about: "the page's beginning: next of the page before", schema: schema{"type": "string"}},
		{name: "limit", about: "how many at most", schema: schema{"type": "integer", "minimum": 1, "maximum": maxPage, "default": defaultPage}},
	}
}

func letterOperations() map[string]operation {
	function := parameter{name: "function", about: "those of one function only, namespace/type", schema: schema{"type": "string", "pattern": "^[^/]+/[^/]+$"}}
	which := []parameter{function, {name: "all", about: "true: of all functions", schema: schema{"type": "string", "enum": []string{"true"}}}}
	listed := append(pageParameters(),
		parameter{name: "until", about: "until of the page before: leaves out what came later", schema: schema{"type": "string", "pattern": "^[0-9]{1,19}$"}},
		parameter{name: "replayed", about: "only those that were replayed, or were not", schema: schema{"type": "boolean"}})
	letter := []outcome{{status: http.StatusOK, about: "the dead letter", media: []string{jsonType}, schema: schemaFor[DeadLetter]()}}
	return map[string]operation{
		"GET /v1/dlq": {
			summary: "Dead letters, the oldest first.", query: append([]parameter{function}, listed...),
			answers:  []outcome{{status: http.StatusOK, about: "a page of them", media: []string{jsonType}, schema: schemaFor[letterPage]()}},
			problems: []slug{badRequest, notFound, notReady, timeout},
		},
		"DELETE /v1/dlq": {
			summary: "Remove the dead letters of a function, or all.", query: which,
			answers:  []outcome{{status: http.StatusOK, about: "how many are gone", media: []string{jsonType}, schema: schemaFor[dropped]()}},
			problems: []slug{badRequest, notReady, timeout},
		},
		"POST /v1/dlq/replay": {
			summary: "Send the messages of a page of dead letters once more.", query: append(which, listed...),
			answers:  []outcome{{status: http.StatusOK, about: "what became of them", media: []string{jsonType}, schema: schemaFor[ReplayedPage]()}},
			problems: []slug{badRequest, notFound, notReady, timeout},
		},
		"GET /v1/dlq/{id}": {
			summary: "One dead letter.", answers: letter, problems: []slug{notFound, notReady, timeout},
		},
		"DELETE /v1/dlq/{id}": {
			summary:  "Remove a dead letter for ever.",
			answers:  []outcome{{status: http.StatusOK, about: "it is gone", media: []string{jsonType}, schema: schemaFor[dropped]()}},
			problems: []slug{notFound, notReady, timeout},
		},
		"POST /v1/dlq/{id}/replay": {
			summary: "Send a dead letter's message once more, to the end of its mailbox.", answers: letter,
			problems: []slug{notFound, unknownFunction, alreadyReplayed, tooLarge, badType, notReady, timeout},
		},
	}
}
