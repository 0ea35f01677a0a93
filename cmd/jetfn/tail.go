package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// tailCommand is jetfn tail.
type tailCommand struct {
	What  string `arg:"" help:"egress, dlq, or a function as namespace/type."`
	Limit int    `short:"n" help:"End after so many lines; 0: don't."`
	serverFlags
}

// Run prints what happens until ctx ends.
func (t *tailCommand) Run(ctx context.Context, c console) error {
	path := "/v1/tail/" + t.What
	if t.What != "egress" && t.What != "dlq" {
		name, err := actor.ParseTypeName(t.What)
		if err != nil {
			return usage{fmt.Errorf("%s is neither egress nor dlq, nor a function: %w", t.What, err)}
		}
		path = "/v1/tail/functions/" + typePath(name)
	}
	body, err := t.stream(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // nothing is written
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for n := 0; (t.Limit == 0 || n < t.Limit) && lines.Scan(); {
		if len(lines.Bytes()) == 0 {
			continue
		}
		n++
		if t.Output == outputJSON {
			printf(c.out, "%s\n", lines.Bytes())
			continue
		}
		var e gateway.TailEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%s answered what is no answer of jetfn: %w", t.Server, err)
		}
		printf(c.out, "%s\n", eventLine(&e))
	}
	if err := lines.Err(); err != nil && ctx.Err() == nil {
		return &answerError{err: fmt.Errorf("the answer broke off: %w", err), server: t.Server}
	}
	return ctx.Err() //nolint:wrapcheck // the interrupt
}

// stream asks for an answer that doesn't end.
func (s *serverFlags) stream(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := s.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if err := s.sign(request); err != nil {
		return nil, err
	}
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, &answerError{err: err, server: s.Server}
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return nil, errors.Join(refused(response, answer), err, response.Body.Close())
}

// eventLine is an event for people.
func eventLine(e *gateway.TailEvent) string {
	parts := []string{e.At, e.Kind, e.Address}
	add := func(label, text string) {
		if text != "" {
			parts = append(parts, strings.TrimSpace(label+" "+text))
		}
	}
	if e.Missed > 0 {
		parts = append([]string{fmt.Sprintf("(%d missed)", e.Missed)}, parts...)
	}
	add("to", e.Egress)
	add("key", e.Key)
	add("from", e.Caller)
	if e.Type != "" || e.Bytes > 0 {
		add("", brief(e.Text, e.Bytes))
	}
	if e.Attempt > 1 {
		add("attempt", strconv.Itoa(e.Attempt))
	}
	if e.Took > 0 {
		add("took", fmt.Sprintf("%dms", e.Took))
	}
	add("", e.Reason)
	add("", e.Error)
	add("id", e.ID)
	add("trace", e.TraceID)
	return strings.Join(parts, "  ")
}
