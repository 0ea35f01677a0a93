package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

const octetStream = "application/octet-stream"

var (
	greeter = actor.TypeName{Namespace: "example", Name: "greeter"}
	bob     = actor.Address{Type: greeter, ID: "Bob"}
	hello   = actor.Value{Type: actor.StringType, Data: []byte("\x0a\x05hello")}
)

// golden returns one of the vectors of internal/wire.
func golden(tb testing.TB, file string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("..", "internal", "wire", "testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// endpointAt returns an endpoint that is closed when the test ends.
func endpointAt(tb testing.TB, url string, transport gateway.Transport) *gateway.Endpoint {
	tb.Helper()
	e, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: url, Transport: transport})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Close)
	return e
}

// functionServer serves h until the test ends.
func functionServer(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s
}

// greeterAt returns the function example/greeter as h serves it.
func greeterAt(tb testing.TB, h http.HandlerFunc) actor.Function {
	tb.Helper()
	return endpointAt(tb, functionServer(tb, h).URL, gateway.Transport{}).Function(greeter)
}

// patientlyAt is greeterAt where the first call keeps the others waiting for d
// at most, so that what a test sees doesn't depend on the machine.
func patientlyAt(tb testing.TB, d time.Duration, h http.HandlerFunc) actor.Function {
	tb.Helper()
	e := endpointAt(tb, functionServer(tb, h).URL, gateway.Transport{})
	gateway.KeepAlone(e, d)
	return e.Function(greeter)
}

// answering always answers with body.
func answering(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", octetStream)
		_, _ = w.Write(body)
	}
}

// oneHello is a batch of one message for bob.
func oneHello() *actor.Batch {
	return &actor.Batch{Target: bob, Envelopes: []actor.Envelope{{Target: bob, Value: hello}}, Attempt: 1}
}

// marshal encodes an answer.
func marshal(tb testing.TB, m *pb.FromFunction) []byte {
	tb.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// result is an answer with effects.
func result(tb testing.TB, r *pb.FromFunction_InvocationResponse) []byte {
	tb.Helper()
	return marshal(tb, &pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: r}})
}

// incomplete is an answer that asks for states of the type io.statefun.types/int.
func incomplete(tb testing.TB, names ...string) []byte {
	tb.Helper()
	specs := make([]*pb.FromFunction_PersistedValueSpec, len(names))
	for i, n := range names {
		specs[i] = &pb.FromFunction_PersistedValueSpec{StateName: n, TypeTypename: "io.statefun.types/int"}
	}
	return marshal(tb, &pb.FromFunction{Response: &pb.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &pb.FromFunction_IncompleteInvocationContext{MissingValues: specs},
	}})
}

// readCall decodes what a function was called with.
func readCall(tb testing.TB, r *http.Request) *pb.ToFunction_InvocationBatchRequest {
	tb.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		tb.Errorf("read call: %v", err)
	}
	var m pb.ToFunction
	if err := proto.Unmarshal(body, &m); err != nil {
		tb.Errorf("decode call: %v", err)
	}
	return m.GetInvocation()
}

// stateNames are those that a call carries, in order.
func stateNames(call *pb.ToFunction_InvocationBatchRequest) []string {
	names := make([]string, 0, len(call.GetState()))
	for _, s := range call.GetState() {
		names = append(names, s.GetStateName())
	}
	return names
}

// invokeError returns err as an *actor.InvokeError, which it must be.
func invokeError(tb testing.TB, err error) *actor.InvokeError {
	tb.Helper()
	var e *actor.InvokeError
	if !errors.As(err, &e) {
		tb.Fatalf("Invoke = %v, want an *actor.InvokeError", err)
	}
	return e
}
