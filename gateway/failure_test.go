package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// wantFailure checks an error of Invoke and what its text has to say.
func wantFailure(t *testing.T, err error, kind actor.FailureKind, reason string, says ...string) actor.InvokeError {
	t.Helper()
	e := invokeError(t, err)
	if e.Kind != kind || e.Reason != reason {
		t.Errorf("Invoke = kind %d, reason %q, want kind %d, reason %q: %v", e.Kind, e.Reason, kind, reason, e)
	}
	if e.Endpoint == "" {
		t.Errorf("Invoke = %v, which names no endpoint", e)
	}
	for _, text := range says {
		if !strings.Contains(e.Error(), text) {
			t.Errorf("Invoke = %q, want it to say %q", e, text)
		}
	}
	return *e
}

func TestStatusesSayWhetherARetryHelps(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]actor.FailureKind{
		http.StatusTooManyRequests:       actor.Unreachable,
		http.StatusBadGateway:            actor.Unreachable,
		http.StatusServiceUnavailable:    actor.Unreachable,
		http.StatusGatewayTimeout:        actor.Unreachable,
		http.StatusConflict:              actor.Answered,
		420:                              actor.Answered,
		http.StatusRequestTimeout:        actor.Answered,
		499:                              actor.Answered,
		http.StatusInternalServerError:   actor.Answered,
		http.StatusNotImplemented:        actor.Answered,
		599:                              actor.Answered,
		http.StatusBadRequest:            actor.Final,
		http.StatusUnauthorized:          actor.Final,
		http.StatusNotFound:              actor.Final,
		http.StatusMethodNotAllowed:      actor.Final,
		http.StatusUnsupportedMediaType:  actor.Final,
		http.StatusMovedPermanently:      actor.Final,
		http.StatusTemporaryRedirect:     actor.Final,
		http.StatusNotModified:           actor.Final,
		http.StatusRequestEntityTooLarge: actor.Final,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			fn := greeterAt(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "broken\nby \x00me")
			})
			_, err := fn.Invoke(t.Context(), oneHello())
			e := wantFailure(t, err, want, actor.ReasonStatus, strconv.Itoa(status), "example/greeter")
			if e.HTTPStatus != status {
				t.Errorf("HTTPStatus = %d, want %d", e.HTTPStatus, status)
			}
			if status != http.StatusNotModified && !strings.Contains(e.Error(), "broken by .me") {
				t.Errorf("Invoke = %q, want the body's printable text in it", e.Err)
			}
		})
	}
}

