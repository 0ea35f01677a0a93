package runtime_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/internal/runtime"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

// documentedServer is a NATS server with the users of docs/security.md, as
// they stand there.
func documentedServer(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		tb.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```\n(authorization \\{.*?)\n```").FindSubmatch(text)
	if block == nil {
		tb.Fatal("docs/security.md has no configuration of users")
	}
	config := strings.NewReplacer("$WORKER_PASSWORD", "worker-secret", "$CLIENT_PASSWORD", "client-secret").Replace(string(block[1]))
	file := filepath.Join(tb.TempDir(), "server.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	opts.Host, opts.Port, opts.JetStream, opts.StoreDir, opts.NoSigs, opts.NoLog = "127.0.0.1", -1, true, tb.TempDir(), true, true
	srv, err := server.NewServer(opts)
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
	return srv.Addr().String()
}

// postponer is a function that sends a message on to the greeter: after a
// moment, or to the id tomorrow after a day.
func postponer(tb testing.TB) string {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call pb.ToFunction
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, &call)
		}
		result := &pb.FromFunction_InvocationResponse{}
		id := call.GetInvocation().GetTarget().GetId()
		for _, in := range call.GetInvocation().GetInvocations() {
			if in.GetCaller() != nil { // the greeter's answer: to send that on would never end
				continue
			}
			delay := time.Millisecond
			if id == "tomorrow" {
				delay = 24 * time.Hour
			}
			result.DelayedInvocations = append(result.DelayedInvocations, &pb.FromFunction_DelayedInvocation{
				DelayInMs: delay.Milliseconds(), Argument: in.GetArgument(),
				Target: &pb.Address{Namespace: "example", Type: "greeter", Id: id},
			})
		}
		answer, marshalErr := proto.Marshal(&pb.FromFunction{Response: &pb.FromFunction_InvocationResult{InvocationResult: result}})
		if err = errors.Join(err, marshalErr); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(answer)
	}))
	tb.Cleanup(server.Close)
	return server.URL
}

