package runtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	pb "github.com/jetfn/jetfn/internal/wire/reqreply"
)

func TestAMessageGoesThroughAFunctionToTheEgress(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: greeter(t)})
	sub := subscribe(t, w.NATS, "jetfn.egress.demo.greetings.>")
	w.send("example/greeter/Ada")
	m := next(t, sub)
	if got, want := m.Subject, "jetfn.egress.demo.greetings.Ada"; got != want {
		t.Errorf("subject = %s, want %s", got, want)
	}
	if got, want := string(m.Data), "Hello Ada, nice to meet you!"; got != want {
		t.Errorf("greeting = %q, want %q", got, want)
	}
	if got := w.seen("example/greeter/Ada"); got != "1" {
		t.Errorf("seen = %s, want 1", got)
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	t.Parallel()
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir()}
	w := start(t, cfg)
	w.send("example/greeter/Ada")
	w.stop()
	w = start(t, cfg)
	w.send("example/greeter/Ada")
	eventually(t, "the greeter has seen Ada twice", func() bool { return w.seen("example/greeter/Ada") == "2" })
}

func TestAnIngressRecordReachesEachOfItsTargets(t *testing.T) {
	t.Parallel()
	m := greeter(t)
	m.Ingresses = parse(t, "kind: io.jetfn.nats.v1/ingress\nspec: {id: shop/orders, targets: [example/greeter, example/other]}\n").Ingresses
	m.Endpoints[0].Functions.Name = "" // all of example/*
	w := start(t, runtime.Config{Module: m})
	if err := dial(t, w.NATS).Publish("jetfn.ingress.shop.orders.Ada", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"example/greeter/Ada", "example/other/Ada"} {
		eventually(t, address+" has got it", func() bool { return w.seen(address) == "1" })
	}
}

func TestThePlaygroundTakesAndHandsOut(t *testing.T) {
	t.Parallel()
	in, out := freePort(t), freePort(t)
	url := emitter(t, "io.statefun.playground", "egress", func(id string) *pb.TypedValue {
		record, err := json.Marshal(map[string]string{"topic": "greetings", "payload": "hello " + id})
		if err != nil {
			t.Error(err)
		}
		return &pb.TypedValue{Typename: "io.statefun.playground/EgressRecord", HasValue: true, Value: record}
	})
	w := start(t, runtime.Config{Module: parse(t, endpoint("example/*", url)+
		"---\nkind: io.statefun.playground.v1/ingress\nspec: {port: "+itoa(in)+"}\n"+
		"---\nkind: io.statefun.playground.v1/egress\nspec: {port: "+itoa(out)+", topics: [greetings]}\n")})
	sub := subscribe(t, w.NATS, "jetfn.egress.>")

	if status, header, body := request(t, http.MethodPut, "http://127.0.0.1:"+itoa(in)+"/example/fn/Ada", "x"); status != 200 || header.Get("Status") != "200" {
		t.Fatalf("PUT = %d, Status %s, %s; want 200 twice", status, header.Get("Status"), body)
	}
	if got, want := string(next(t, sub).Data), `{"payload":"hello Ada","topic":"greetings"}`; got != want {
		t.Errorf("egress record = %s, want %s", got, want)
	}
	get := func(topic string) (string, string) {
		_, header, body := request(t, http.MethodGet, "http://127.0.0.1:"+itoa(out)+"/"+topic, "")
		return header.Get("Status"), body
	}
	// A plain subscriber may hear of a message before it is stored.
	eventually(t, "GET /greetings is 200 and the payload", func() bool {
		status, body := get("greetings")
		return status == "200" && body == "hello Ada"
	})
	if status, _ := get("greetings"); status != "404" {
		t.Errorf("GET /greetings when it is empty = %s, want 404", status)
	}
	if status, _ := get("other"); status != "405" {
		t.Errorf("GET of an unknown topic = %s, want 405", status)
	}
}

func TestAnUndeclaredEgressMakesADeadLetterAtOnce(t *testing.T) {
	t.Parallel()
	url := emitter(t, "shop", "nowhere", func(string) *pb.TypedValue { return &pb.TypedValue{Typename: "a/b", HasValue: true} })
	w := start(t, runtime.Config{Module: parse(t, endpoint("example/fn", url))})
	sub := subscribe(t, w.NATS, "jetfn.dlq.>")
	w.send("example/fn/Ada")
	var letter struct {
		Reason, Error string
		Attempts      int
	}
	if err := json.Unmarshal(next(t, sub).Data, &letter); err != nil {
		t.Fatal(err)
	}
	if letter.Reason != "unknown-egress" || letter.Attempts != 1 || !strings.Contains(letter.Error, "shop/nowhere") {
		t.Errorf("dead letter = %+v, want the reason unknown-egress after one attempt, and the egress named", letter)
	}
}

