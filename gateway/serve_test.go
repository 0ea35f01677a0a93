package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jetfn/jetfn/gateway"
)

// served is a listener that Serve answers until stop is called, which waits
// for its end.
func served(t *testing.T, h http.Handler) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gateway.Serve(ctx, ln, h, gateway.ServeConfig{}) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { _ = stop() })
	return ln.Addr().String(), stop
}

// raw sends bytes and returns the answer's status line.
func raw(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, text) // the server may have hung up
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(line)
}

func TestServeDoesNotRedirectOrCleanPaths(t *testing.T) {
	t.Parallel()
	addr, _ := served(t, (&fakeApp{}).handler())
	for path, want := range map[string]string{
		"/v1/send/a/b/..":            "HTTP/1.1 202 Accepted",
		"/v1/send/a/b/%2e%2e%2F":     "HTTP/1.1 202 Accepted",
		"/v1/send/a//b":              "HTTP/1.1 400 Bad Request",
		"//v1/send/a/b/c":            "HTTP/1.1 404 Not Found",
		"/v1/send/a/b/c/":            "HTTP/1.1 400 Bad Request",
		"/v1/send/a/b/\xc3\xbc%2F":   "HTTP/1.1 202 Accepted",
		"/v1/send/a/b/../../../x":    "HTTP/1.1 400 Bad Request",
		"/v1/../v1/send/a/b/c":       "HTTP/1.1 404 Not Found",
		"http://" + addr + "/readyz": "HTTP/1.1 405 Method Not Allowed",
	} {
		got := raw(t, addr, "POST "+path+" HTTP/1.1\r\nHost: "+addr+"\r\nContent-Length: 0\r\n\r\n")
		if got != want {
			t.Errorf("POST %s = %q, want %q", path, got, want)
		}
	}
}

func TestServeLimitsHeaders(t *testing.T) {
	t.Parallel()
	addr, _ := served(t, (&fakeApp{}).handler())
	got := raw(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 80<<10)+"\r\n\r\n")
	if got != "HTTP/1.1 431 Request Header Fields Too Large" {
		t.Errorf("a header of 80 KiB = %q, want 431", got)
	}
	got = raw(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 60<<10)+"\r\n\r\n")
	if got != "HTTP/1.1 200 OK" {
		t.Errorf("a header of 60 KiB = %q, want 200", got)
	}
}

func TestServeFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	addr, stop := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-finish
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request's context ended: %v", err)
		}
		_, _ = io.WriteString(w, "done")
	}))
	answer := make(chan string, 1)
	go func() { answer <- raw(t, addr, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") }()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("Serve returned %v before its request ended", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	if got := <-answer; got != "HTTP/1.1 200 OK" {
		t.Errorf("the request in progress = %q, want 200", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		_ = conn.Close()
		t.Error("the listener is open after Serve returned")
	}
}

func TestServeReportsALostListener(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := gateway.Serve(t.Context(), ln, http.NotFoundHandler(), gateway.ServeConfig{}); err == nil {
		t.Error("Serve on a closed listener = nil, want an error")
	}
}
