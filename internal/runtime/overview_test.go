package runtime_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/demo"
	"github.com/jetfn/jetfn/internal/runtime"
)

// fetch reads an answer of the worker.
func fetch[T any](t *testing.T, w *worker, path string) (out T) {
	t.Helper()
	status, body := tryGet(t, "http://"+w.HTTP+path)
	if status != http.StatusOK {
		t.Fatalf("GET %s = %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnInspectionLeadsToTheCause(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "the price list is missing", http.StatusInternalServerError)
			return
		}
		demo.Greeter().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	w := start(t, runtime.Config{Module: parse(t, demo.Module(server.URL))})
	w.send("example/greeter/Ada")
	eventually(t, "Ada is greeted", func() bool { return w.seen("example/greeter/Ada") == "1" })
	const path = "/v1/inspect/example/greeter/Ada"
	idle := fetch[gateway.Inspection](t, w, path)
	if idle.Phase != "idle" || idle.LastError != nil || idle.DeadLetter != nil || *idle.State.Values["seen"].Text != "1" || idle.Function.Endpoint != server.URL {
		t.Errorf("inspection of an idle address = %+v", idle)
	}
	broken.Store(true)
	w.send("example/greeter/Ada")
	w.send("example/greeter/Ada")
	var page gateway.Inspection
	eventually(t, "the address fails", func() bool {
		page = fetch[gateway.Inspection](t, w, path)
		return page.LastError != nil && page.Attempts > 1 && page.Waiting+page.InCall == 2
	})
	if e := page.LastError; e.HTTPStatus != 500 || !strings.Contains(e.Error, "the price list is missing") || e.Endpoint == "" {
		t.Errorf("last error = %+v, want the function's answer", e)
	}
	if len(page.Messages) != 2 || !page.Messages[0].InCall || *page.Messages[0].Text != "hello" || page.Messages[0].StoredAt == 0 {
		t.Errorf("messages = %+v, want both, the first one in the call", page.Messages)
	}
	top := fetch[gateway.Top](t, w, "/v1/top")
	i := -1
	for j, f := range top.Functions {
		if f.Type == "example/greeter" {
			i = j
		}
	}
	if i < 0 || top.Functions[i].In != 3 || top.Functions[i].Failures == 0 || top.Functions[i].P99 <= 0 || len(top.Parts) != 4 {
		t.Errorf("top = %+v, want 3 messages, failures, and 4 partitions", top)
	}
	broken.Store(false)
	eventually(t, "the address goes on", func() bool { return w.seen("example/greeter/Ada") == "3" })
	list := fetch[struct{ Items []gateway.PartitionInfo }](t, w, "/v1/partitions").Items
	if p := list[page.Partition]; !p.Up || p.Epoch == 0 || p.Commits == 0 || p.Owner == "" {
		t.Errorf("partition %d = %+v, want one that is up", page.Partition, p)
	}
	if status, body := tryGet(t, "http://"+w.HTTP+"/v1/inspect/example/greeter"); status != http.StatusBadRequest {
		t.Errorf("GET of half an address = %d %s, want 400", status, body)
	}
	other := fetch[gateway.Inspection](t, w, "/v1/inspect/nobody/knows/it")
	if other.Function != nil || other.Phase != "idle" {
		t.Errorf("inspection of what no module binds = %+v", other)
	}
}

func TestATailShowsWhatHappens(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(demo.Greeter())
	t.Cleanup(server.Close)
	w := start(t, runtime.Config{Module: parse(t, demo.Module(server.URL)+endpoint("example/broken", server.URL+"/nothing?x"))})
	lines := func(path string) *bufio.Scanner {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.HTTP+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		if response.StatusCode != http.StatusOK {
			t.Fatalf("GET %s = %d", path, response.StatusCode)
		}
		return bufio.NewScanner(response.Body)
	}
	egress, letters := lines("/v1/tail/egress"), lines("/v1/tail/dlq")
	exact, all := lines("/v1/tail/functions/example/greeter"), lines("/v1/tail/functions/example/*")
	w.send("example/greeter/Ada")
	read := func(s *bufio.Scanner) (e gateway.TailEvent) {
		t.Helper()
		for s.Scan() {
			if len(s.Bytes()) == 0 {
				continue
			}
			if err := json.Unmarshal(s.Bytes(), &e); err != nil {
				t.Fatal(err)
			}
			return e
		}
		t.Fatalf("the tail has ended: %v", s.Err())
		return e
	}
	if e := read(egress); e.Kind != gateway.TailEgress || e.Egress != "demo/greetings" || e.Address != "example/greeter/Ada" || e.Bytes == 0 || e.ID == "" {
		t.Errorf("egress event = %+v", e)
	}
	for _, s := range []*bufio.Scanner{exact, all} {
		if e := read(s); e.Kind != gateway.TailProcessed || *e.Text != "hello" || e.Address != "example/greeter/Ada" {
			t.Errorf("event of the function = %+v", e)
		}
	}
	nc := dial(t, w.NATS)
	if _, err := nc.Request("jetfn.fn.example.greeter.Ada", []byte{0xff}, patience); err != nil { // no text
		t.Fatal(err)
	}
	if e := read(letters); e.Kind != gateway.TailDeadLetter || e.Reason != "bad-type" || e.ID == "" {
		t.Errorf("event of the dead letters = %+v", e)
	}
	w.stop()
	if egress.Scan() {
		t.Errorf("the tail goes on after the worker's end: %s", egress.Text())
	}
}