func TestAFinalStatusOfTheModuleIsNotRetried(t *testing.T) {
	t.Parallel()
	m := greeter(t)
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(failing.Close)
	m.Endpoints[0].URLTemplate = failing.URL
	m.Endpoints[0].Failure.Final = []int{http.StatusInternalServerError}
	w := start(t, runtime.Config{Module: m})
	sub := subscribe(t, w.NATS, "jetfn.dlq.>")
	w.send("example/greeter/Ada")
	var letter struct{ Attempts, HTTPStatus int }
	if err := json.Unmarshal(next(t, sub).Data, &letter); err != nil {
		t.Fatal(err)
	}
	if letter.Attempts != 1 || letter.HTTPStatus != http.StatusInternalServerError {
		t.Errorf("dead letter = %+v, want status 500 after one attempt", letter)
	}
}

func TestTheDataDirectoryHasOneProcess(t *testing.T) {
	t.Parallel()
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir()}
	start(t, cfg)
	err := begin(t, cfg).wait()
	if !errors.Is(err, runtime.ErrInUse) || !strings.Contains(err.Error(), "pid "+itoa(os.Getpid())) {
		t.Errorf("second Run = %v, want ErrInUse and who holds it", err)
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	t.Parallel()
	m := greeter(t)
	first := start(t, runtime.Config{Module: m})
	natsAddress := strings.TrimPrefix(first.NATS, "nats://")
	_, port, _ := strings.Cut(first.HTTP, ":")
	cases := map[string]struct {
		cfg  runtime.Config
		want string
	}{
		"http":       {runtime.Config{Module: m, HTTPAddr: first.HTTP}, first.HTTP},
		"nats":       {runtime.Config{Module: m, NATSListen: natsAddress}, natsAddress},
		"playground": {runtime.Config{Module: parse(t, "kind: io.statefun.playground.v1/ingress\nspec: {port: "+port+"}\n")}, "test.yaml:1:1"},
	}
	for name, c := range cases {
		if err := begin(t, c.cfg).wait(); !errors.Is(err, runtime.ErrInUse) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Run = %v, want ErrInUse and %s", name, err, c.want)
		}
	}
}

func TestANewerDataDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"jetfn data 2\n": "use a newer jetfn", "what\n": "is not jetfn's"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := begin(t, runtime.Config{Module: greeter(t), DataDir: dir}).wait(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Run on format %q = %v, want %q", text, err, want)
		}
	}
}

// Earlier versions didn't sync it, so a power failure soon after the first
// start left the name without the content.
func TestAFormatThatAPowerFailureEmptiedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\x00\x00\x00\x00"} {
		dir := t.TempDir()
		name := filepath.Join(dir, "FORMAT")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, runtime.Config{Module: greeter(t), DataDir: dir})
		if got, err := os.ReadFile(name); err != nil || string(got) != "jetfn data 1\n" {
			t.Errorf("FORMAT after a start on %q = %q, %v", text, got, err)
		}
	}
}

func TestWhatCannotWorkIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	empty := &module.Module{}
	for name, cfg := range map[string]runtime.Config{
		"no module":          {},
		"replicas":           {Module: empty, Replicas: 3},
		"partitions":         {Module: empty, Partitions: 5000},
		"open http":          {Module: empty, HTTPAddr: "0.0.0.0:0"},
		"open http, no host": {Module: empty, HTTPAddr: ":0"},
		"open nats":          {Module: empty, NATSListen: "192.0.2.1:4222"},
		"open playground":    {Module: &module.Module{PlaygroundIngresses: []module.PlaygroundIngress{{Port: 1}}}, PlaygroundHost: "::"},
		"no port":            {Module: empty, HTTPAddr: "127.0.0.1"},
		"history":            {Module: empty, History: -1},
	} {
		cfg.DataDir = filepath.Join(t.TempDir(), "data")
		if err := runtime.Run(t.Context(), cfg); !errors.Is(err, runtime.ErrUsage) {
			t.Errorf("%s: Run = %v, want ErrUsage", name, err)
		}
		if _, err := os.Stat(cfg.DataDir); err == nil {
			t.Errorf("%s: Run made a data directory", name)
		}
	}
}

func TestTheStartBlockSaysWhereEverythingIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	dir := t.TempDir()
	w := start(t, runtime.Config{Module: greeter(t), DataDir: dir, Out: &out, Version: "v1"})
	text := out.String()
	for _, want := range []string{dir, "4 partitions", "http://" + w.HTTP, w.NATS, "example/greeter", "jetfn.egress.demo.greetings", "before anything is acknowledged"} {
		if !strings.Contains(text, want) {
			t.Errorf("start block has no %q:\n%s", want, text)
		}
	}
}

func TestAnUnreachableNATSEndsTheWaitWithItsContext(t *testing.T) {
	t.Parallel()
	w := begin(t, runtime.Config{Module: &module.Module{}, NATSURLs: []string{"nats://127.0.0.1:1"}})
	w.stop()
}

