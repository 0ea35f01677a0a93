package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jetfn/jetfn/internal/wire"
)

// messageFlags say what a message is, and to whom it goes.
type messageFlags struct {
	Address string `arg:"" help:"Whom to send to: namespace/type/id."`
	Data    string `arg:"" optional:"" help:"What to send; - reads it from standard input."`

	Type           string            `help:"Type of the data: namespace/name. For io.statefun.types/* the data is text that is encoded, else the bytes are sent as they are. The default is io.statefun.types/string."`
	JSON           bool              `name:"json" help:"Check that the data is JSON; its type has to be named."`
	Header         map[string]string `placeholder:"K=V" help:"Headers of the request."`
	IdempotencyKey string            `placeholder:"KEY" help:"Have it done once for this key and address within a day, however often it is tried."`
}

// sendCommand is jetfn send.
type sendCommand struct {
	messageFlags
	After time.Duration `help:"Deliver after this time."`
	serverFlags
}

// receipt is what the server says of a message that is stored.
type receipt struct {
	ID        string `json:"id"`
	Address   string `json:"address"`
	Partition int    `json:"partition"`
	Seq       uint64 `json:"seq"`
}

// Run sends the message and prints where it is stored.
func (s *sendCommand) Run(ctx context.Context, c console) error {
	path, err := addressPath(s.Address)
	if err != nil {
		return err
	}
	data, err := s.data(c.in)
	if err != nil {
		return err
	}
	path = "/v1/send/" + path
	if s.After < 0 {
		return usage{fmt.Errorf("--after %v: a message can't be sent in the past", s.After)}
	}
	if s.After > 0 {
		path += "?delay=" + url.QueryEscape(s.After.String())
	}
	var stored receipt
	if err := s.do(ctx, http.MethodPost, path, s.header(), data, &stored); err != nil {
		return err
	}
	if s.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(stored)
	}
	_, err = fmt.Fprintf(c.out, "stored %s in partition %d as message %d\n", stored.ID, stored.Partition, stored.Seq)
	return err
}

// dataOf is what the command line says, or standard input for -.
func dataOf(text string, in io.Reader) ([]byte, error) {
	if text != "-" {
		return []byte(text), nil
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return data, nil
}

// data is the message's bytes.
func (s *messageFlags) data(in io.Reader) ([]byte, error) {
	data, err := dataOf(s.Data, in)
	if err != nil {
		return nil, err
	}
	if s.JSON {
		if s.Type == "" {
			return nil, usage{errors.New("--json needs the type that the function expects: --type namespace/name")}
		}
		if !json.Valid(data) {
			return nil, usage{errors.New("the data is not valid JSON")}
		}
	}
	if !strings.HasPrefix(s.Type, "io.statefun.types/") {
		return data, nil
	}
	encoded, err := wire.FromText(s.Type, string(data))
	if err != nil {
		return nil, usage{fmt.Errorf("--type: %w", err)}
	}
	return encoded, nil
}

func (s *messageFlags) header() http.Header {
	h := http.Header{}
	for name, value := range s.Header {
		h.Set(name, value)
	}
	if s.Type == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Jetfn-Type", s.Type)
	}
	if s.IdempotencyKey != "" {
		h.Set("Idempotency-Key", s.IdempotencyKey)
	}
	return h
}
