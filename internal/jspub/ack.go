package jspub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
)

// Error codes of JetStream that say something about a publish's outcome.
const (
	codeAccountLimits   = 10002 // refused before storing
	codeNoResources     = 10023
	codeNoStorage       = 10047
	codeTooLarge        = 10054
	codeWrongLastSeq    = 10071 // "wrong last sequence: N"
	codeStoreFailed     = 10077 // the description says why
	codeSealed          = 10109
	codeTTLDisabled     = 10166
	codeExpectedInvalid = 10193
)

// ServerError is an error that JetStream answered to a publish.
type ServerError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *ServerError) Error() string {
	switch e.Code {
	case codeAccountLimits, codeNoResources, codeNoStorage:
		return fmt.Sprintf("NATS has no storage left, free some disk space or raise its limit: %s (JetStream error %d)", e.Description, e.Code)
	}
	return fmt.Sprintf("%s (JetStream error %d)", e.Description, e.Code)
}

// parseAck reads JetStream's answer to a publish.
func parseAck(m *nats.Msg) Ack {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" {
			return unknown(nats.ErrNoResponders)
		}
		return unknown(errors.New("empty acknowledgement"))
	}
	if !bytes.Contains(m.Data, []byte(`"error"`)) {
		if seq := scanSeq(m.Data); seq > 0 {
			return Ack{
				WriteResult: actor.WriteResult{Outcome: actor.Stored, Seq: seq},
				Duplicate:   bytes.Contains(m.Data, []byte(`"duplicate"`)), // left out unless true,
			}
		}
	}
	var answer struct {
		Error *ServerError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return unknown(fmt.Errorf("parse acknowledgement: %w", err))
	}
	if answer.Error == nil {
		return unknown(errors.New("acknowledgement without a sequence"))
	}
	return classify(answer.Error)
}

// parseBatch reads the answer to the last message of a batch. Errors come from
// checks before anything is stored; a batch that began to be stored and
// couldn't be is not answered.
func parseBatch(m *nats.Msg, id string, count int) Ack {
	var answer struct {
		Seq   uint64       `json:"seq"`
		Batch string       `json:"batch"`
		Count int          `json:"count"`
		Error *ServerError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return parseAck(m)
	}
	switch {
	case answer.Error != nil && (slices.Contains(batchRefusals(), answer.Error.Code) || classify(answer.Error).Outcome != actor.Unknown):
		return refused(answer.Error)
	case answer.Error != nil:
		return unknown(answer.Error)
	case answer.Batch != id || answer.Count != count || answer.Seq == 0:
		return unknown(errors.New("the acknowledgement is not that of the batch"))
	}
	return Ack{WriteResult: actor.WriteResult{Outcome: actor.Stored, Seq: answer.Seq}}
}

// batchRefusals are error codes of JetStream that mean that no message of a
// batch is stored: a duplicate id, a check that another write is in the way
// of, and whatever is wrong with the batch itself.
func batchRefusals() []int {
	return []int{10158, 10164, 10174, 10175, 10176, 10177, 10179, 10199, 10200, 10201, 10210}
}

// scanSeq reads the number after "seq": without parsing the rest.
func scanSeq(data []byte) uint64 {
	_, rest, ok := bytes.Cut(data, []byte(`"seq":`))
	if !ok {
		return 0
	}
	rest = bytes.TrimLeft(rest, " ")
	n := 0
	for n < len(rest) && '0' <= rest[n] && rest[n] <= '9' {
		n++
	}
	seq, err := strconv.ParseUint(string(rest[:n]), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

func classify(e *ServerError) Ack {
	switch e.Code {
	case codeWrongLastSeq:
		return Ack{WriteResult: actor.WriteResult{Outcome: actor.Rejected, Seq: lastSeq(e.Description), Err: e}}
	case codeAccountLimits, codeNoResources, codeNoStorage, codeTooLarge, codeSealed, codeTTLDisabled, codeExpectedInvalid:
		return refused(e)
	case codeStoreFailed:
		switch e.Description {
		case "maximum messages exceeded", "maximum bytes exceeded", "maximum messages per subject exceeded", "message too large":
			return refused(e)
		}
	}
	return unknown(e)
}

// lastSeq reads N of "wrong last sequence: N"; zero if it isn't there.
func lastSeq(description string) uint64 {
	_, number, ok := strings.Cut(description, ": ")
	if !ok {
		return 0
	}
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// localError is the outcome when the client library would not send. A broken
// connection may have taken part of the message along, so that only what was
// refused for its own sake is surely not stored.
func localError(err error) Ack {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, nats.ErrHeadersNotSupported) {
		return refused(err)
	}
	return unknown(err)
}

func refused(err error) Ack {
	return Ack{WriteResult: actor.WriteResult{Outcome: actor.Refused, Err: err}}
}

func unknown(err error) Ack {
	return Ack{WriteResult: actor.WriteResult{Outcome: actor.Unknown, Err: err}}
}
