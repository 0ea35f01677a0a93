package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// fnCommand is jetfn fn.
type fnCommand struct {
	Ls     fnLsCommand     `cmd:"" help:"List the functions, and what waits for them."`
	Pause  fnPauseCommand  `cmd:"" help:"Stop the calls of a function or an address; its messages wait, in order."`
	Resume fnResumeCommand `cmd:"" help:"Let the calls of a paused function or address go on."`
}

// fnLsCommand is jetfn fn ls.
type fnLsCommand struct {
	serverFlags
}

// shownPaused is how many paused addresses of a function fn ls shows.
const shownPaused = 20

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
	for i := range page.Items {
		item := &page.Items[i]
		backlog, endpoint := "-", item.Endpoint
		if item.Backlog != nil {
			backlog = strconv.Itoa(*item.Backlog)
		}
		if endpoint == "" {
			endpoint = "in this process"
		}
		if item.Weight != nil {
			endpoint += ", weight " + strconv.Itoa(*item.Weight)
		}
		printf(table, "%s\t%s\t%s\t%s\n", item.Type, stateOf(item), backlog, endpoint)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := showCircuits(c, page.Items); err != nil {
		return err
	}
	return f.pauses(ctx, c, page.Items)
}

// showCircuits shows the endpoints that can't be reached, since when, and why.
func showCircuits(c console, list []gateway.FunctionInfo) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	header := "\nUNREACHABLE\tCIRCUIT\tSINCE\tWHY\n"
	shown := map[string]bool{}
	for i := range list {
		e := list[i].Circuit
		if e == nil || e.State == "closed" || shown[e.Endpoint] {
			continue
		}
		shown[e.Endpoint] = true
		printf(table, "%s%s\t%s\t%s\t%s\n", header, e.Endpoint, e.State, e.Since, e.Error)
		header = ""
	}
	return table.Flush()
}

// stateOf is a function's state in few words.
func stateOf(f *gateway.FunctionInfo) string {
	switch {
	case f.Paused:
		return "paused"
	case f.PausedAddresses > 0:
		return strconv.Itoa(f.PausedAddresses) + " paused"
	case f.Away:
		return "away"
	}
	return "active"
}

// pauses shows what is paused, since when, and why.
func (f *fnLsCommand) pauses(ctx context.Context, c console, list []gateway.FunctionInfo) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	header := "\nPAUSED\tSINCE\tBY\tATTEMPTS\tWHY\n"
	row := func(name string, p *gateway.PauseInfo) {
		attempts, why := "-", "-"
		if p.Attempts > 0 {
			attempts = strconv.Itoa(p.Attempts)
		}
		if p.Reason != "" {
			why = p.Reason + ": " + p.Error
		}
		if p.Address != "" && p.Address != name {
			why += " (" + p.Address + ")"
		}
		printf(table, "%s%s\t%s\t%s\t%s\t%s\n", header, name, p.Since, p.By, attempts, why)
		header = ""
	}
	for i := range list {
		if item := &list[i]; item.Pause != nil {
			row(item.Type, item.Pause)
		}
	}
	for i := range list {
		item := &list[i]
		if item.PausedAddresses == 0 {
			continue
		}
		t, err := actor.ParseTypeName(item.Type)
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		var page struct {
			Items []gateway.PauseInfo `json:"items"`
		}
		path := "/v1/functions/" + typePath(t) + "/paused?limit=" + strconv.Itoa(shownPaused)
		if err := f.do(ctx, http.MethodGet, path, nil, nil, &page); err != nil {
			return err
		}
		for j := range page.Items {
			row(page.Items[j].Address, &page.Items[j])
		}
		if more := item.PausedAddresses - len(page.Items); more > 0 {
			printf(table, "… and %d more of %s\t\t\t\t\n", more, item.Type)
		}
	}
	return table.Flush()
}

// functionFlags are those of commands about one function.
type functionFlags struct {
	Target string `arg:"" name:"target" help:"namespace/type, namespace/type/id for one address, or namespace/* for a module's whole namespace."`
	serverFlags
}

// path is where the function, or the address, is over HTTP.
func (f *functionFlags) path() (string, error) {
	if strings.Count(f.Target, "/") > 1 {
		return addressPath(f.Target)
	}
	t, err := actor.ParseTypeName(f.Target)
	if err != nil {
		return "", usage{err}
	}
	return typePath(t), nil
}

// set pauses or resumes the function.
func (f *functionFlags) set(ctx context.Context, c console, verb string) error {
	path, err := f.path()
	if err != nil {
		return err
	}
	var now struct {
		Type    string `json:"type"`
		Address string `json:"address,omitempty"`
		Paused  bool   `json:"paused"`
	}
	if err := f.do(ctx, http.MethodPost, "/v1/functions/"+path+"/"+verb, nil, nil, &now); err != nil {
		return err
	}
	if f.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(now)
	}
	name, above := now.Address, now.Type
	if name == "" {
		namespace, _, _ := strings.Cut(now.Type, "/")
		name, above = now.Type, namespace+"/*"
	}
	switch {
	case now.Paused && verb == "resume":
		printf(c.out, "%s is still paused, since %s is\n", name, above)
	case now.Paused:
		printf(c.out, "%s is paused\n", name)
	default:
		printf(c.out, "%s is active\n", name)
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
