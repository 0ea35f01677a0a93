package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// noEffects answers as a function without effects does.
func noEffects(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/octet-stream")
}

func TestOneConnectionServesManyCallsInARow(t *testing.T) {
	t.Parallel()
	e := endpointAt(t, functionServer(t, noEffects).URL, gateway.Transport{})
	for range 50 {
		if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Stats(); s.ConnectionsOpened != 1 || s.ConnectionsReused != 49 {
		t.Errorf("Stats = %+v, want one connection for 50 calls", s)
	}
}

func TestIdleConnectionsAreClosedAfterTheirTime(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(noEffects))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	e := endpointAt(t, s.URL, gateway.Transport{PoolTTL: 20 * time.Millisecond})
	if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("the idle connection is still open")
	}
}

// rawServer answers each connection with what answer writes after a request.
func rawServer(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					answer(conn)
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func TestInformationalAnswersAreSkipped(t *testing.T) {
	t.Parallel()
	e := endpointAt(t, rawServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"+
			"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n")
	}), gateway.Transport{})
	if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); err != nil {
		t.Errorf("Invoke = %v, want the answer behind the hints", err)
	}
}

func TestAnEndlessHeaderIsGivenUp(t *testing.T) {
	t.Parallel()
	e := endpointAt(t, rawServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}), gateway.Transport{})
	_, err := e.Function(greeter).Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Answered, actor.ReasonProtocol, "header is too large")
}

func TestAnEndedContextEndsTheReadingOfABody(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	e := endpointAt(t, rawServer(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nhalf")
		cancel()
		<-hold
	}), gateway.Transport{})
	began := time.Now()
	if _, err := e.Function(greeter).Invoke(ctx, oneHello()); err == nil {
		t.Error("Invoke of an answer that stops in the middle = nil, want an error")
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("Invoke took %v after its context had ended", took)
	}
}