func TestAWorkerRunsWithTheDocumentedPermissions(t *testing.T) {
	t.Parallel()
	address := documentedServer(t)
	m := greeter(t)
	m.Ingresses = parse(t, "kind: io.jetfn.nats.v1/ingress\nspec: {id: shop/orders, targets: [example/greeter]}\n").Ingresses
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) }))
	t.Cleanup(refusing.Close)
	m.Endpoints = append(m.Endpoints, parse(t, "kind: io.statefun.endpoints.v2/http\nspec: {functions: example/broken, urlPathTemplate: \""+refusing.URL+"\", failure: {final: [422]}}").Endpoints...)
	m.Endpoints = append(m.Endpoints, parse(t, endpoint("example/later", postponer(t))).Endpoints...)
	cfg := runtime.Config{Module: m, NATSURLs: []string{"nats://worker:worker-secret@" + address}, EgressMaxAge: time.Hour}
	first := start(t, cfg)
	second := begin(t, cfg)

	nc, err := nats.Connect("nats://client:client-secret@" + address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	greetings, err := js.CreateConsumer(t.Context(), "JETFN_EGRESS", jetstream.ConsumerConfig{Durable: "client", FilterSubject: "jetfn.egress.demo.greetings.>"})
	if err != nil {
		t.Fatalf("consumer of the egress: %v", err)
	}
	greet := func(subject string) {
		t.Helper()
		if _, err := nc.Request(subject, []byte("hello"), patience); err != nil {
			t.Fatalf("request on %s: %v", subject, err)
		}
		msg, err := greetings.Next(jetstream.FetchMaxWait(patience))
		if err != nil {
			t.Fatalf("greeting after %s: %v", subject, err)
		}
		if err := msg.DoubleAck(t.Context()); err != nil {
			t.Errorf("acknowledge: %v", err)
		}
	}
	greet("jetfn.fn.example.greeter.Ada")
	greet("jetfn.ingress.shop.orders.Ada")
	if answer, err := nc.Request("jetfn.call.example.greeter.Bob", []byte("hello"), patience); err != nil || string(answer.Data) != "Hello Bob, nice to meet you!" {
		t.Errorf("call = %+v, %v; want a greeting", answer, err)
	}
	first.send("example/broken/Ada")
	eventually(t, "the dead letter", func() bool { return strings.Contains(first.log.String(), "message dead-lettered") })
	var letters []letter
	eventually(t, "the dead letter's listing", func() bool {
		letters, _ = first.letters("")
		return len(letters) == 1
	})
	var answer struct {
		Dropped int
		Paused  bool
	}
	first.do(http.MethodPost, "/v1/dlq/"+letters[0].ID+"/replay", &letter{})
	first.do(http.MethodDelete, "/v1/dlq/"+letters[0].ID, &answer)
	first.do(http.MethodPost, "/v1/functions/example/broken/pause", &answer)
	first.do(http.MethodPost, "/v1/functions/example/broken/resume", &answer)
	eventually(t, "what is replayed is given up again, and dropped", func() bool {
		first.do(http.MethodDelete, "/v1/dlq?all=true", &answer)
		return answer.Dropped == 1
	})
	eventually(t, "the listing of the state", func() bool {
		status, text := tryGet(t, "http://"+first.HTTP+"/v1/state/example/greeter")
		return status == http.StatusOK && strings.Contains(text, "example/greeter/Ada")
	})

	first.send("example/later/soon")
	first.send("example/later/tomorrow")
	eventually(t, "a delayed message", func() bool { return first.seen("example/greeter/soon") == "1" })

	first.stop()
	second.waitReady()
	greet("jetfn.fn.example.greeter.Ada")
	eventually(t, "the state of before and after", func() bool { return second.seen("example/greeter/Ada") == "3" })
	second.stop()
	third := start(t, cfg)
	if got := third.seen("example/greeter/Ada"); got != "3" {
		t.Errorf("after a restart the greeter has seen Ada %s times, want 3", got)
	}
	third.stop()
	for _, w := range []*worker{first, second, third} {
		if text := w.log.String(); strings.Contains(text, "Violation") || strings.Contains(text, "consumer lost") {
			t.Errorf("a permission is missing:\n%s", text)
		}
		if strings.Contains(w.log.String(), "worker-secret") {
			t.Errorf("the log tells the password:\n%s", w.log.String())
		}
	}
	for _, subject := range []string{"jetfn.journal.1", "jetfn.mbox.1.int.2", "$KV.jetfn_state.a.b.c", "$JS.API.STREAM.DELETE.JETFN_MAILBOX"} {
		if _, err := nc.Request(subject, []byte("x"), 200*time.Millisecond); err == nil {
			t.Errorf("a client's request on %s was answered, want it denied", subject)
		}
	}
}

func TestAModuleChangesWithTheDocumentedPermissions(t *testing.T) {
	t.Parallel()
	address := documentedServer(t)
	first, second := newRecorder(t), newRecorder(t)
	cfg := revised(t, endpoint("example/a", first.server.URL))
	cfg.NATSURLs = []string{"nats://worker:worker-secret@" + address}
	w := start(t, cfg)
	w.apply(endpoint("example/a", second.server.URL) +
		"---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, targets: [example/a]}\n---\nkind: io.jetfn.nats.v1/egress\nspec: {id: shop/out}\n")
	w.send("example/a/1")
	eventually(t, "the second endpoint is called", func() bool { return second.count() == 1 })
	for i := range 110 { // more than are kept
		w.apply(endpoint("example/a", second.server.URL) + "# " + itoa(i) + "\n")
	}
	eventually(t, "old revisions are removed", func() bool { return len(w.revisions()) <= 102 })
	if log := w.log.String(); strings.Contains(strings.ToLower(log), "permission") {
		t.Errorf("the log speaks of permissions:\n%s", log)
	}
	nc, err := nats.Connect("nats://client:client-secret@" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Request("$KV.jetfn_meta.module.200", []byte("{}"), time.Second); err == nil {
		t.Error("a client wrote a revision of the module")
	}
}
