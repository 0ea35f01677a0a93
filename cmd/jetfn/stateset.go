package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/wire"
)

// revisionFlags make a change conditional.
type revisionFlags struct {
	IfRevision *uint64 `env:"-" placeholder:"N" help:"Only if the state still has this revision; 0: only if the address has none."`
}

func (r *revisionFlags) header() http.Header {
	h := http.Header{}
	if r.IfRevision != nil {
		h.Set("If-Match", strconv.Quote(strconv.FormatUint(*r.IfRevision, 10)))
	}
	return h
}

// stateSetCommand is jetfn state set.
type stateSetCommand struct {
	Address string `arg:"" help:"namespace/type/id."`
	Name    string `arg:"" help:"Name of the state, or TABLE/KEY, an entry of a table."`
	Data    string `arg:"" help:"The value; - reads it from standard input."`
	Type    string `env:"-" placeholder:"NS/NAME" help:"Type of the value. The default is that of the value it replaces, or that the function declares, or io.statefun.types/string. For io.statefun.types/* the data is text that is encoded, else the bytes are stored as they are."`
	revisionFlags
	serverFlags
}

// Run changes one state.
func (s *stateSetCommand) Run(ctx context.Context, c console) error {
	path, err := statePath(s.Address, s.Name)
	if err != nil {
		return err
	}
	data, err := dataOf(s.Data, c.in)
	if err != nil {
		return err
	}
	h := s.header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if s.Type != "" {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Jetfn-Type", s.Type)
		if strings.HasPrefix(s.Type, "io.statefun.types/") {
			if data, err = wire.FromText(s.Type, string(data)); err != nil {
				return usage{fmt.Errorf("--type: %w", err)}
			}
		}
	}
	return changeState(ctx, c, &s.serverFlags, http.MethodPut, path, h, data)
}

// stateRmCommand is jetfn state rm.
type stateRmCommand struct {
	Address string `arg:"" help:"namespace/type/id."`
	Name    string `arg:"" optional:"" help:"Name of the state, or TABLE/KEY; without one all values of the address are removed, but not the entries of its tables."`
	revisionFlags
	serverFlags
}

// Run removes states.
func (s *stateRmCommand) Run(ctx context.Context, c console) error {
	path, err := statePath(s.Address, s.Name)
	if err != nil {
		return err
	}
	return changeState(ctx, c, &s.serverFlags, http.MethodDelete, path, s.header(), nil)
}

// statePath is a state's URL path; without a name that of all of the address.
func statePath(address, name string) (string, error) {
	path, err := addressPath(address)
	if err != nil {
		return "", err
	}
	path = "/v1/state/" + path
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	return path, nil
}

// changeState makes a change and shows what the address remembers then.
func changeState(ctx context.Context, c console, s *serverFlags, method, path string, h http.Header, data []byte) error {
	var now gateway.AddressState
	if err := s.do(ctx, method, path, h, data, &now); err != nil {
		return err
	}
	if s.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(now)
	}
	return writeStates(c.out, []gateway.AddressState{now})
}
