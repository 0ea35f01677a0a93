package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

const (
	directBuffer = 16 << 10
	// maxAnswerHeader is the largest header of an answer in bytes: a server
	// that sends more is broken.
	maxAnswerHeader = 256 << 10
)

// direct is an http.RoundTripper for plain HTTP/1.1 that writes a request and
// reads its answer in the goroutine of the caller. The standard transport
// hands both to goroutines of the connection, which costs more than half of a
// short call. Answers are parsed by the standard library, but for those of
// plainAnswer. A request is sent once: what to do after a connection broke is
// for the caller to say.
type direct struct {
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	read    time.Duration // longest silence before the answer's header; zero: no limit
	maxIdle int           // connections per host
	ttl     time.Duration // of an idle connection; zero: for ever

	mu    sync.Mutex
	idle  map[string][]*directConn // by host, the longest unused first
	sweep *time.Timer              // armed while there are idle connections
}

// directConn is a connection that belongs to one request at a time.
type directConn struct {
	net.Conn

	ctx     context.Context //nolint:containedctx // of the request that has the connection
	host    string
	limited bool // a header is being read
	header  int  // bytes of it that may still come; negative: it has too many
	in      *bufio.Reader
	out     *bufio.Writer
	failed  error     // of the write that failed
	since   time.Time // idle since
	reused  bool
}

var errHeaderTooLarge = errors.New("the answer's header is too large")

// abort makes whatever the connection waits for fail: its request's ctx has
// ended.
func (c *directConn) abort() { _ = c.SetDeadline(time.Unix(1, 0)) }

// limitRead sets the time until which reads may wait, and leaves it in the
// past if ctx has ended meanwhile.
func (c *directConn) limitRead(until time.Time) error {
	err := c.SetReadDeadline(until)
	if c.ctx.Err() != nil {
		c.abort()
	}
	return err //nolint:wrapcheck // its callers do
}

// Read limits headers. It fails again and again, since the standard library's
// parser may pass over an error in the hope of the next.
func (c *directConn) Read(p []byte) (int, error) {
	if c.limited && c.header < 0 {
		return 0, errHeaderTooLarge
	}
	n, err := c.Conn.Read(p)
	if c.limited {
		if c.header -= n; c.header < 0 {
			return 0, errHeaderTooLarge
		}
	}
	return n, err //nolint:wrapcheck // io.EOF has to stay itself
}

// Write keeps its error: http.Request.Write hides it behind one of its own.
func (c *directConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.failed = err
	}
	return n, err //nolint:wrapcheck // its callers do
}

// RoundTrip implements http.RoundTripper.
func (d *direct) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, _, err := d.send(req.Context(), &directCall{
		request: req, write: func(w *bufio.Writer) error { return req.Write(w) },
		watcher: traced{httptrace.ContextClientTrace(req.Context())},
	})
	return resp, err
}

// directCall is a request for a connection.
type directCall struct {
	request *http.Request // where it goes, and how; write has the rest
	write   func(w *bufio.Writer) error
	short   int // the longest body that may be read at once, without a Response
	watcher watcher
}

// watcher is told how far a call has got.
type watcher interface {
	asked()          // for a connection
	got(reused bool) // a connection
	wrote()          // from now on the call may have reached the function
}

// send makes a call. It returns the body of an answer that is short and plain,
// and any other one as a Response.
func (d *direct) send(ctx context.Context, call *directCall) (*http.Response, []byte, error) {
	call.watcher.asked()
	c, err := d.conn(ctx, call.request)
	if err != nil {
		return nil, nil, err
	}
	call.watcher.got(c.reused)
	c.ctx = ctx
	release := context.AfterFunc(ctx, c.abort)
	resp, body, err := d.exchange(c, call)
	if err != nil {
		release()
		_ = c.Close() // it is of no use any more
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, nil, err
	}
	if resp == nil {
		d.done(c, release())
		return nil, body, nil
	}
	d.attach(resp, c, release)
	return resp, nil, nil
}

// exchange writes a call and reads its answer, or the answer's header.
func (d *direct) exchange(c *directConn, call *directCall) (*http.Response, []byte, error) {
	call.watcher.wrote()
	err := call.write(c.out)
	if err == nil {
		err = c.out.Flush()
	}
	if c.failed != nil {
		err = c.failed
	}
	if err != nil {
		return nil, nil, fmt.Errorf("write request: %w", err)
	}
	if d.read > 0 {
		if err := c.limitRead(time.Now().Add(d.read)); err != nil {
			return nil, nil, fmt.Errorf("read answer: %w", err)
		}
	}
	body, short := c.shortAnswer(call.short)
	var resp *http.Response
	if !short {
		if resp, err = c.readHeader(call.request); err != nil {
			return nil, nil, err
		}
	}
	c.limited = false
	if d.read > 0 {
		_ = c.limitRead(time.Time{}) // a later read reports what is wrong with the connection
	}
	return resp, body, nil
}

