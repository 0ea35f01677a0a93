package broker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	headerServiceStatus = "Jetfn-Status"
	headerRetryAfter    = "Jetfn-Retry-After"
	headerAttempt       = "Jetfn-Attempt"
	serviceHeaderRoom   = 4 << 10
	// serviceSilence is how long a service that has a call may say nothing:
	// it says that it is alive every second.
	serviceSilence = 5 * time.Second
)

// errServiceSilent means that a service took a call and wasn't heard of again.
var errServiceSilent = errors.New("the service has not been heard of any more")

// ServiceTransport calls functions that are NATS services as if they were
// behind HTTP: a request to nats://<subject> is a request on that subject
// (see package sdknats), and its answer an HTTP response. No responders is
// status 503, a body that the server wouldn't take 413, the service's own
// errors have their code.
//
// All answers come in by one subscription, which lives until Close.
type ServiceTransport struct {
	conn *nats.Conn

	mu      sync.Mutex
	sub     *nats.Subscription // nil before the first call
	inbox   string             // begins the subject of every answer
	waiting map[string]*serviceCall
}

// serviceCall is a call that waits for its answer.
type serviceCall struct {
	answer chan *nats.Msg
	alive  chan struct{} // the service works at it
}

// NewServiceTransport returns a transport over nc, which stays the caller's.
func NewServiceTransport(nc *nats.Conn) *ServiceTransport {
	return &ServiceTransport{conn: nc, waiting: map[string]*serviceCall{}}
}

// Close takes no more answers. The calls in flight end with their contexts.
func (t *ServiceTransport) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sub != nil {
		_ = t.sub.Unsubscribe() // it fails only when the connection is closed
	}
}

// RoundTrip implements http.RoundTripper.
func (t *ServiceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	if limit := t.conn.MaxPayload() - serviceHeaderRoom; int64(len(body)) > limit {
		return response(r, http.StatusRequestEntityTooLarge, nil,
			fmt.Appendf(nil, "the call has %d bytes, the NATS server takes %d", len(body), limit)), nil
	}
	reply, call, err := t.expect()
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", r.URL.Host, err)
	}
	defer t.forget(reply)
	if err := t.conn.PublishMsg(&nats.Msg{Subject: r.URL.Host, Reply: reply, Data: body, Header: serviceHeaders(r)}); err != nil {
		return nil, fmt.Errorf("call %s: %w", r.URL.Host, err)
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	return call.await(r)
}

// expect returns a subject for an answer, and the call that it goes to.
func (t *ServiceTransport) expect() (reply string, call *serviceCall, err error) {
	call = &serviceCall{answer: make(chan *nats.Msg, 1), alive: make(chan struct{}, 1)}
	token := rand.Text() // services see it, and must not guess those of others
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sub == nil {
		inbox := t.conn.NewInbox() + "."
		sub, err := t.conn.Subscribe(inbox+"*", t.take)
		if err != nil {
			return "", nil, fmt.Errorf("subscribe to answers: %w", err)
		}
		_ = sub.SetPendingLimits(-1, -1) // there are no more answers than calls
		t.sub, t.inbox = sub, inbox
	}
	t.waiting[token] = call
	return t.inbox + token, call, nil
}

func (t *ServiceTransport) forget(reply string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, strings.TrimPrefix(reply, t.inbox))
}

// take hands a message to the call that it is for. Only the first answer
// counts.
func (t *ServiceTransport) take(m *nats.Msg) {
	t.mu.Lock()
	call := t.waiting[strings.TrimPrefix(m.Subject, t.inbox)]
	t.mu.Unlock()
	switch {
	case call == nil:
	case m.Header.Get(headerServiceStatus) == "working":
		select {
		case call.alive <- struct{}{}:
		default: // it knows
		}
	default:
		select {
		case call.answer <- m:
		default:
		}
	}
}

// serviceHeaders are what a service is told besides the body.
func serviceHeaders(r *http.Request) nats.Header {
	h := nats.Header{}
	for from, to := range map[string]string{"Traceparent": HeaderTraceParent, "Tracestate": HeaderTraceState, headerAttempt: headerAttempt} {
		if v := r.Header.Get(from); v != "" {
			h[to] = []string{v}
		}
	}
	if end, ok := r.Context().Deadline(); ok {
		h[headerTimeout] = []string{time.Until(end).Round(time.Millisecond).String()}
	}
	return h
}

func readAll(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close() //nolint:errcheck // it is in memory
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		return nil, fmt.Errorf("read the call's body: %w", err)
	}
	return b.Bytes(), nil
}

// await waits for the answer, and gives a service up that has gone silent.
func (c *serviceCall) await(r *http.Request) (*http.Response, error) {
	silence := time.NewTimer(serviceSilence)
	defer silence.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		case <-silence.C:
			return nil, fmt.Errorf("call %s: %w", r.URL.Host, errServiceSilent)
		case <-c.alive:
			silence.Reset(serviceSilence)
		case m := <-c.answer:
			return serviceAnswer(r, m), nil
		}
	}
}

func serviceAnswer(r *http.Request, m *nats.Msg) *http.Response {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // nobody is subscribed
		return response(r, http.StatusServiceUnavailable, nil, []byte("no service has this function"))
	}
	code := m.Header.Get("Nats-Service-Error-Code")
	if code == "" {
		return response(r, http.StatusOK, http.Header{"Content-Type": {"application/octet-stream"}}, m.Data)
	}
	status, err := strconv.Atoi(code)
	if err != nil || status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	h := http.Header{}
	if wait, err := time.ParseDuration(m.Header.Get(headerRetryAfter)); err == nil && wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	return response(r, status, h, []byte(m.Header.Get("Nats-Service-Error")))
}

func response(r *http.Request, status int, h http.Header, body []byte) *http.Response {
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}
