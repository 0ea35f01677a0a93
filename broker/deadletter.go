package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

// DeadLetterRecord is the body of a dead letter.
type DeadLetterRecord struct {
	ID         string `json:"id"`
	Address    string `json:"address"`
	Caller     string `json:"caller,omitempty"`
	Type       string `json:"type"`
	Value      []byte `json:"value"`
	Reason     string `json:"reason"`
	Error      string `json:"error"`
	HTTPStatus int    `json:"httpStatus,omitempty"`
	Attempts   int    `json:"attempts"`
	FirstAt    string `json:"firstAt"`
	LastAt     string `json:"lastAt"`
	Endpoint   string `json:"endpoint,omitempty"`
	TraceID    string `json:"traceId"`
	// ValueBytes is set instead of Value when the record would exceed the
	// server's max_payload otherwise.
	ValueBytes int `json:"valueBytes,omitempty"`
}

// fillDeadLetter gives out the subject and body of m's dead letter. One that
// is too large for the server leaves its value out, since it could never be
// stored.
func (a *App) fillDeadLetter(out *jspub.Write, id string, m *actor.SinkMessage) error {
	d := m.DeadLetter
	record := DeadLetterRecord{
		ID:         id,
		Address:    d.Envelope.Target.String(),
		Caller:     d.Envelope.Caller.String(),
		Type:       d.Envelope.Value.Type,
		Value:      orEmpty(d.Envelope.Value.Data),
		Reason:     d.Reason,
		Error:      d.Error,
		HTTPStatus: d.HTTPStatus,
		Attempts:   d.Attempts,
		FirstAt:    timeText(d.FirstAt, m.Time),
		LastAt:     timeText(d.LastAt, m.Time),
		Endpoint:   d.Endpoint,
		TraceID:    traceID(d.Envelope.Trace, m.Trace),
	}
	body, err := marshal(&record)
	if err != nil {
		return fmt.Errorf("encode dead letter %s: %w", id, err)
	}
	if len(body) > int(a.nc.MaxPayload())-headerRoom-len(record.Address) {
		record.ValueBytes, record.Value = len(record.Value), []byte{}
		if body, err = marshal(&record); err != nil {
			return fmt.Errorf("encode dead letter %s: %w", id, err)
		}
	}
	out.Subject = a.names.dlq(d.Envelope.Target)
	out.Data = body
	return nil
}

func marshal(record *DeadLetterRecord) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(record); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func orEmpty(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// timeText is a time in Unix milliseconds, or the commit's if there is none.
func timeText(ms, commit int64) string {
	if ms == 0 {
		ms = commit
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// traceID is the trace id of the first traceparent that has one.
func traceID(traces ...actor.Trace) string {
	for _, t := range traces {
		if parts := strings.Split(t.Parent, "-"); len(parts) >= 4 && len(parts[1]) == 32 {
			return parts[1]
		}
	}
	return ""
}
