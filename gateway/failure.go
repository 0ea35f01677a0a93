package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jetfn/jetfn/actor"
)

// maxExcerpt is how much of an answer's body an error shows, in bytes.
const maxExcerpt = 512

// maxRetryAfter caps what a server may ask for.
const maxRetryAfter = 5 * time.Minute

// errSilence is the cause when an answer pauses for longer than
// Transport.Read.
var errSilence = errors.New("the answer stopped for longer than the read limit")

// stage tells how far a call got. The client repeats a request that reached
// nobody on a new connection by itself, so it may go back.
type stage struct {
	endpoint *Endpoint
	written  atomic.Bool // the request may have reached the function
}

func (s *stage) asked() { s.written.Store(false) }

func (s *stage) got(reused bool) {
	if reused {
		s.endpoint.reused.Add(1)
	} else {
		s.endpoint.opened.Add(1)
	}
}

func (s *stage) wrote() { s.written.Store(true) }

// trace is for clients that tell of their steps in this way.
func (s *stage) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { s.asked() },
		GotConn:      func(info httptrace.GotConnInfo) { s.got(info.Reused) },
		WroteHeaders: s.wrote,
	}
}

// traced is a watcher that passes on what it is told.
type traced struct{ to *httptrace.ClientTrace }

func (t traced) asked() {
	if t.to != nil && t.to.GetConn != nil {
		t.to.GetConn("")
	}
}

func (t traced) got(reused bool) {
	if t.to != nil && t.to.GotConn != nil {
		t.to.GotConn(httptrace.GotConnInfo{Reused: reused})
	}
}

func (t traced) wrote() {
	if t.to != nil && t.to.WroteHeaders != nil {
		t.to.WroteHeaders()
	}
}

// lost is the failure of a call that got no answer.
func lost(ctx context.Context, s *stage, err error) *actor.InvokeError {
	var shown *url.Error
	if errors.As(err, &shown) {
		err = shown.Err // without the URL, which may hold secrets
	}
	e := &actor.InvokeError{Reason: actor.ReasonProtocol, Err: fmt.Errorf("no answer: %w", err)}
	if !s.written.Load() || refusedHandshake(err) {
		e.Kind = actor.Unreachable
	}
	if timedOut(ctx, err) {
		e.Reason = actor.ReasonTimeout
		e.Err = fmt.Errorf("no answer: %w", orCause(ctx, err))
	}
	return e
}

// refusedHandshake reports whether the other side didn't take the certificate
// shown. With TLS 1.3 that comes only after the request was written, which
// nobody has read then.
func refusedHandshake(err error) bool {
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return false
	}
	text := alert.Err.Error()
	return strings.Contains(text, "certificate") || strings.Contains(text, "handshake failure") || strings.Contains(text, "access denied")
}

func timedOut(ctx context.Context, err error) bool {
	var timeout net.Error
	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// orCause is why ctx ended, if it has, else err.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// statusFailure is the failure that a status other than 2xx means.
func statusFailure(resp *http.Response, body io.Reader) *actor.InvokeError {
	return &actor.InvokeError{
		Kind: kindOfStatus(resp.StatusCode), Reason: actor.ReasonStatus, HTTPStatus: resp.StatusCode,
		RetryAfter: retryAfter(resp.Header, time.Now()),
		Err:        fmt.Errorf("status %s%s", statusText(resp.StatusCode), quoteBody(body)),
	}
}

// typeError is what is wrong with an answer of another content type. Handlers
// that copy StateFun's Java examples answer a failed call with status 200, no
// type, no body, and the real status in a header of that name.
func typeError(resp *http.Response, body io.Reader) error {
	got, quoted := resp.Header.Get("Content-Type"), quoteBody(body)
	if got != "" || quoted != "" {
		return fmt.Errorf("the answer's content type is %q, want %q%s", excerpt([]byte(got)), contentType, quoted)
	}
	what := "the answer is empty"
	if status := resp.Header.Get("Status"); status != "" {
		what += ", and its header Status says " + excerpt([]byte(status))
	}
	return fmt.Errorf("%s: the function seems to have failed, its log may say why (an answer has the content type %q)", what, contentType)
}

func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}

func kindOfStatus(code int) actor.FailureKind {
	switch code {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return actor.Unreachable
	case http.StatusRequestTimeout, http.StatusConflict, 420, 499:
		return actor.Answered
	}
	if code >= 500 {
		return actor.Answered
	}
	return actor.Final
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil {
		wait = maxRetryAfter
		if seconds < uint64(maxRetryAfter/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
	} else if date, err := http.ParseTime(text); err == nil {
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// trustedLength is for how many bytes there is room at once, on an answer's
// word.
const trustedLength = 1 << 20

// readBody reads the body of a good answer, of limit bytes at most.
func readBody(ctx context.Context, resp *http.Response, body io.Reader, limit int64) ([]byte, *actor.InvokeError) {
	tooLarge := func() *actor.InvokeError {
		return &actor.InvokeError{
			Kind: actor.Final, Reason: actor.ReasonLimit, HTTPStatus: resp.StatusCode,
			Err: fmt.Errorf("the answer is larger than %d bytes", limit),
		}
	}
	length := max(resp.ContentLength, 0)
	if resp.Header.Get("Content-Encoding") != "" {
		length = 0 // that of something else
	}
	if length > limit {
		return nil, tooLarge()
	}
	data := bytes.NewBuffer(make([]byte, 0, min(length, trustedLength)+bytes.MinRead))
	_, err := data.ReadFrom(io.LimitReader(body, limit+1))
	if int64(data.Len()) > limit {
		return nil, tooLarge()
	}
	if err != nil {
		e := &actor.InvokeError{Reason: actor.ReasonProtocol, HTTPStatus: resp.StatusCode}
		if timedOut(ctx, err) {
			e.Reason = actor.ReasonTimeout
		}
		e.Err = fmt.Errorf("the answer broke off after %d bytes: %w", data.Len(), orCause(ctx, err))
		return nil, e
	}
	return data.Bytes(), nil
}

// silenceLimit reads a body and gives its call up when nothing comes for
// longer than limit; zero means no limit.
type silenceLimit struct {
	body   io.Reader
	limit  time.Duration
	cancel context.CancelCauseFunc
}

func (s *silenceLimit) Read(p []byte) (int, error) {
	if s.limit > 0 {
		timer := time.AfterFunc(s.limit, func() { s.cancel(errSilence) })
		defer timer.Stop()
	}
	return s.body.Read(p) //nolint:wrapcheck // io.EOF has to stay itself
}

// quoteBody returns ": <what the body begins with>", or nothing.
func quoteBody(body io.Reader) string {
	data, _ := io.ReadAll(io.LimitReader(body, maxExcerpt)) // as much as there is
	if text := excerpt(data); text != "" {
		return ": " + text
	}
	return ""
}

// withExcerpt adds what an unreadable body begins with to err.
func withExcerpt(err error, body []byte) error {
	if text := excerpt(body); text != "" {
		return fmt.Errorf("%w; it begins with %q", err, text)
	}
	return err
}

// excerpt is the beginning of data as one printable line of at most
// maxExcerpt bytes.
func excerpt(data []byte) string {
	var b strings.Builder
	for len(data) > 0 && b.Len() < maxExcerpt {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			r = ' '
		case r == utf8.RuneError && size == 1 || !unicode.IsPrint(r):
			r = '.'
		}
		if b.Len()+utf8.RuneLen(r) > maxExcerpt {
			break
		}
		b.WriteRune(r)
		data = data[size:]
	}
	return strings.TrimSpace(b.String())
}
