package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetfn/jetfn/actor"
)

// sent is the answer to a send.
type sent struct {
	ID        string `json:"id"`
	Address   string `json:"address"`
	Partition int    `json:"partition"`
	Seq       uint64 `json:"seq"`
}

func (a *api) serveSend(w http.ResponseWriter, r *http.Request, raw []string) {
	target, p := addressOf(raw)
	if p == nil {
		p = a.checkSend(r, target)
	}
	m := Message{Target: target, Trace: traceOf(r)}
	if p == nil {
		m.Delay, p = delayOf(r)
	}
	if p == nil {
		m.Value, p = valueOf(w, r, a.MaxBodyBytes)
	}
	if p != nil {
		a.fail(w, r, p, target)
		return
	}
	receipt, err := a.send(r, m)
	if err != nil {
		a.fail(w, r, problemOf(err, true), target)
		return
	}
	writeJSON(w, http.StatusAccepted, jsonType,
		sent{ID: receipt.ID, Address: target.String(), Partition: receipt.Partition, Seq: receipt.Seq})
}

// checkSend refuses what would not be done as asked.
func (a *api) checkSend(r *http.Request, target actor.Address) *Problem {
	if p := checkKey(r.Header.Get("Idempotency-Key")); p != nil {
		return p
	}
	return known(a.Functions, target)
}

// delayOf is how long a message is to be delayed: ?delay= says it, or the
// header that messages over NATS have.
func delayOf(r *http.Request) (time.Duration, *Problem) {
	said := append(r.URL.Query()["delay"], r.Header.Values("Jetfn-Delay")...)
	switch len(said) {
	case 0:
		return 0, nil
	case 1:
	default:
		return 0, problem(badRequest, "the delay is given more than once")
	}
	d, bad := actor.ParseDelay(said[0])
	if bad != nil {
		return 0, problem(badRequest, bad.Detail)
	}
	return d, nil
}

// send stores a message, once if it has an Idempotency-Key.
func (a *api) send(r *http.Request, m Message) (Receipt, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return a.Sender.Send(r.Context(), m)
	}
	ctx, cancel := context.WithTimeout(r.Context(), defaultCallTimeout)
	defer cancel()
	return a.Caller.SendOnce(ctx, m, key)
}

func known(functions Functions, target actor.Address) *Problem {
	if target.Type.Namespace == actor.OwnNamespace {
		return problem(badAddress, fmt.Sprintf("functions of the namespace %s are jetfn's own and take no messages from outside", actor.OwnNamespace))
	}
	if functions.Known(target.Type) {
		return nil
	}
	return problem(unknownFunction, fmt.Sprintf("no module binds a function to %s", target.Type))
}

// fail answers with a problem about target, and logs it when it is ours.
func (a *api) fail(w http.ResponseWriter, r *http.Request, p *Problem, target actor.Address) {
	if !target.IsZero() {
		p.at(target)
	}
	p.write(w, r)
	if p.Status == http.StatusInternalServerError {
		a.Log.Error().Str("target", p.Address).Str("trace_id", p.TraceID).Str("error", p.Detail).Msg("request failed")
	}
}

// valueOf reads a message's value from a request.
func valueOf(w http.ResponseWriter, r *http.Request, limit int64) (actor.Value, *Problem) {
	typename := r.Header.Get("Jetfn-Type")
	if typename == "" {
		typename = r.URL.Query().Get("valueType")
	}
	if !utf8.ValidString(typename) {
		return actor.Value{}, problem(badType, fmt.Sprintf("the type name %q is not valid UTF-8", typename))
	}
	body, p := bodyOf(w, r, limit)
	if p != nil {
		return actor.Value{}, p
	}
	return valueFrom(typename, r.Header.Get("Content-Type"), body)
}

// valueFrom is a value whose type can be a header of a message.
func valueFrom(typename, mediaType string, body []byte) (actor.Value, *Problem) {
	value, bad := actor.ValueFrom(typename, mediaType, body)
	if bad != nil {
		return actor.Value{}, problem(badType, bad.Detail)
	}
	if strings.TrimSpace(value.Type) != value.Type || strings.ContainsFunc(value.Type, unicode.IsControl) {
		return actor.Value{}, problem(badType, fmt.Sprintf("the type name %q has control characters, or spaces around it", value.Type))
	}
	return value, nil
}

// bodyOf reads a request's body.
func bodyOf(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *Problem) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, problem(badType, fmt.Sprintf("content encoding %q is not supported; send the value as it is", encoding))
	}
	large := problem(tooLarge, fmt.Sprintf("the body may have %d bytes at most", limit))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, large
	case errors.Is(err, errCrowded):
		return nil, problem(busy, err.Error())
	case err != nil:
		return nil, problem(badBody, fmt.Sprintf("the body broke off after %d bytes: %v", len(body), err))
	}
	// The listener's time limit is for reading; what follows has its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not every connection has one
	return body, nil
}