func TestErrorShowsAtMost512BytesOfTheBody(t *testing.T) {
	t.Parallel()
	fn := greeterAt(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, strings.Repeat("€", 10_000))
	})
	_, err := fn.Invoke(t.Context(), oneHello())
	if n := strings.Count(err.Error(), "€"); n != 512/3 {
		t.Errorf("the error shows %d signs of 3 bytes, want %d", n, 512/3)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for header, want := range map[string]struct{ from, to time.Duration }{
		"":                      {0, 0},
		"7":                     {7 * time.Second, 7 * time.Second},
		"0":                     {0, 0},
		"-5":                    {0, 0},
		"soon":                  {0, 0},
		"3600":                  {5 * time.Minute, 5 * time.Minute},
		"9223372036854775807":   {5 * time.Minute, 5 * time.Minute},
		in(2 * time.Minute):     {time.Minute, 2 * time.Minute},
		in(24 * time.Hour):      {5 * time.Minute, 5 * time.Minute},
		in(-24 * time.Hour):     {0, 0},
		"999999999999999999999": {0, 0},
	} {
		fn := greeterAt(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		_, err := fn.Invoke(t.Context(), oneHello())
		if got := invokeError(t, err).RetryAfter; got < want.from || got > want.to {
			t.Errorf("Retry-After %q: RetryAfter = %s, want %s to %s", header, got, want.from, want.to)
		}
	}
}

func TestAFunctionThatIsNotThereIsUnreachable(t *testing.T) {
	t.Parallel()
	plain := functionServer(t, answering(nil))
	// The near end of a connection is a port that nobody listens at, and that
	// no other test is given meanwhile.
	held, err := net.Dial("tcp", strings.TrimPrefix(plain.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() }) // the server may have closed it
	closed := "http://" + held.LocalAddr().String()
	selfSigned := httptest.NewUnstartedServer(answering(nil))
	selfSigned.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	selfSigned.StartTLS()
	t.Cleanup(selfSigned.Close)
	for name, url := range map[string]string{
		"refused":         closed,
		"no such host":    "http://no-such-host.invalid",
		"not TLS":         strings.Replace(plain.URL, "http:", "https:", 1),
		"bad certificate": selfSigned.URL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := endpointAt(t, url+"/x?token=secret", gateway.Transport{})
			_, err := e.Function(greeter).Invoke(t.Context(), oneHello())
			f := invokeError(t, err)
			if f.Kind != actor.Unreachable {
				t.Errorf("Invoke = kind %d, want unreachable: %v", f.Kind, f)
			}
			if strings.Contains(f.Error(), "secret") || strings.Contains(f.Endpoint, "secret") {
				t.Errorf("Invoke = %q at %q, which shows the query", f, f.Endpoint)
			}
		})
	}
}

func TestATLSHandshakeThatHangsIsUnreachable(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // what was never accepted hangs
	e := endpointAt(t, "https://"+ln.Addr().String(), gateway.Transport{Connect: 50 * time.Millisecond})
	_, err = e.Function(greeter).Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Unreachable, actor.ReasonTimeout)
}

// hijacked takes the connection over once the whole call was read.
func hijacked(t *testing.T, then func(net.Conn)) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		then(conn)
		_ = conn.Close()
	}
}

func TestAConnectionLostAfterTheCallCountsAsAnswered(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(net.Conn){
		"closed":             func(net.Conn) {},
		"reset":              func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) },
		"garbage for HTTP":   func(c net.Conn) { _, _ = io.WriteString(c, "hello there\r\n\r\n") },
		"half of the header": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Ty") },
		"half of the body": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nhalf")
		},
		"a broken chunk": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		},
		"an endless header": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		},
		"gzip that is none": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhalf")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			h := hijacked(t, then)
			fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); h(w, r) })
			_, err := fn.Invoke(t.Context(), oneHello())
			wantFailure(t, err, actor.Answered, actor.ReasonProtocol)
			if calls.Load() != 1 {
				t.Errorf("one Invoke called the function %d times, want 1", calls.Load())
			}
		})
	}
}

func TestAReusedConnectionThatIsLostAfterTheCallCountsAsAnswered(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	lose := hijacked(t, func(net.Conn) {})
	fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			answering(nil)(w, r)
			return
		}
		lose(w, r)
	})
	if _, err := fn.Invoke(t.Context(), oneHello()); err != nil {
		t.Fatal(err)
	}
	_, err := fn.Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Answered, actor.ReasonProtocol)
	if calls.Load() != 2 {
		t.Errorf("two Invokes called the function %d times, want 2", calls.Load())
	}
}

func TestARestartedFunctionIsCalledOnANewConnection(t *testing.T) {
	t.Parallel()
	server := functionServer(t, answering(nil))
	fn := endpointAt(t, server.URL, gateway.Transport{}).Function(greeter)
	for range 20 {
		_, err := fn.Invoke(t.Context(), oneHello())
		if err != nil { // the idle connection was lost under the call
			if f := invokeError(t, err); f.Kind == actor.Final {
				t.Fatalf("Invoke after its connection was closed = %v, want a retry to help", err)
			}
			if _, err := fn.Invoke(t.Context(), oneHello()); err != nil {
				t.Fatalf("the next Invoke = %v", err)
			}
		}
		server.CloseClientConnections()
	}
}

