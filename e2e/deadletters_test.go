//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// deadLetter is what <app>.dlq.> carries.
type deadLetter struct {
	ID         string    `json:"id"`
	Address    string    `json:"address"`
	Caller     string    `json:"caller"`
	Type       string    `json:"type"`
	Value      []byte    `json:"value"`
	Reason     string    `json:"reason"`
	Error      string    `json:"error"`
	HTTPStatus int       `json:"httpStatus"`
	Attempts   int       `json:"attempts"`
	FirstAt    time.Time `json:"firstAt"`
	LastAt     time.Time `json:"lastAt"`
	Endpoint   string    `json:"endpoint"`
	TraceID    string    `json:"traceId"`
}

// deadLetters reads all there are.
func deadLetters(t *testing.T, js jetstream.JetStream) (letters []deadLetter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := js.Stream(ctx, "T_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("t.dlq.>"))
	if err != nil {
		t.Fatal(err)
	}
	var total uint64
	for _, n := range info.State.Subjects {
		total += n
	}
	if total == 0 {
		return nil
	}
	c, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"t.dlq.>"}})
	if err != nil {
		t.Fatal(err)
	}
	for uint64(len(letters)) < total {
		m, err := c.Next(jetstream.FetchMaxWait(20 * time.Second))
		if err != nil {
			t.Fatal(errors.Join(errors.New("read dead letters"), err))
		}
		var d deadLetter
		if err := json.Unmarshal(m.Data(), &d); err != nil {
			t.Fatalf("dead letter %q: %v", m.Data(), err)
		}
		letters = append(letters, d)
	}
	return letters
}
