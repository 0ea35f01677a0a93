package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/runtime"
)

func TestAnErrorHasItsExitCodeAndItsProblem(t *testing.T) {
	t.Parallel()
	answered := func(status int) error {
		return &answerError{problem: gateway.Problem{Type: "urn:jetfn:problem:x", Title: "X", Status: status}}
	}
	unanswered := func(err error) error { return fmt.Errorf("do: %w", &answerError{err: err, server: "http://localhost"}) }
	refusedDial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		err  error
		code int
		slug string // with -o json; empty: nothing is told
	}{
		"nothing":                         {nil, 0, ""},
		"something":                       {errors.New("x"), 1, "failed"},
		"a flag":                          {usage{errors.New("x")}, 2, "usage"},
		"a setting of the worker":         {fmt.Errorf("x: %w", runtime.ErrUsage), 2, "usage"},
		"a port in use":                   {fmt.Errorf("x: %w", runtime.ErrInUse), 6, "in-use"},
		"NATS that isn't there":           {fmt.Errorf("x: %w", runtime.ErrUnreachable), 4, "unreachable"},
		"time that is up":                 {fmt.Errorf("x: %w", context.DeadlineExceeded), 5, "timeout"},
		"an interrupt":                    {fmt.Errorf("x: %w", context.Canceled), 130, "interrupted"},
		"what was told":                   {fmt.Errorf("x: %w", reported{7}), 7, ""},
		"an answer of 400":                {answered(400), 1, "x"},
		"an answer of 404":                {answered(404), 3, "x"},
		"an answer of 409":                {answered(409), 6, "x"},
		"an answer of 422":                {answered(422), 1, "x"},
		"an answer of 500":                {answered(500), 1, "x"},
		"an answer of 503":                {answered(503), 4, "x"},
		"an answer of 504":                {answered(504), 5, "x"},
		"no answer: nobody is there":      {unanswered(refusedDial), 4, "unreachable"},
		"no answer: it broke off":         {unanswered(errors.New("EOF")), 4, "unreachable"},
		"no answer in time":               {unanswered(context.DeadlineExceeded), 5, "timeout"},
		"no answer before it was stopped": {unanswered(context.Canceled), 130, "interrupted"},
	} {
		var text, document bytes.Buffer
		if got := report(console{err: &text}, outputText, c.err); got != c.code {
			t.Errorf("the exit code of %s is %d, want %d", name, got, c.code)
		}
		if got := report(console{err: &document}, outputJSON, c.err); got != c.code {
			t.Errorf("the exit code of %s with -o json is %d, want %d", name, got, c.code)
		}
		if c.slug == "" {
			if text.Len()+document.Len() > 0 {
				t.Errorf("of %s it is told %q and %q, want nothing", name, &text, &document)
			}
			continue
		}
		var p gateway.Problem
		if err := json.Unmarshal(document.Bytes(), &p); err != nil || p.Type != "urn:jetfn:problem:"+c.slug {
			t.Errorf("with -o json %s is told as %s, want %s", name, &document, c.slug)
		}
		if !strings.HasPrefix(text.String(), "jetfn: ") {
			t.Errorf("%s is told as %q", name, &text)
		}
	}
}