// readHeader reads the header of an answer, and passes over informational ones.
func (c *directConn) readHeader(req *http.Request) (*http.Response, error) {
	for {
		c.limited, c.header = true, maxAnswerHeader
		resp, err := http.ReadResponse(c.in, req)
		if err != nil {
			switch {
			case c.header < 0: // whatever the parser makes of the cut
				err = errHeaderTooLarge
			case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
				err = errors.New("the connection was closed")
			}
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
}

// shortAnswer returns the body of an answer that is plain and has come in one
// piece. Any other one is left unread, as are errors.
func (c *directConn) shortAnswer(longest int) ([]byte, bool) {
	if longest <= 0 {
		return nil, false
	}
	if _, err := c.in.Peek(1); err != nil {
		return nil, false
	}
	all, _ := c.in.Peek(c.in.Buffered()) // it is there
	body, ok := plainAnswer(all)
	if !ok || len(body) > longest {
		return nil, false
	}
	body = bytes.Clone(body)
	_, _ = c.in.Discard(len(all)) // likewise
	return body, true
}

// attach makes resp's body give its connection back when it has been read.
func (d *direct) attach(resp *http.Response, c *directConn, release func() bool) {
	keep := !resp.Close && resp.StatusCode != http.StatusSwitchingProtocols
	body := &directBody{body: resp.Body, done: func(whole bool) { d.done(c, release() && whole && keep) }}
	if resp.ContentLength == 0 {
		body.finish(true)
	}
	resp.Body = body
}

// done ends the use of a connection, which serves the next call if it may, and
// nothing is left on it.
func (d *direct) done(c *directConn, keep bool) {
	if keep && c.in.Buffered() == 0 {
		d.put(c)
		return
	}
	_ = c.Close()
}

// directBody is an answer's body.
type directBody struct {
	body io.ReadCloser
	done func(whole bool) // nil once called
}

func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil {
		b.finish(errors.Is(err, io.EOF))
	}
	return n, err //nolint:wrapcheck // io.EOF has to stay itself
}

// Close implements io.Closer. A body that was not read to its end costs the
// connection.
func (b *directBody) Close() error {
	b.finish(false)
	return nil
}

func (b *directBody) finish(whole bool) {
	if done := b.done; done != nil {
		b.done = nil
		done(whole)
	}
}

// conn returns an idle connection that is still open, or makes one.
func (d *direct) conn(ctx context.Context, req *http.Request) (*directConn, error) {
	host := req.URL.Host
	for {
		c := d.take(host)
		if c == nil {
			break
		}
		if alive(c.Conn) {
			c.reused = true
			return c, nil
		}
		_ = c.Close() // the other side has closed it
	}
	addr := host
	if req.URL.Port() == "" {
		addr = net.JoinHostPort(req.URL.Hostname(), "80")
	}
	conn, err := d.dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &directConn{Conn: conn, host: host}
	c.in, c.out = bufio.NewReaderSize(c, directBuffer), bufio.NewWriterSize(c, directBuffer)
	return c, nil
}

// take removes the connection that was used last.
func (d *direct) take(host string) *directConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.idle[host]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	list[len(list)-1] = nil
	d.idle[host] = list[:len(list)-1]
	return c
}

// put keeps a connection for the next request.
func (d *direct) put(c *directConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle[c.host]) >= d.maxIdle {
		_ = c.Close() // one too many
		return
	}
	c.since = time.Now()
	if d.idle == nil {
		d.idle = map[string][]*directConn{}
	}
	d.idle[c.host] = append(d.idle[c.host], c)
	if d.ttl > 0 && d.sweep == nil {
		d.sweep = time.AfterFunc(d.ttl, d.expire)
	}
}

// expire closes what has been idle for too long.
func (d *direct) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sweep = nil
	left := false
	for host, list := range d.idle {
		n := 0
		for n < len(list) && time.Since(list[n].since) >= d.ttl {
			_ = list[n].Close() // nobody uses it
			n++
		}
		d.idle[host] = slices.Delete(list, 0, n)
		left = left || len(d.idle[host]) > 0
	}
	if left {
		d.sweep = time.AfterFunc(d.ttl/2, d.expire)
	}
}

// CloseIdleConnections is for http.Client's method of that name.
func (d *direct) CloseIdleConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, list := range d.idle {
		for _, c := range list {
			_ = c.Close() // nobody uses it
		}
	}
	clear(d.idle)
	if d.sweep != nil {
		d.sweep.Stop()
		d.sweep = nil
	}
}

// byScheme uses direct for http and the standard transport for the rest.
type byScheme struct {
	plain *direct
	other *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (s *byScheme) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" {
		return s.plain.RoundTrip(req)
	}
	return s.other.RoundTrip(req) //nolint:wrapcheck // http.Client wraps
}

// CloseIdleConnections is for http.Client's method of that name.
func (s *byScheme) CloseIdleConnections() {
	s.plain.CloseIdleConnections()
	s.other.CloseIdleConnections()
}