func TestAFunctionThatDoesNotReadTimesOut(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // what is never accepted is never read
	e := endpointAt(t, "http://"+ln.Addr().String(), gateway.Transport{Write: 50 * time.Millisecond, Call: 10 * time.Minute})
	b := oneHello()
	b.Envelopes[0].Value.Data = make([]byte, 16<<20) // more than socket buffers take
	start := time.Now()
	_, err = e.Function(greeter).Invoke(t.Context(), b)
	wantFailure(t, err, actor.Answered, actor.ReasonTimeout)
	if took := time.Since(start); took > 5*time.Minute {
		t.Errorf("Invoke took %s with a write limit of 50ms", took)
	}
}

func TestSlowFunctionsTimeOut(t *testing.T) {
	t.Parallel()
	stall := func(headers bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if headers {
				w.Header().Set("Content-Type", octetStream)
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done() // the caller has hung up
		}
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", octetStream)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}
	const limit = 4 * time.Second // within which a busy machine connects and sends
	for name, c := range map[string]struct {
		handler   http.HandlerFunc
		transport gateway.Transport
	}{
		"no answer, call limit":           {stall(false), gateway.Transport{Call: limit}},
		"no answer, read limit":           {stall(false), gateway.Transport{Read: limit}},
		"half an answer, call limit":      {stall(true), gateway.Transport{Call: limit}},
		"half an answer, read limit":      {stall(true), gateway.Transport{Read: limit}},
		"an answer in drips, call limit":  {drip, gateway.Transport{Call: limit, Read: time.Hour}},
		"an error in drips, okhttp limit": {stall(false), gateway.Transport{Kind: gateway.TransportOkHTTP, Read: limit}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn := endpointAt(t, functionServer(t, c.handler).URL, c.transport).Function(greeter)
			start := time.Now()
			_, err := fn.Invoke(t.Context(), oneHello())
			wantFailure(t, err, actor.Answered, actor.ReasonTimeout)
			if took := time.Since(start); took > time.Minute { // the default limits are longer
				t.Errorf("Invoke took %s with a limit of %s", took, limit)
			}
		})
	}
}

func TestACallEndsWithItsContextWhateverComesAtThatMoment(t *testing.T) {
	t.Parallel()
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", octetStream)
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "x")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	fn := endpointAt(t, functionServer(t, handler).URL, gateway.Transport{Read: time.Hour}).Function(greeter)
	for i := range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		later := time.AfterFunc(time.Duration(i%400)*time.Microsecond, cancel)
		_, err := fn.Invoke(ctx, oneHello())
		later.Stop()
		cancel()
		if e := invokeError(t, err); e.Reason != actor.ReasonTimeout {
			t.Fatalf("Invoke = %v, want a time-out", e)
		}
	}
}

func TestInvokeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	fn := greeterAt(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	_, err := fn.Invoke(ctx, oneHello())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Invoke = %v, want context.Canceled", err)
	}
	wantFailure(t, err, actor.Answered, actor.ReasonTimeout)
}

func TestALargeAnswerIsRefused(t *testing.T) {
	t.Parallel()
	const size = 40 << 20
	for name, length := range map[string]bool{"with a length": true, "in chunks": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn := greeterAt(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", octetStream)
				if length {
					w.Header().Set("Content-Length", strconv.Itoa(size))
				}
				chunk := bytes.Repeat([]byte{0}, 1<<20)
				for range size >> 20 {
					_, _ = w.Write(chunk)
				}
			})
			_, err := fn.Invoke(t.Context(), oneHello())
			wantFailure(t, err, actor.Final, actor.ReasonLimit, "33554432 bytes")
		})
	}
}

