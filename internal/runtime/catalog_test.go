package runtime_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jetfn/jetfn/internal/demo"
	"github.com/jetfn/jetfn/internal/runtime"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

func TestAnExactBindingGoesBeforeItsNamespace(t *testing.T) {
	t.Parallel()
	greeter := httptest.NewServer(demo.Greeter())
	t.Cleanup(greeter.Close)
	other := emitter(t, "demo", "others", func(id string) *pb.TypedValue {
		return &pb.TypedValue{Typename: "demo/text", HasValue: true, Value: []byte("other " + id)}
	})
	w := start(t, runtime.Config{Module: parse(t, endpoint("example/*", other+"/{function.name}")+endpoint("example/greeter", greeter.URL)+
		"---\nkind: io.jetfn.nats.v1/egress\nspec: {id: demo/*}\n")})
	sub := subscribe(t, w.NATS, "jetfn.egress.demo.>")
	for address, want := range map[string]string{"example/greeter/Ada": "Hello Ada", "example/any/Ada": "other Ada"} {
		w.send(address)
		if got := string(next(t, sub).Data); !strings.HasPrefix(got, want) {
			t.Errorf("%s answered %q, want %q", address, got, want)
		}
	}
}

func TestTheSmallestLimitOfAURLHolds(t *testing.T) {
	t.Parallel()
	var now, most, calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		calls.Add(1)
		w.Header().Set("Content-Type", "application/octet-stream")
	}))
	t.Cleanup(server.Close)
	limited := func(functions, key string) string {
		return strings.Replace(endpoint(functions, server.URL+"/fn"), "spec: {", "spec: {"+key+", ", 1)
	}
	for _, key := range []string{"maxConcurrentRequests: 1", "transport: {pool_size: 1}"} {
		calls.Store(0)
		most.Store(0)
		w := start(t, runtime.Config{Module: parse(t, limited("example/a", "maxConcurrentRequests: 3")+limited("example/b", key))})
		for i := range 10 {
			w.send("example/a/" + itoa(i))
			w.send("example/b/" + itoa(i))
		}
		eventually(t, "all calls are made", func() bool { return calls.Load() == 20 })
		if got := most.Load(); got != 1 {
			t.Errorf("with %s %d calls at once, want 1", key, got)
		}
		w.stop()
	}
}

func TestWaysInAndOutThatNothingServesAreRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	m := parse(t, `
kind: io.statefun.kafka.v1/ingress
spec: {id: a/in, address: "k:1", consumerGroupId: g, topics: [{topic: t, valueType: a/b, targets: [a/f]}]}
---
kind: io.statefun.kinesis.v1/egress
spec: {id: a/out}
`)
	err := runtime.Run(t.Context(), runtime.Config{Module: m, DataDir: t.TempDir()})
	if !errors.Is(err, runtime.ErrUsage) {
		t.Fatalf("Run = %v, want ErrUsage", err)
	}
	for _, want := range []string{"test.yaml:2:1: ingress a/in: there is no connection to Kafka yet", "test.yaml:5:1: egress a/out: there is no connection to Kinesis yet", "--nats-for-kafka"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Run = %v, want %q in it", err, want)
		}
	}
}
