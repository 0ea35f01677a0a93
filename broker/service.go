package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	headerServiceStatus = "Jetfn-Status"
	headerRetryAfter    = "Jetfn-Retry-After"
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
type ServiceTransport struct{ conn *nats.Conn }

// NewServiceTransport returns a transport over nc, which stays the caller's.
func NewServiceTransport(nc *nats.Conn) *ServiceTransport { return &ServiceTransport{conn: nc} }

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
	answers := make(chan *nats.Msg, 16)
	inbox := t.conn.NewRespInbox()
	sub, err := t.conn.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", r.URL.Host, err)
	}
	defer sub.Unsubscribe() //nolint:errcheck // it fails only when the connection is closed
	m := &nats.Msg{Subject: r.URL.Host, Reply: inbox, Data: body, Header: nats.Header{}}
	for _, name := range []string{"Traceparent", "Tracestate", "Jetfn-Attempt"} {
		if v := r.Header.Get(name); v != "" {
			m.Header[serviceHeader(name)] = []string{v}
		}
	}
	if err := t.conn.PublishMsg(m); err != nil {
		return nil, fmt.Errorf("call %s: %w", r.URL.Host, err)
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	return awaitService(r, answers)
}

// serviceHeader is a header's name as services know it.
func serviceHeader(name string) string {
	if strings.HasPrefix(name, "Trace") {
		return strings.ToLower(name)
	}
	return name
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

// awaitService waits for the answer, and gives a service up that has gone silent.
func awaitService(r *http.Request, answers <-chan *nats.Msg) (*http.Response, error) {
	silence := time.NewTimer(serviceSilence)
	defer silence.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil, context.Cause(r.Context())
		case <-silence.C:
			return nil, fmt.Errorf("call %s: %w", r.URL.Host, errServiceSilent)
		case m := <-answers:
			if m.Header.Get(headerServiceStatus) == "working" {
				silence.Reset(serviceSilence)
				continue
			}
			return serviceAnswer(r, m), nil
		}
	}
}

func serviceAnswer(r *http.Request, m *nats.Msg) *http.Response {
	if m.Header.Get("Status") == "503" { // nobody is subscribed
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
