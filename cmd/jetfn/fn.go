package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"text/tabwriter"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// fnCommand is jetfn fn.
type fnCommand struct {
	Ls     fnLsCommand     `cmd:"" help:"List the functions, and what waits for them."`
	Pause  fnPauseCommand  `cmd:"" help:"Stop the calls of a function; its messages wait, in order."`
	Resume fnResumeCommand `cmd:"" help:"Let the calls of a paused function go on."`
}

// fnLsCommand is jetfn fn ls.
type fnLsCommand struct {
	serverFlags
}

// Run lists the functions.
func (f *fnLsCommand) Run(ctx context.Context, c console) error {
	var page struct {
		Items []gateway.FunctionInfo `json:"items"`
	}
	if err := f.do(ctx, http.MethodGet, "/v1/functions", nil, nil, &page); err != nil {
		return err
	}
	if f.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(page.Items)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	printf(table, "FUNCTION\tSTATE\tBACKLOG\tENDPOINT\n")
	for _, item := range page.Items {
		state, backlog, endpoint := "active", "-", item.Endpoint
		if item.Paused {
			state = "paused"
		}
		if item.Backlog != nil {
			backlog = strconv.Itoa(*item.Backlog)
		}
		if endpoint == "" {
			endpoint = "in this process"
		}
		printf(table, "%s\t%s\t%s\t%s\n", item.Type, state, backlog, endpoint)
	}
	return table.Flush()
}

// functionFlags are those of commands about one function.
type functionFlags struct {
	Type string `arg:"" help:"namespace/type, or namespace/* for a module's whole namespace."`
	serverFlags
}

// set pauses or resumes the function.
func (f *functionFlags) set(ctx context.Context, c console, verb string) error {
	t, err := actor.ParseTypeName(f.Type)
	if err != nil {
		return usage{err}
	}
	var now struct {
		Type   string `json:"type"`
		Paused bool   `json:"paused"`
	}
	if err := f.do(ctx, http.MethodPost, "/v1/functions/"+typePath(t)+"/"+verb, nil, nil, &now); err != nil {
		return err
	}
	if f.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(now)
	}
	switch {
	case now.Paused && verb == "resume":
		printf(c.out, "%s is still paused, since %s/* is\n", now.Type, t.Namespace)
	case now.Paused:
		printf(c.out, "%s is paused\n", now.Type)
	default:
		printf(c.out, "%s is active\n", now.Type)
	}
	return nil
}

// fnPauseCommand is jetfn fn pause.
type fnPauseCommand struct{ functionFlags }

// Run stops the function's calls.
func (f *fnPauseCommand) Run(ctx context.Context, c console) error { return f.set(ctx, c, "pause") }

// fnResumeCommand is jetfn fn resume.
type fnResumeCommand struct{ functionFlags }

// Run lets the function's calls go on.
func (f *fnResumeCommand) Run(ctx context.Context, c console) error { return f.set(ctx, c, "resume") }
