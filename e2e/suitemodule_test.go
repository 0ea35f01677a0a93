//go:build e2e

package e2e_test

import (
	"fmt"
	"strings"
)

const suiteEgresses = `
kind: io.jetfn.nats.v1/egress
spec:
  id: suite/out
---
kind: io.jetfn.nats.v1/egress
spec:
  id: suite/raw
`

const suiteModule3 = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: suite/*
  urlPathTemplate: http://127.0.0.1:%d/functions
  maxConcurrentRequests: %d
  failure: {attempts: 3, backoff: {min: 10ms, max: 50ms}}
`

// suiteFunction2 is a function in format 2.0, which StateFun 2.1 and 2.2 read.
const suiteFunction2 = `
      - function:
          meta:
            kind: http
            type: suite/%s
          spec:
            endpoint: http://127.0.0.1:%d/functions
            maxConcurrentRequests: %d
            failure: {attempts: 3, backoff: {min: 10ms, max: 50ms}}
            states: [%s]`

// suiteModule2 declares what an SDK of 2.x can't: each function and its
// states.
func suiteModule2(port, maxConcurrent int) string {
	states := []struct{ function, states string }{
		{"counter", "{name: seen}"},
		{"fails", "{name: seen}"},
		{"types", "{name: a_bool}, {name: an_int}, {name: a_long}, {name: a_float}, {name: a_double}, {name: a_string}, {name: a_custom}"},
		{"expiring", "{name: written, expireAfter: 4s, expireMode: after-write}, {name: called, expireAfter: 4s, expireMode: after-invoke}"},
		{"delay", ""},
		{"asker", ""},
		{"answerer", ""},
		{"fan", "{name: expected}, {name: answered}"},
		{"leaf", ""},
		{"echo", ""},
		{"unbound", ""},
	}
	var b strings.Builder
	b.WriteString("version: \"2.0\"\nmodule:\n  meta: {type: remote}\n  spec:\n    functions:")
	for _, s := range states {
		fmt.Fprintf(&b, suiteFunction2, s.function, port, maxConcurrent, s.states)
	}
	return b.String() + "\n"
}

const (
	suiteModuleNATS = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: suite/*
  urlPathTemplate: nats://jetfn-functions
  failure: {attempts: 3, backoff: {min: 10ms, max: 50ms}}
`
	// suiteModuleInside binds nothing: what it declares is used by nobody.
	suiteModuleInside = `
kind: io.jetfn.nats.v1/egress
spec:
  id: suite/unused
`
)

// module is what jetfn runs the SDK's program with.
func (k sdk) module(port int) string {
	switch k.over {
	case overHTTP:
	case overNATS:
		return suiteModuleNATS
	case inProcess:
		return suiteModuleInside
	}
	if k.twoPointX {
		return suiteModule2(port, k.maxConcurrent)
	}
	return fmt.Sprintf(suiteModule3, port, k.maxConcurrent)
}
