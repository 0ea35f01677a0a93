//go:build e2e

package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// misbehaving serves what functions should not do, by the last part of the
// request's path.
func misbehaving(t *testing.T) http.Handler {
	t.Helper()
	garbage := make([]byte, 4096)
	_, _ = rand.Read(garbage)
	garbage[0], garbage[1] = 0xff, 0xff // no field begins like this
	huge := make([]byte, 40<<20)
	var asked atomic.Int64
	octets := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/octet-stream") }
	mux := http.NewServeMux()
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the database said no", http.StatusInternalServerError)
	})
	mux.HandleFunc("/hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/garbage", func(w http.ResponseWriter, _ *http.Request) {
		octets(w)
		_, _ = w.Write(garbage)
	})
	mux.HandleFunc("/asks", func(w http.ResponseWriter, _ *http.Request) {
		octets(w)
		_, _ = w.Write(effects{missing: []string{fmt.Sprintf("state_%d", asked.Add(1))}}.encode())
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, _ *http.Request) {
		octets(w)
		_, _ = w.Write(huge)
	})
	mux.HandleFunc("/closes", func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	return mux
}

// Only the function that hangs has a short limit: on a busy machine others
// might exceed it, and be dead letters for that.
const misbehavingModule = `
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: bad/hangs
  urlPathTemplate: %[1]s{function.name}
  transport: {type: io.statefun.transports.v1/async, call: 5s}
  failure: {attempts: 3, backoff: {min: 10ms, max: 100ms}}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: bad/*
  urlPathTemplate: %[1]s{function.name}
  transport: {type: io.statefun.transports.v1/async, call: 2m}
  failure: {attempts: 3, backoff: {min: 10ms, max: 100ms}}
`

func TestOneMisbehavingFunctionHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	badURL := serve(t, misbehaving(t))
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline()))+fmt.Sprintf(misbehavingModule, badURL))
	_, js := a.connect(t)
	alone := healthyLoad(t, js, "alone", 0)

	messages := map[string]int{"fails": 20, "hangs": 20, "garbage": 20, "asks": 20, "huge": 2, "closes": 20}
	total := 0
	for name, n := range messages {
		for i := range n {
			publish(t, js, fmt.Sprintf("t.fn.bad.%s.%s-%d", name, name, i), "for "+name)
		}
		total += n
	}
	beside := healthyLoad(t, js, "beside", healthyMessages)
	t.Logf("%d healthy messages took %v alone and %v beside misbehaving functions", healthyMessages, alone, beside)
	// The machine is shared with other tests, hence three times and some
	// seconds. Whoever has to wait for what hangs waits for fifteen.
	if beside > 3*alone+8*time.Second {
		t.Errorf("beside misbehaving functions %d messages took %v, alone %v", healthyMessages, beside, alone)
	}

	var letters []deadLetter
	eventually(t, 3*time.Minute, "all dead letters", func() error {
		letters = deadLetters(t, js)
		if len(letters) < total {
			return fmt.Errorf("%d of %d", len(letters), total)
		}
		return nil
	})
	got := map[string]int{}
	for _, d := range letters {
		name := strings.Split(d.Address, "/")[1]
		got[name]++
		checkLetter(t, name, d, badURL)
	}
	for name, want := range messages {
		if got[name] != want {
			t.Errorf("%d dead letters of bad/%s, want %d", got[name], name, want)
		}
	}
	if n := a.metric(t, "jetfn_functions_deadLetters"); int(n) != total {
		t.Errorf("jetfn_functions_deadLetters = %v, want %d", n, total)
	}
}

