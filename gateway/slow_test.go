package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/gateway"
)

// pipes is a listener in memory, whose time may be virtual.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newPipes() *pipes { return &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.waiting <- theirs
	return ours
}

// serving calls use with a listener that Serve answers in virtual time, and
// returns what was logged.
func serving(t *testing.T, h http.Handler, cfg gateway.ServeConfig, use func(*pipes)) string {
	t.Helper()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		cfg.Log = zerolog.New(zerolog.SyncWriter(&log))
		ln := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- gateway.Serve(ctx, ln, h, cfg) }()
		use(ln)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
	return log.String()
}

// drip writes text and then a byte a second until it can't any more, and
// returns how long that took.
func drip(c net.Conn, text string) time.Duration {
	began := time.Now()
	_, err := io.WriteString(c, text)
	for err == nil {
		time.Sleep(time.Second)
		_, err = io.WriteString(c, "x")
	}
	return time.Since(began)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		at     time.Duration
		logged bool
	}{
		"headers a byte a second": {"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", 10 * time.Second, true},
		"a request line":          {"G", 10 * time.Second, true},
		"a body a byte a second":  {"POST /v1/send/a/b/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", 2 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := serving(t, (&fakeApp{}).handler(), gateway.ServeConfig{}, func(ln *pipes) {
				for range 3 {
					conn := ln.dial()
					go func() { _, _ = io.Copy(io.Discard, conn) }()
					if took := drip(conn, c.text); took < c.at || took > c.at+5*time.Second {
						t.Errorf("the client was cut off after %v, want %v", took, c.at)
					}
					_ = conn.Close()
				}
			})
			if got := strings.Contains(log, `"reason":"incomplete"`); got != c.logged {
				t.Errorf("the log is %q, a line about it: %t, want %t", log, got, c.logged)
			}
			if n := strings.Count(log, "\n"); n > 3 {
				t.Errorf("the log has %d lines:\n%s", n, log)
			}
		})
	}
}

func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	t.Parallel()
	large := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	serving(t, large, gateway.ServeConfig{}, func(ln *pipes) {
		conn := ln.dial()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(61 * time.Second)
		if n, err := io.Copy(io.Discard, conn); n > 8<<10 {
			t.Errorf("after a minute there were %d bytes to read, %v; want the connection closed", n, err)
		}
		_ = conn.Close()
	})
}

func TestAnIdleConnectionIsClosedWithoutALine(t *testing.T) {
	t.Parallel()
	log := serving(t, (&fakeApp{}).handler(), gateway.ServeConfig{}, func(ln *pipes) {
		conn := ln.dial()
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _ = io.Copy(io.Discard, conn)
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("the idle connection was closed after %v, want 2 minutes", took)
		}
		_ = conn.Close()
	})
	if log != "" {
		t.Errorf("the log is %q, want nothing", log)
	}
}

func TestConnectionsBeyondTheLimitAreToldSo(t *testing.T) {
	t.Parallel()
	log := serving(t, (&fakeApp{}).handler(), gateway.ServeConfig{MaxConnections: 4}, func(ln *pipes) {
		status := func(c net.Conn) string {
			if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
				return err.Error()
			}
			line, err := bufio.NewReader(c).ReadString('\n')
			if err != nil {
				return err.Error()
			}
			return strings.TrimSpace(line)
		}
		var open []net.Conn
		for range 4 {
			open = append(open, ln.dial())
		}
		surplus := ln.dial()
		if got := status(surplus); got != "HTTP/1.1 429 Too Many Requests" {
			t.Errorf("the fifth connection is answered %q, want 429", got)
		}
		_ = surplus.Close()
		synctest.Wait()
		if got := status(open[0]); got != "HTTP/1.1 200 OK" {
			t.Errorf("the first connection is answered %q, want 200", got)
		}
		_ = open[0].Close()
		synctest.Wait()
		again := ln.dial()
		if got := status(again); got != "HTTP/1.1 200 OK" {
			t.Errorf("a connection in the place of another is answered %q, want 200", got)
		}
		for _, c := range append(open[1:], again) {
			_ = c.Close()
		}
	})
	if !strings.Contains(log, `"reason":"connections"`) {
		t.Errorf("the log says nothing of it: %q", log)
	}
}
