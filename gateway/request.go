package gateway

import (
	"bufio"
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

// request is what all calls of a URL have in common; nil if it is no URL.
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

// head is what a call over plain HTTP begins with: a request's first line and
// headers, but for its length. It is empty where calls need an http.Client, or
// the standard library doesn't write the request.
func (e *Endpoint) head(common *http.Request) []byte {
	const length = "Content-Length: 0\r\n"
	if common == nil || !e.direct(common) {
		return nil
	}
	empty := *common
	empty.Body = http.NoBody
	var b bytes.Buffer
	if empty.Write(&b) != nil || bytes.Count(b.Bytes(), []byte(length)) != 1 {
		return nil
	}
	head := bytes.Replace(b.Bytes(), []byte(length), nil, 1)
	return bytes.TrimSuffix(head, []byte("\r\n"))
}

// send makes a call. It returns the body of an answer that is short and plain,
// and any other one as a Response.
func (r *remote) send(ctx context.Context, header callHeader, body []byte, s *stage) (*http.Response, []byte, error) {
	if r.head != nil {
		write := func(w *bufio.Writer) error { return writeCall(w, r.head, header, body) }
		short := int(min(r.endpoint.maxPayload, directBuffer))
		return r.endpoint.plain.send(ctx, &directCall{request: r.request, write: write, short: short, watcher: s})
	}
	req := header.on(r.request.WithContext(httptrace.WithClientTrace(ctx, s.trace())))
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, _ = req.GetBody() // it can't fail
	resp, err := r.endpoint.client.Do(req)
	return resp, nil, err //nolint:wrapcheck // whoever calls tells its errors apart
}

// writeCall writes a call that begins with head.
func writeCall(w *bufio.Writer, head []byte, header callHeader, body []byte) error {
	_, _ = w.Write(head) // w keeps its first error
	for i := 0; i < len(header.pairs); i += 2 {
		header.line(w, header.pairs[i], header.pairs[i+1])
	}
	header.line(w, "Content-Length", strconv.Itoa(len(body)))
	_, _ = w.WriteString("\r\n")
	_, err := w.Write(body)
	return err //nolint:wrapcheck // its caller does
}

// callHeader are the headers that one call has besides the common ones.
type callHeader struct{ pairs []string }

func (h *callHeader) add(name, value string) { h.pairs = append(h.pairs, name, value) }

// on sets the headers in a request that shares others with the next ones.
func (h *callHeader) on(req *http.Request) *http.Request {
	if len(h.pairs) > 0 {
		req.Header = maps.Clone(req.Header)
	}
	for i := 0; i < len(h.pairs); i += 2 {
		req.Header.Set(h.pairs[i], h.pairs[i+1])
	}
	return req
}

// line writes a header as the standard library does: whatever value is, it is
// one line.
func (*callHeader) line(w *bufio.Writer, name, value string) {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	_, _ = w.WriteString(name)
	_, _ = w.WriteString(": ")
	_, _ = w.WriteString(strings.Trim(value, " \t"))
	_, _ = w.WriteString("\r\n")
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
