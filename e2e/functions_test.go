//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// function answers one batch.
type function func(b batch) (effects, error)

// functions serves the remote protocol for functions by "namespace/name".
type functions map[string]function

func (fs functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b, err := readBatch(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f := fs[b.target.namespace+"/"+b.target.name]
	if f == nil {
		http.Error(w, fmt.Sprintf("no function %v", b.target), http.StatusNotFound)
		return
	}
	e, err := f(b)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(e.encode())
}

// pipeline is the application of the exactly-once tests. A message for
// e2e/forward is "<id> <n>" and goes on to e2e/count at that id, which counts
// it and emits "<count> <n>" under the key id.
func pipeline() functions {
	return functions{
		"e2e/forward": func(b batch) (e effects, err error) {
			for _, inv := range b.invocations {
				id, _, ok := strings.Cut(inv.value.text(), " ")
				if !ok {
					return e, fmt.Errorf("odd message %q", inv.value.text())
				}
				e.sends = append(e.sends, send{target: address{"e2e", "count", id}, value: inv.value})
			}
			return e, nil
		},
		"e2e/count": count,
	}
}

func count(b batch) (e effects, err error) {
	seen, known := b.states["seen"]
	if !known {
		return effects{missing: []string{"seen"}}, nil
	}
	n := seen.long()
	for _, inv := range b.invocations {
		text := inv.value.text()
		if _, after, ok := strings.Cut(text, " "); ok {
			text = after
		}
		n++
		e.egress = append(e.egress, keyed("e2e", "counts", b.target.id, fmt.Appendf(nil, "%d %s", n, text)))
	}
	e.set = map[string]value{"seen": longValue(n)}
	return e, nil
}

// serve runs h inside the test; its URL ends with a slash.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", h)
}

func serveAt(t *testing.T, addr string, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			wg.Add(1)
			defer wg.Done()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return t.Context() }, // ends requests that hang
	}
	wg.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() {
		_ = srv.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String() + "/"
}

// functionPortVariable makes the test binary a function process: the process
// that a test can kill.
const functionPortVariable = "JETFN_E2E_FUNCTION_PORT"

func runFunctionProcess(port string) {
	srv := &http.Server{Addr: "127.0.0.1:" + port, Handler: pipeline(), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintln(os.Stderr, srv.ListenAndServe())
	os.Exit(1)
}

// startFunctions starts the pipeline in a process of its own.
func startFunctions(t *testing.T, port int) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "functions", command{path: exe, env: []string{fmt.Sprintf("%s=%d", functionPortVariable, port)}})
	eventually(t, 10*time.Second, "the function process to listen", func() error {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p
}

const pipelineModule = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: e2e/*
  urlPathTemplate: %s
---
kind: io.jetfn.nats.v1/egress
spec:
  id: e2e/counts
`
