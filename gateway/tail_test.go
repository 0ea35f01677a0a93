package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jetfn/jetfn/gateway"
)

// asked says what of a tail was asked for.
type asked struct{ of *[]gateway.TailQuery }

func (a asked) Tail(_ context.Context, q gateway.TailQuery, emit func(*gateway.TailEvent) error) error {
	*a.of = append(*a.of, q)
	if err := emit(nil); err != nil {
		return err
	}
	return emit(&gateway.TailEvent{Kind: gateway.TailEgress, Address: "a/b/c"})
}

func TestATailIsAStreamOfLinesOfWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]gateway.TailQuery{
		"/v1/tail/egress":            {Egress: true},
		"/v1/tail/dlq":               {DeadLetters: true},
		"/v1/tail/functions/a.b/c":   {Function: typeNamed("a.b/c")},
		"/v1/tail/functions/a.b/%2A": {Function: typeNamed("a.b/*")},
	} {
		var of []gateway.TailQuery
		h := gateway.NewAPI(gateway.APIConfig{Tail: asked{&of}})
		w := serve(h, request(http.MethodGet, path, ""))
		if len(of) != 1 || of[0] != want {
			t.Errorf("GET %s asks for %+v, want %+v", path, of, want)
		}
		if got := w.Body.String(); got != "\n"+`{"at":"","kind":"egress","address":"a/b/c","bytes":0}`+"\n" {
			t.Errorf("GET %s = %q, want an empty line and an event", path, got)
		}
		if !w.Flushed || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("GET %s is answered with %v, flushed: %t", path, w.Header(), w.Flushed)
		}
		// It would never end, and has no lines.
		if w := serve(h, request(http.MethodHead, path, "")); w.Code != http.StatusOK || len(of) != 1 || w.Body.Len() > 0 {
			t.Errorf("HEAD %s = %d, and asks for %+v, want 200 and nothing", path, w.Code, of[1:])
		}
	}
}

// patient is a tail on which something happens an hour later.
type patient struct{}

func (patient) Tail(ctx context.Context, _ gateway.TailQuery, emit func(*gateway.TailEvent) error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Hour):
		return emit(&gateway.TailEvent{Kind: gateway.TailEgress, Address: "late/b/c"})
	}
}

func TestATailLastsLongerThanARequestMayTake(t *testing.T) {
	t.Parallel()
	serving(t, gateway.NewAPI(gateway.APIConfig{Tail: patient{}}), gateway.ServeConfig{}, func(ln *pipes) {
		c := ln.dial()
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET /v1/tail/egress HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
			t.Error(err)
		}
		if answer, err := io.ReadAll(c); err != nil || !strings.Contains(string(answer), "late/b/c") {
			t.Errorf("within an hour the answer was %q, %v, want the event at its end", answer, err)
		}
	})
}