func TestAnAnswerOfJustTheLimitIsTaken(t *testing.T) {
	t.Parallel()
	body := result(t, &pb.FromFunction_InvocationResponse{OutgoingEgresses: []*pb.FromFunction_EgressMessage{
		{EgressNamespace: "a", EgressType: "b", Argument: &pb.TypedValue{HasValue: true, Value: make([]byte, 1000)}},
	}})
	for limit, want := range map[int64]bool{int64(len(body)): true, int64(len(body)) - 1: false} {
		e, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: functionServer(t, answering(body)).URL, MaxPayloadBytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		if _, err := e.Function(greeter).Invoke(t.Context(), oneHello()); (err == nil) != want {
			t.Errorf("Invoke with an answer of %d bytes and a limit of %d = %v", len(body), limit, err)
		}
	}
}

func TestAnAnswerOfAnotherContentTypeIsRefused(t *testing.T) {
	t.Parallel()
	for typ, ok := range map[string]bool{
		"application/octet-stream":                true,
		"Application/Octet-Stream":                true,
		"application/octet-stream; charset=utf-8": true,
		"application/octet-stream2":               false,
		"text/html":                               false,
		"":                                        false,
	} {
		fn := greeterAt(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{typ}
			if typ == "" {
				w.Header()["Content-Type"] = nil // none, and not sniffed either
			}
			if !ok {
				_, _ = io.WriteString(w, "<html>welcome")
			}
		})
		_, err := fn.Invoke(t.Context(), oneHello())
		if ok {
			if err != nil {
				t.Errorf("Invoke with content type %q = %v", typ, err)
			}
			continue
		}
		wantFailure(t, err, actor.Answered, actor.ReasonProtocol, "content type", "<html>welcome")
	}
}

func TestAnEmptyAnswerWithoutATypeIsAFailureOfTheFunction(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{"": "the answer is empty: ", "500": "header Status says 500: "} {
		fn := greeterAt(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if status != "" {
				w.Header().Set("Status", status)
			}
		})
		_, err := fn.Invoke(t.Context(), oneHello())
		wantFailure(t, err, actor.Answered, actor.ReasonProtocol, want, "the function seems to have failed")
	}
}

func TestRedirectsAreFollowedOnlyWhereUpstreamDoes(t *testing.T) {
	t.Parallel()
	function := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		if got := readCall(t, r).GetTarget().GetId(); r.Method != http.MethodPost || got != "Bob" {
			t.Errorf("the redirected call is a %s for %q", r.Method, got)
		}
		answering(golden(t, "from_cancel_only.bin"))(w, r)
	})
	redirect := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, function.URL, http.StatusTemporaryRedirect)
	})
	_, err := endpointAt(t, redirect.URL, gateway.Transport{}).Function(greeter).Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Final, actor.ReasonStatus, "307")

	got, err := endpointAt(t, redirect.URL, gateway.DefaultTransport(gateway.TransportOkHTTP)).Function(greeter).Invoke(t.Context(), oneHello())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Delayed) != 1 {
		t.Errorf("the redirected call had %d effects, want 1", len(got.Delayed))
	}
}

func TestARedirectToNowhereIsUnreachable(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(answering(nil))
	url := gone.URL
	gone.Close()
	redirect := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, url, http.StatusTemporaryRedirect)
	})
	e := endpointAt(t, redirect.URL, gateway.DefaultTransport(gateway.TransportOkHTTP))
	_, err := e.Function(greeter).Invoke(t.Context(), oneHello())
	wantFailure(t, err, actor.Unreachable, actor.ReasonProtocol)
}

func TestACallThatGivesUpWhileTheFirstIsMadeWasNeverMade(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	fn := patientlyAt(t, time.Hour, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(hangs) // panics at a second call
		<-r.Context().Done()
	})
	go func() { _, _ = fn.Invoke(t.Context(), oneHello()) }()
	<-hangs
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := fn.Invoke(ctx, oneHello())
	wantFailure(t, err, actor.Unreachable, actor.ReasonTimeout)
}
