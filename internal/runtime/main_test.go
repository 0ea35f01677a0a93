package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/demo"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
	"github.com/jetfn/jetfn/kvstate"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The server's and the client's own, for the life of the process.
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.init.0.func1"),
	)
}

// patience is how long a test waits for what comes soon on a machine that has
// nothing else to do.
const patience = time.Minute

// worker is a Run in progress.
type worker struct {
	tb     testing.TB
	cancel context.CancelFunc
	ready  chan runtime.Addresses
	ended  chan error
	done   bool
	log    *logText
	runtime.Addresses
}

// logText is a log that can be read while it is written.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// begin starts a worker with a free port each; it ends with the test.
func begin(tb testing.TB, cfg runtime.Config) *worker {
	tb.Helper()
	if cfg.HTTPAddr == "" {
		cfg.HTTPAddr = "127.0.0.1:0"
	}
	if cfg.NATSListen == "" {
		cfg.NATSListen = "127.0.0.1:0"
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = 4
	}
	if cfg.DataDir == "" && len(cfg.NATSURLs) == 0 {
		cfg.DataDir = tb.TempDir()
	}
	ctx, cancel := context.WithCancel(tb.Context())
	w := &worker{tb: tb, cancel: cancel, ready: make(chan runtime.Addresses, 16), ended: make(chan error, 1), log: &logText{}}
	cfg.OnReady = func(a runtime.Addresses) { w.ready <- a }
	cfg.Log = zerolog.New(io.MultiWriter(zerolog.NewTestWriter(tb), w.log)).Level(zerolog.InfoLevel)
	go func() { w.ended <- runtime.Run(ctx, cfg) }()
	tb.Cleanup(func() {
		if !w.done {
			w.stop()
		}
	})
	return w
}

// start is begin, and waits until the worker is ready.
func start(tb testing.TB, cfg runtime.Config) *worker {
	tb.Helper()
	w := begin(tb, cfg)
	w.waitReady()
	return w
}

func (w *worker) waitReady() {
	w.tb.Helper()
	select {
	case w.Addresses = <-w.ready:
	case err := <-w.ended:
		w.done = true
		w.tb.Fatalf("Run ended before it was ready: %v", err)
	case <-time.After(patience):
		w.tb.Fatal("worker is not ready in time")
	}
}

// stop ends the worker as SIGTERM does.
func (w *worker) stop() {
	w.tb.Helper()
	w.cancel()
	if err := w.wait(); err != nil {
		w.tb.Errorf("Run = %v, want nil", err)
	}
}

func (w *worker) wait() error {
	w.tb.Helper()
	w.done = true
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		w.tb.Fatal("Run did not end in time")
		return nil
	}
}

// tryGet is request that may find nobody; then the status is zero.
func tryGet(tb testing.TB, url string) (int, string) {
	tb.Helper()
	return try(tb, http.MethodGet, url)
}

func tryPost(tb testing.TB, url string) (int, string) {
	tb.Helper()
	return try(tb, http.MethodPost, url)
}

