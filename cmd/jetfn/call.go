package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	// callGrace is how much longer than the server the client waits, so that
	// the server can say that there was no answer.
	callGrace = 5 * time.Second
	// mostPatience is how long the server lets a call wait.
	mostPatience = 10 * time.Minute
)

// callCommand is jetfn call.
type callCommand struct {
	messageFlags
	serverFlags
}

// called is what a function answered.
type called struct {
	Type  string  `json:"type"`
	Value []byte  `json:"value"`
	Text  *string `json:"text,omitempty"` // of a built-in type
}

// Run calls a function and prints its answer.
func (l *callCommand) Run(ctx context.Context, c console) error {
	if l.Timeout <= 0 || l.Timeout > mostPatience {
		return usage{fmt.Errorf("--timeout %v is not possible; choose up to %v", l.Timeout, mostPatience)}
	}
	path, err := addressPath(l.Address)
	if err != nil {
		return err
	}
	data, err := l.data(c.in)
	if err != nil {
		return err
	}
	header := l.header()
	header.Set("Accept", "application/json")
	path = "/v1/call/" + path + "?timeout=" + url.QueryEscape(l.Timeout.String())
	patient := l.serverFlags
	patient.Timeout += callGrace
	var answer *called // nil: without a value
	if err := patient.do(ctx, http.MethodPost, path, header, data, &answer); err != nil {
		return err
	}
	switch {
	case l.Output == outputJSON:
		return json.NewEncoder(c.out).Encode(answer)
	case answer == nil:
		return nil
	case answer.Text != nil:
		printf(c.out, "%s\n", *answer.Text)
		return nil
	}
	_, err = c.out.Write(answer.Value)
	return err
}
