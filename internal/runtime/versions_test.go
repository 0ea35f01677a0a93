package runtime_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestTwoVersionsShareAddressesByWeight(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	versions := map[string]string{} // of addresses, by header
	function := newRecorder(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := function.count()
		function.ServeHTTP(w, r)
		mu.Lock()
		defer mu.Unlock()
		function.mu.Lock()
		defer function.mu.Unlock()
		for _, c := range function.calls[before:] {
			if old, version := versions[c], r.Header.Get("Jetfn-Version"); old == "" || old == version {
				versions[c] = version
			} else {
				versions[c] = old + " and " + version
			}
		}
	}))
	t.Cleanup(server.Close)
	version := func(name string, weight int) string {
		return fmt.Sprintf("---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: example/*, urlPathTemplate: %q, weight: %d, maxConcurrentRequests: 1, header: {jetfn-version: %s}}\n",
			server.URL, weight, name)
	}
	w := start(t, revised(t, version("old", 3)+version("new", 1)))
	round := func() map[string]string {
		t.Helper()
		before := function.count()
		mu.Lock()
		clear(versions)
		mu.Unlock()
		for i := range 2 { // an address has one version
			for n := range 60 {
				w.send("example/a/" + itoa(n))
			}
			eventually(t, "all are called", func() bool { return function.count() == before+60*(i+1) })
		}
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(versions)
	}
	count := func(of map[string]string, version string) (n int) {
		for _, v := range of {
			if v == version {
				n++
			}
		}
		return n
	}
	first := round()
	if o, n := count(first, "old"), count(first, "new"); o+n != 60 || n < 5 || n > 28 {
		t.Errorf("%d addresses have the old version and %d the new one, of weights 3 and 1: %v", o, n, first)
	}
	w.apply(version("old", 1) + version("new", 1))
	second := round()
	for a, v := range first {
		if v == "new" && second[a] != "new" {
			t.Errorf("%s had the new version, and has %s when there is more of it", a, second[a])
		}
	}
	w.apply(version("new", 1))
	if last := round(); count(last, "new") != 60 {
		t.Errorf("versions when there is one: %v", last)
	}
	_, _, body := request(t, http.MethodGet, "http://"+w.HTTP+"/v1/functions", "")
	if !strings.Contains(body, `"weight":1`) {
		t.Errorf("GET /v1/functions = %s, want the weight", body)
	}
}