func try(tb testing.TB, method, url string) (int, string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	text, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// noFunctions is a catalog without functions.
type noFunctions struct{}

func (noFunctions) Lookup(actor.TypeName) (actor.FunctionSpec, bool) {
	return actor.FunctionSpec{}, false
}

// openPartitions opens all partitions as another owner would, and leaves them.
func openPartitions(tb testing.TB, url string) {
	tb.Helper()
	nc, err := broker.Connect(tb.Context(), broker.ConnectConfig{URLs: []string{url}, Name: "thief"})
	if err != nil {
		tb.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	app, err := broker.Open(tb.Context(), nc, broker.Config{App: "jetfn"})
	if err != nil {
		tb.Fatal(err)
	}
	defer app.Close()
	store, err := kvstate.Open(tb.Context(), js, kvstate.Config{App: "jetfn", Partitions: app.Partitions()})
	if err != nil {
		tb.Fatal(err)
	}
	defer store.Close()
	for p := range app.Partitions() {
		ports := app.Ports(p)
		ports.State = store.Partition(p)
		processor := actor.NewProcessor(actor.Config{Partition: p, Partitions: app.Partitions()}, ports, noFunctions{}, actor.NewCalls(0), zerolog.Nop())
		ctx, cancel := context.WithCancel(tb.Context())
		ended := make(chan error, 1)
		go func() { ended <- processor.Run(ctx) }()
		select {
		case <-processor.Opened():
		case err := <-ended:
			ended <- err
		}
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("own partition %d: %v", p, err)
		}
	}
}

// request returns the status, the header and the body of an answer.
func request(tb testing.TB, method, url, body string) (int, http.Header, string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	err = errors.Join(err, response.Body.Close())
	if err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

// answerOf makes a request over a connection of its own.
func answerOf(tb testing.TB, r *http.Request) (int, string) {
	tb.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (w *worker) send(address string) {
	w.tb.Helper()
	if status, _, body := request(w.tb, http.MethodPost, "http://"+w.HTTP+"/v1/send/"+address, "hello"); status != http.StatusAccepted {
		w.tb.Fatalf("POST /v1/send/%s = %d %s, want 202", address, status, body)
	}
}

// seen is what the demo's greeter remembers of an address.
func (w *worker) seen(address string) string {
	w.tb.Helper()
	_, _, body := request(w.tb, http.MethodGet, "http://"+w.HTTP+"/v1/state/"+address, "")
	var state struct {
		Values map[string]struct{ Text string }
	}
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		w.tb.Fatal(err)
	}
	return state.Values["seen"].Text
}

// eventually waits until holds does.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	within(tb, patience, what, holds)
}

// within is eventually with another limit.
func within(tb testing.TB, limit time.Duration, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	tb.Fatalf("not in time: %s", what)
}

// greeter is the demo's module, with its function running.
func greeter(tb testing.TB) *module.Module {
	tb.Helper()
	server := httptest.NewServer(demo.Greeter())
	tb.Cleanup(server.Close)
	return parse(tb, demo.Module(server.URL))
}

func parse(tb testing.TB, text string) *module.Module {
	tb.Helper()
	m, found := module.Parse([]module.Source{{Name: "test.yaml", Data: []byte(text)}}, module.Options{})
	if len(found.Errors()) > 0 {
		tb.Fatalf("module: %v", found)
	}
	return m
}

// emitter is a function that sends one egress message for each of its own.
func emitter(tb testing.TB, namespace, name string, value func(id string) *pb.TypedValue) string {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var call pb.ToFunction
		if err == nil {
			err = proto.Unmarshal(body, &call)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		result := &pb.FromFunction_InvocationResponse{}
		for range call.GetInvocation().GetInvocations() {
			result.OutgoingEgresses = append(result.OutgoingEgresses, &pb.FromFunction_EgressMessage{
				EgressNamespace: namespace, EgressType: name, Argument: value(call.GetInvocation().GetTarget().GetId()),
			})
		}
		answer, err := proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(answer)
	}))
	tb.Cleanup(server.Close)
	return server.URL
}

func endpoint(functions, url string) string {
	return fmt.Sprintf("---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: %q, urlPathTemplate: %q}\n", functions, url)
}

// portsGiven counts the ports that were given to tests, from a random start on.
var portsGiven = func() *atomic.Uint32 {
	n := &atomic.Uint32{}
	n.Store(rand.Uint32N(1 << 20))
	return n
}()

// freePort is one that nobody uses now, and that nobody else gets: other tests
// of this process get the next ones, other packages have other ranges, and
// those that the system gives to whoever asks for any are higher.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 20_000 + int(portsGiven.Add(1)%4000)
		ln, err := net.Listen("tcp", "127.0.0.1:"+itoa(port))
		if err != nil {
			continue
		}
		if err := ln.Close(); err != nil {
			tb.Fatal(err)
		}
		return port
	}
	tb.Fatal("no free port")
	return 0
}

// foreignNATS is a server that isn't jetfn's.
func foreignNATS(tb testing.TB) string {
	tb.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: tb.TempDir(), NoSigs: true})
	if err != nil {
		tb.Fatal(err)
	}
	srv.Start()
	tb.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(patience) {
		tb.Fatal("NATS server is not ready")
	}
	return srv.ClientURL()
}

func dial(tb testing.TB, url string) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

func subscribe(tb testing.TB, url, subject string) *nats.Subscription {
	tb.Helper()
	nc := dial(tb, url)
	sub, err := nc.SubscribeSync(subject)
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

func next(tb testing.TB, sub *nats.Subscription) *nats.Msg {
	tb.Helper()
	m, err := sub.NextMsg(patience)
	if err != nil {
		tb.Fatalf("no message on %s: %v", sub.Subject, err)
	}
	return m
}

func itoa(n int) string { return strconv.Itoa(n) }
