package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// stateCommand is jetfn state.
type stateCommand struct {
	Get stateGetCommand `cmd:"" help:"Show the state of one address."`
	Ls  stateLsCommand  `cmd:"" help:"List the addresses of a type that have state."`
	Set stateSetCommand `cmd:"" help:"Change one state of an address."`
	Rm  stateRmCommand  `cmd:"" help:"Remove one state of an address, or all."`
}

// stateGetCommand is jetfn state get.
type stateGetCommand struct {
	Address string `arg:"" help:"namespace/type/id."`
	Name    string `arg:"" optional:"" help:"Show the value of this state, or of the entry TABLE/KEY, only, JSON indented."`
	Table   string `env:"-" placeholder:"NAME" help:"Show the entries of this table, in the order of their keys; *: of all."`
	After   string `env:"-" placeholder:"TABLE/KEY" help:"With --table: begin behind this entry."`
	Limit   int    `default:"0" help:"With --table: how many entries to show; 0: all."`
	serverFlags
}

// Run prints the state of an address, as its owner sees it.
func (s *stateGetCommand) Run(ctx context.Context, c console) error {
	path, err := addressPath(s.Address)
	if err != nil {
		return err
	}
	var state gateway.AddressState
	switch {
	case s.Table != "" && s.Name != "":
		return usage{errors.New("say either a name or --table")}
	case s.Table != "":
		return s.entries(ctx, c, path)
	case s.Name != "":
		path += "/" + url.PathEscape(s.Name)
	}
	if err := s.do(ctx, http.MethodGet, "/v1/state/"+path, nil, nil, &state); err != nil {
		return err
	}
	if s.Name != "" {
		return s.one(c, &state)
	}
	if s.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(state)
	}
	return writeStates(c.out, []gateway.AddressState{state})
}

// entries prints entries of tables, page by page.
func (s *stateGetCommand) entries(ctx context.Context, c console, path string) error {
	const most = 1000
	var all gateway.AddressState
	query := url.Values{"table": {s.Table}}
	for after := s.After; ; {
		query.Set("limit", strconv.Itoa(most))
		if s.Limit > 0 {
			query.Set("limit", strconv.Itoa(min(s.Limit-len(all.Values), most)))
		}
		if after != "" {
			query.Set("after", after)
		}
		var page struct {
			gateway.AddressState
			Next string `json:"next"`
		}
		if err := s.do(ctx, http.MethodGet, "/v1/state/"+path+"?"+query.Encode(), nil, nil, &page); err != nil {
			return err
		}
		if all.Values == nil {
			all = page.AddressState
		} else {
			maps.Copy(all.Values, page.Values)
		}
		if page.Next == "" || s.Limit > 0 && len(all.Values) >= s.Limit {
			break
		}
		after = page.Next
	}
	if s.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(all)
	}
	return writeStates(c.out, []gateway.AddressState{all})
}

// one prints a single value.
func (s *stateGetCommand) one(c console, state *gateway.AddressState) error {
	v, ok := state.Values[s.Name]
	if !ok {
		return &answerError{problem: gateway.Problem{
			Type: "urn:jetfn:problem:not-found", Title: "There is nothing here", Status: http.StatusNotFound,
			Detail: fmt.Sprintf("the address has no state %q", s.Name), Address: state.Address,
		}}
	}
	if s.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(v)
	}
	var pretty bytes.Buffer
	switch {
	case v.Text != nil:
		printf(c.out, "%s\n", *v.Text)
	case json.Indent(&pretty, v.Value, "", "  ") == nil:
		printf(c.out, "%s\n", pretty.String())
	default:
		printf(c.out, "%s\n", strconv.QuoteToASCII(string(v.Value)))
	}
	return nil
}

// stateLsCommand is jetfn state ls.
type stateLsCommand struct {
	Type  string `arg:"" help:"namespace/type."`
	After string `env:"-" help:"Begin behind this id."`
	Limit int    `default:"0" help:"How many addresses to list; 0: all."`
	serverFlags
}

// Run lists addresses with their state.
func (s *stateLsCommand) Run(ctx context.Context, c console) error {
	t, err := actor.ParseTypeName(s.Type)
	if err != nil {
		return usage{err}
	}
	states, err := list[gateway.AddressState](ctx, &s.serverFlags, "/v1/state/"+typePath(t), url.Values{}, s.After, s.Limit)
	if err != nil {
		return err
	}
	if s.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(states)
	}
	return writeStates(c.out, states)
}

// writeStates prints one line for each value.
func writeStates(w io.Writer, states []gateway.AddressState) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(table, "ADDRESS\tNAME\tVALUE\tTYPE\tWRITTEN\n")
	for _, s := range states {
		names := make([]string, 0, len(s.Values))
		for name := range s.Values {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			v := s.Values[name]
			written := time.UnixMilli(v.WrittenAt).Format(time.RFC3339)
			printf(table, "%s\t%s\t%s\t%s\t%s\n", s.Address, name, shown(v), v.Type, written)
		}
	}
	return table.Flush()
}

// shown is a value on one line: its text, or its bytes as a Go string.
func shown(v gateway.NamedValue) string {
	if v.Text != nil {
		return strconv.Quote(*v.Text)
	}
	const most = 60
	var compact bytes.Buffer
	if json.Compact(&compact, v.Value) == nil && compact.Len() <= 4*most {
		return compact.String()
	}
	if len(v.Value) > most {
		return strconv.QuoteToASCII(string(v.Value[:most])) + fmt.Sprintf("… (%d bytes)", len(v.Value))
	}
	return strconv.QuoteToASCII(string(v.Value))
}