func checkLetter(t *testing.T, name string, d deadLetter, url string) {
	t.Helper()
	reasons := map[string][]string{
		"fails": {"status"}, "hangs": {"timeout"}, "garbage": {"protocol"}, "asks": {"protocol", "limit"},
		"huge": {"limit"}, "closes": {"protocol"},
	}
	if !slices.Contains(reasons[name], d.Reason) {
		t.Errorf("dead letter of bad/%s has reason %q, want one of %v: %+v", name, d.Reason, reasons[name], d)
	}
	v := value{typename: d.Type, data: d.Value}
	if d.ID == "" || d.Error == "" || d.Attempts < 1 || d.FirstAt.IsZero() || d.LastAt.Before(d.FirstAt) || v.text() != "for "+name {
		t.Errorf("dead letter of bad/%s lacks something: %+v", name, d)
	}
	if !strings.HasPrefix(d.Endpoint, strings.TrimSuffix(url, "/")) {
		t.Errorf("dead letter of bad/%s names the endpoint %q, want %s…", name, d.Endpoint, url)
	}
	if name == "fails" && (d.HTTPStatus != 500 || d.Attempts != 3 || !strings.Contains(d.Error, "the database said no")) {
		t.Errorf("dead letter of bad/fails = %+v, want status 500, 3 attempts and the answer's body", d)
	}
}

const healthyMessages = 2_000

// healthyLoad sends messages over 100 addresses of e2e/forward and returns
// how long it takes until all have come out, which before had n.
func healthyLoad(t *testing.T, js jetstream.JetStream, name string, n int) time.Duration {
	t.Helper()
	start := time.Now()
	for i := range healthyMessages {
		id := fmt.Sprintf("%s-%d", name, i%100)
		_, err := js.PublishAsync("t.fn.e2e.forward."+id, []byte(id+"-to x"), jetstream.WithStallWait(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(3 * time.Minute):
		t.Fatalf("%d publishes unacknowledged after three minutes", js.PublishAsyncPending())
	}
	eventually(t, 3*time.Minute, "the healthy function", func() error {
		_, got, err := emitted(t.Context(), js)
		if err == nil && got < n+healthyMessages {
			err = fmt.Errorf("%d of %d", got, n+healthyMessages)
		}
		return err
	})
	return time.Since(start)
}

// outage is how long a function is down: JETFN_E2E_OUTAGE, or 20 s.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("JETFN_E2E_OUTAGE")
	if text == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("JETFN_E2E_OUTAGE: %v", err)
	}
	return d
}

func TestAnOutageLosesNoOrderAndDeadLettersNothing(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline()))+fmt.Sprintf(`
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: down/count
  urlPathTemplate: http://127.0.0.1:%d/
  failure: {attempts: 2, budget: 1s, backoff: {min: 10ms, max: 500ms}}
`, port))
	_, js := a.connect(t)
	const addresses, each = 5, 30
	for n := 1; n <= each; n++ {
		for i := range addresses {
			publish(t, js, fmt.Sprintf("t.fn.down.count.down-%d", i), strconv.Itoa(n))
		}
	}
	// More than an address may hold in memory.
	const hot = 5_000
	for n := 1; n <= hot; n++ {
		if _, err := js.PublishAsync("t.fn.down.count.hot", []byte(strconv.Itoa(n)), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	end := time.After(outage(t))
	alone := healthyLoad(t, js, "healthy", 0)
	t.Logf("%d healthy messages took %v during the outage", healthyMessages, alone)
	if alone > time.Minute { // some two seconds, and its calls would wait for ever behind one that holds them up
		t.Errorf("during the outage of another function %d messages took %v", healthyMessages, alone)
	}
	<-end
	start := time.Now()
	serveAt(t, fmt.Sprintf("127.0.0.1:%d", port), functions{"down/count": count})
	byKey := counts(t, js, healthyMessages+addresses*each+hot)
	t.Logf("after the outage it took %v to catch up", time.Since(start))
	want := make([]string, hot)
	for n := range want {
		want[n] = fmt.Sprintf("%d %d", n+1, n+1)
	}
	if got := byKey["hot"]; !slices.Equal(got, want) {
		t.Errorf("after the outage the hot address emitted %d messages, not 1 to %d in order", len(got), hot)
	}
	for i := range addresses {
		if got := byKey[fmt.Sprintf("down-%d", i)]; !slices.Equal(got, want[:each]) {
			t.Errorf("after the outage down-%d emitted %v, want %v", i, got, want[:each])
		}
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, the first %+v; want none", len(d), d[0])
	}
}
