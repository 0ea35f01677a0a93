package gateway

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// contentType is that of calls and answers. Upstream refuses an answer that
// has parameters behind it; they change nothing, and are passed over.
const contentType = "application/octet-stream"

func isOctetStream(header string) bool {
	if header == contentType {
		return true
	}
	mediaType, _, _ := strings.Cut(header, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), contentType)
}

// request is what all calls of a URL have in common; nil if it is no URL. It
// is never modified.
func (e *Endpoint) request(target string) *http.Request {
	u, err := url.Parse(target)
	if err != nil {
		return nil
	}
	u.Host = strings.TrimSuffix(u.Host, ":")
	req := &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
	maps.Copy(req.Header, e.header)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", contentType)
	req.Header.Set("Accept-Encoding", acceptEncoding)
	req.Header.Set("User-Agent", "jetfn")
	if e.template.socket {
		req.Host = socketHost
	}
	if user := req.URL.User; user != nil && e.direct(req) && req.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return req
}

// direct reports whether http.Client has nothing to add to a call.
func (e *Endpoint) direct(req *http.Request) bool {
	return e.plain != nil && req.URL.Scheme == "http" && !e.transport.FollowRedirects
}

// send makes a call of a request without a body.
func (e *Endpoint) send(ctx context.Context, common *http.Request, body []byte, s *stage) (*http.Response, error) {
	trace := s.trace()
	direct := e.direct(common)
	if !direct {
		ctx = httptrace.WithClientTrace(ctx, trace)
	}
	req := common.WithContext(ctx)
	req.ContentLength = int64(len(body))
	req.Body = io.NopCloser(bytes.NewReader(body))
	if direct {
		return e.plain.send(req, trace)
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return e.client.Do(req) //nolint:wrapcheck // whoever calls tells its errors apart
}

// callHeader are the headers that one call has besides the common ones.
type callHeader struct{ pairs []string }

func (h *callHeader) add(name, value string) { h.pairs = append(h.pairs, name, value) }

// on returns common with the headers.
func (h *callHeader) on(common *http.Request) *http.Request {
	if len(h.pairs) == 0 {
		return common
	}
	req := *common
	req.Header = maps.Clone(common.Header)
	for i := 0; i < len(h.pairs); i += 2 {
		req.Header.Set(h.pairs[i], h.pairs[i+1])
	}
	return &req
}

// headerOf is what a function is told of a call: that it isn't the first, and
// the batch's trace, or that of its first traced message.
func headerOf(b *actor.Batch) callHeader {
	var h callHeader
	if b.Attempt > 1 {
		h.add("Jetfn-Attempt", strconv.Itoa(b.Attempt))
	}
	tr := b.Span.Trace
	for i := 0; i < len(b.Envelopes) && tr.Parent == ""; i++ {
		tr, _ = b.Envelopes[i].Trace.Delayed()
	}
	if tr.Parent == "" {
		return h
	}
	h.add("Traceparent", tr.Parent)
	if tr.State != "" {
		h.add("Tracestate", tr.State)
	}
	return h
}
