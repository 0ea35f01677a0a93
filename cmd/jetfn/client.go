package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// serverFlags are those of commands that talk to a running application.
type serverFlags struct {
	Server  string        `default:"http://127.0.0.1:8080" help:"Address of the running application."`
	Timeout time.Duration `default:"30s" help:"How long to wait for the answer."`
	Output  output        `short:"o" default:"text" enum:"text,json" help:"Format: ${enum}."`
	credentialFlags
}

// answerError is a request that was refused, or got no answer.
type answerError struct {
	problem gateway.Problem
	body    []byte // the problem as the server wrote it; nil: it did not
	err     error  // why there was no answer
	server  string
}

func (e *answerError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("no answer from %s: %v", e.server, e.err)
	}
	text := e.problem.Title
	if e.problem.Detail != "" {
		text = e.problem.Detail
	}
	text = fmt.Sprintf("%s (%s, status %d)", text, e.slug(), e.problem.Status)
	if e.problem.Status == http.StatusUnauthorized {
		text += "; set " + tokenVariable + ", or give --token-file"
	}
	lines := []string{text}
	for _, d := range e.problem.Diagnostics {
		lines = append(lines, problemLine(d))
	}
	return strings.Join(lines, "\n")
}

func (e *answerError) Unwrap() error { return e.err }

func (e *answerError) exitCode() int {
	switch {
	case errors.Is(e.err, context.Canceled):
		return exitInterrupted
	case errors.Is(e.err, context.DeadlineExceeded):
		return exitTimeout
	case e.err != nil:
		return exitUnreachable
	}
	switch e.problem.Status {
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusConflict:
		return exitConflict
	case http.StatusServiceUnavailable:
		return exitUnreachable
	case http.StatusGatewayTimeout:
		return exitTimeout
	}
	return exitFailure
}

// slug is the kind of problem.
func (e *answerError) slug() string { return strings.TrimPrefix(e.problem.Type, "urn:jetfn:problem:") }

// unsent reports whether the request surely reached nobody.
func (e *answerError) unsent() bool {
	var dialing *net.OpError
	return errors.As(e.err, &dialing) && dialing.Op == "dial"
}

// document is the problem as JSON.
func (e *answerError) document() []byte {
	if e.body != nil {
		return bytes.TrimSpace(e.body)
	}
	problem := e.problem
	if e.err != nil {
		problem = problemOf(e)
		problem.Accepted = !e.unsent()
	}
	text, err := json.Marshal(problem)
	if err != nil {
		return []byte(`{"title":"unknown"}`)
	}
	return text
}

// do sends a request and reads the JSON answer into out, if it is of status
// 2xx.
func (s *serverFlags) do(ctx context.Context, method, path string, header http.Header, body []byte, out any) error {
	limited, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	request, err := s.request(limited, method, path, body)
	if err != nil {
		return err
	}
	if header != nil {
		request.Header = header
	}
	if err := s.sign(request); err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err
		}
		return &answerError{err: err, server: s.Server}
	}
	answer, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return &answerError{err: fmt.Errorf("the answer broke off: %w", err), server: s.Server}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused(response, answer)
	}
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s answered what is no answer of jetfn: %w", s.Server, err)
	}
	return nil
}

// request is one for the running application.
func (s *serverFlags) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	if scheme, _, _ := strings.Cut(s.Server, "://"); scheme != "http" && scheme != "https" {
		return nil, usage{fmt.Errorf("--server %s: it begins neither with http:// nor with https://", s.Server)}
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.Server, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, usage{fmt.Errorf("--server %s: %w", s.Server, err)}
	}
	return request, nil
}

func refused(response *http.Response, body []byte) error {
	e := &answerError{}
	if json.Unmarshal(body, &e.problem) == nil && e.problem.Type != "" {
		e.body = body
		return e
	}
	e.problem = gateway.Problem{Title: response.Status, Detail: excerpt(body), Status: response.StatusCode, Type: "about:blank"}
	return e
}

func excerpt(body []byte) string {
	const most = 200
	if len(body) > most {
		body = body[:most]
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(body)), "?")
}

// addressPath is an address as the end of a URL path.
func addressPath(text string) (string, error) {
	a, err := actor.ParseAddress(text)
	if err != nil {
		return "", usage{err}
	}
	return typePath(a.Type) + "/" + url.PathEscape(a.ID), nil
}

func typePath(t actor.TypeName) string {
	return url.PathEscape(t.Namespace) + "/" + url.PathEscape(t.Name)
}
