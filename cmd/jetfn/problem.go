package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/runtime"
)

// problemOf is an error of this process as those of the server look.
func problemOf(err error) gateway.Problem {
	slug, title := "failed", "The command failed"
	switch exitCode(err) {
	case exitUsage:
		slug, title = "usage", "The command can't be used in this way"
	case exitNotFound:
		slug, title = "not-found", "There is no such thing"
	case exitUnreachable:
		slug, title = "unreachable", "The application can't be reached"
	case exitTimeout:
		slug, title = "timeout", "It took too long"
	case exitConflict:
		slug, title = "conflict", "It conflicts with something"
		if errors.Is(err, runtime.ErrInUse) {
			slug, title = "in-use", "Another process uses it"
		}
	case exitInterrupted:
		slug, title = "interrupted", "The command was interrupted"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		title = "It took too long"
	}
	return gateway.Problem{Type: "urn:jetfn:problem:" + slug, Title: title, Detail: err.Error()}
}

// writeProblem tells an error as JSON.
func writeProblem(c console, err error) {
	text, failed := json.Marshal(problemOf(err))
	if failed != nil {
		text = []byte(`{"title":"unknown"}`)
	}
	printf(c.err, "%s\n", text)
}

// wantsJSON looks for -o json among arguments that can't be parsed.
func wantsJSON(args []string) bool {
	for i, a := range args {
		if slices.Contains([]string{"-ojson", "-o=json", "--output=json"}, a) {
			return true
		}
		if (a == "-o" || a == "--output") && i+1 < len(args) && args[i+1] == "json" {
			return true
		}
	}
	return false
}
