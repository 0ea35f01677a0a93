package runtime_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/runtime"
)

func TestModulesThatAreAppliedAtOnceAllBecomeRevisions(t *testing.T) {
	t.Parallel()
	const many = 6
	r := newRecorder(t)
	w := start(t, revised(t, endpoint("example/a", r.server.URL)))
	answers := make(chan string, many)
	for i := range many {
		go func() {
			status, body := w.put(endpoint("example/a", r.server.URL) + "# " + itoa(i) + "\n")
			answers <- fmt.Sprintf("%d %s", status, body)
		}()
	}
	for range many {
		if answer := <-answers; !strings.HasPrefix(answer, "200 ") {
			t.Errorf("PUT without If-Match = %s, want 200 whoever else is at it", answer)
		}
	}
	list := w.revisions()
	if len(list) != many+1 || list[0].Revision != many+1 || !list[0].InPlace {
		t.Errorf("revisions = %+v, want %d, the newest in place", list, many+1)
	}
}

func TestARevisionTellsWhichFunctionsAreGoneUntilTheyAreBack(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	a, b := endpoint("example/a", r.server.URL), endpoint("example/b", r.server.URL)
	w := start(t, revised(t, a+b))
	removed := func() (names []string) {
		t.Helper()
		_, _, body := request(t, http.MethodGet, "http://"+w.HTTP+"/v1/modules/newest", "")
		var newest gateway.ModuleRevision
		if err := json.Unmarshal([]byte(body), &newest); err != nil {
			t.Fatalf("GET /v1/modules/newest = %s: %v", body, err)
		}
		for _, f := range newest.Removed {
			names = append(names, f.Functions)
		}
		return names
	}
	for _, c := range []struct {
		module string
		want   []string
	}{{a, []string{"example/b"}}, {a + "# other\n", []string{"example/b"}}, {a + b, nil}, {b, []string{"example/a"}}} {
		w.apply(c.module)
		if diff := cmp.Diff(c.want, removed()); diff != "" {
			t.Errorf("removed functions (-want +got):\n%s", diff)
		}
	}
}

func TestAModuleWithoutRevisionsCanNotBeChanged(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: greeter(t)})
	if status, body := w.put("x"); status != http.StatusNotFound {
		t.Errorf("PUT /v1/modules = %d %s, want 404", status, body)
	}
}

func TestCallsEndAtTheEndpointThatIsReplacedAndItsConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	first, second := newRecorder(t), newRecorder(t)
	var mu sync.Mutex
	open := map[string]bool{}
	first.hold = make(chan struct{})
	server := httptest.NewUnstartedServer(first)
	server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		open[c.RemoteAddr().String()] = s != http.StateClosed
		if s == http.StateClosed {
			delete(open, c.RemoteAddr().String())
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	w := start(t, revised(t, endpoint("example/a", server.URL)))
	w.send("example/a/1")
	eventually(t, "the call is in flight", func() bool { return first.count() == 1 })
	w.apply(endpoint("example/a", second.server.URL))
	w.send("example/a/2")
	eventually(t, "others are called at the new endpoint", func() bool { return second.got("a/2") == 1 })
	close(first.hold)
	eventually(t, "the connections to the old endpoint are closed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(open) == 0
	})
	w.send("example/a/1")
	eventually(t, "the address goes on at the new endpoint", func() bool { return second.got("a/1") == 1 })
	if n := first.count(); n != 1 {
		t.Errorf("the old endpoint got %d calls, want 1", n)
	}
	if n := value(w.scrape(), "jetfn_endpoint_connectionsOpened", "endpoint="+server.URL); n != 1 {
		t.Errorf("%g connections to the old endpoint are counted, want 1: a counter does not fall", n)
	}
}