func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	cfg := runtime.Config{Module: greeter(t), NATSURLs: []string{foreignNATS(t)}}
	first := start(t, cfg)
	first.send("example/greeter/Ada")
	eventually(t, "the greeter has seen Ada", func() bool { return first.seen("example/greeter/Ada") == "1" })
	port := "127.0.0.1:" + itoa(freePort(t))
	cfg.HTTPAddr = port
	second := begin(t, cfg)
	eventually(t, "the second is a standby", func() bool {
		status, body := tryGet(t, "http://"+port+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "standby")
	})
	first.stop()
	second.waitReady()
	second.send("example/greeter/Ada")
	eventually(t, "the second goes on counting", func() bool { return second.seen("example/greeter/Ada") == "2" })
}

func TestAWorkerThatLosesItsLeaseStandsByAndComesBack(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	w := start(t, runtime.Config{Module: greeter(t), NATSURLs: []string{url}})
	w.send("example/greeter/Ada")
	js, err := jetstream.New(dial(t, url))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := js.KeyValue(t.Context(), "jetfn_meta")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := meta.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if strings.Contains(key, "lease") {
			if err := meta.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.waitReady() // again
	w.send("example/greeter/Ada")
	eventually(t, "the greeter has seen Ada twice", func() bool { return w.seen("example/greeter/Ada") == "2" })
}

func TestACorruptPartitionStaysDownAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	cfg := runtime.Config{Module: greeter(t), NATSURLs: []string{url}}
	start(t, cfg).stop()
	if _, err := dial(t, url).Request("jetfn.journal.0", []byte("garbage"), patience); err != nil {
		t.Fatal(err)
	}
	w := start(t, cfg)
	status, _, body := request(t, http.MethodGet, "http://"+w.HTTP+"/readyz", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "partition 0 is down") {
		t.Errorf("/readyz = %d %s, want 503 and the partition", status, body)
	}
	for i := range 20 {
		address := "example/greeter/" + itoa(i)
		w.send(address) // also to partition 0, which just keeps it
		if actor.PartitionOf(itoa(i), 4) != 0 {
			eventually(t, address+" is greeted", func() bool { return w.seen(address) == "1" })
		}
	}
}

func TestAFencedWorkerOpensItsPartitionsAgain(t *testing.T) {
	t.Parallel()
	cfg := runtime.Config{Module: greeter(t), NATSURLs: []string{foreignNATS(t)}}
	w := start(t, cfg)
	for i := range 8 {
		w.send("example/greeter/" + itoa(i))
	}
	for i := range 8 {
		address := "example/greeter/" + itoa(i)
		eventually(t, address+" is counted", func() bool { return w.seen(address) == "1" })
	}
	openPartitions(t, cfg.NATSURLs[0])
	for i := range 8 {
		eventually(t, "a message is taken", func() bool { // which may have been stored when it was refused
			status, _ := w.change(http.MethodPost, "/v1/send/example/greeter/"+itoa(i), "", "Idempotency-Key", itoa(i))
			return status == http.StatusAccepted
		})
	}
	for i := range 8 {
		address := "example/greeter/" + itoa(i)
		eventually(t, address+" is counted exactly", func() bool { return w.seen(address) == "2" })
	}
}

func TestMetricsKeepTheirNames(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: greeter(t)})
	w.send("example/greeter/Ada")
	eventually(t, "Ada is greeted", func() bool { return w.seen("example/greeter/Ada") == "1" })
	for _, want := range []string{
		`jetfn_partition_stateConflicts{partition="0"} 0`,
		`jetfn_partition_epoch{partition="3"} `,
		`jetfn_partition_timersPending{partition="0"} 0`,
		`jetfn_functions_remoteInvocationFailures{namespace="example",type="greeter"} 0`,
		`jetfn_functions_outEgress{namespace="example",type="greeter"} 1`,
		`jetfn_functions_deadLetters{namespace="example",type="greeter"} 0`,
		`jetfn_functions_remoteInvocationLatency_count{namespace="example",type="greeter"} 1`,
		`jetfn_worker_inflightAsyncOps 0`,
		`jetfn_partition_commitLatency_count{partition="3"}`,
		`jetfn_partition_commitSize_count{partition="3"}`,
		`jetfn_endpoint_connectionsOpened{endpoint="http://127.0.0.1:`,
	} {
		eventually(t, "/metrics has "+want, func() bool {
			_, body := tryGet(t, "http://"+w.HTTP+"/metrics")
			return strings.Contains(body, want)
		})
	}
}

func TestAnInterruptBeforeReadinessIsNoFailure(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", NATSListen: "127.0.0.1:0"}
	if err := runtime.Run(ctx, cfg); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want nil or the interrupt", err)
	}
}
