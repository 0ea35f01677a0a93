//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// version is a document of the pipeline's functions.
func version(functions, url, more string) string {
	return fmt.Sprintf("---\nkind: io.statefun.endpoints.v2/http\nspec:\n  functions: %s\n  urlPathTemplate: %s\n%s", functions, url, more)
}

// replace writes a file as editors do.
func replace(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+"~", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
}

// counting counts the requests of a server of functions.
func counting(n *atomic.Int64, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h.ServeHTTP(w, r)
	})
}

func TestCountsStayExactWhileTheModuleChangesAHundredTimes(t *testing.T) {
	t.Parallel()
	var calls [3]atomic.Int64
	var urls [3]string
	for i := range urls {
		urls[i] = serve(t, counting(&calls[i], pipeline()))
	}
	const egress = "---\nkind: io.jetfn.nats.v1/egress\nspec:\n  id: e2e/*\n"
	port := freePorts(t, 1)[0]
	modules := []string{
		version("e2e/*", urls[0], ""),
		version("e2e/*", urls[1], "  maxNumBatchRequests: 2\n"),
		version("e2e/forward", urls[2], "") + version("e2e/count", urls[0], "  maxConcurrentRequests: 3\n"),
		version("e2e/*", urls[0], "  weight: 1\n") + version("e2e/*", urls[1], "  weight: 2\n") + version("e2e/forward", urls[2], ""),
		version("e2e/count", urls[1], ""), // forward is gone, and its messages wait
		version("e2e/*", urls[2], "") + fmt.Sprintf("---\nkind: io.statefun.playground.v1/ingress\nspec: {port: %d}\n", port),
	}
	a := startApp(t, modules[0]+egress)
	_, js := a.connect(t)
	l := startPacedLoad(t, a, js, 1000)

	bad := 0
	for n := 1; n <= 100; n++ {
		if n == 30 || n == 60 || n == 90 {
			a.kill()
			a.restart(t)
		}
		text := fmt.Sprintf("# %d\n%s%s", n, modules[n%len(modules)], egress)
		switch n % 10 {
		case 3: // a file
			replace(t, a.module, text)
			eventually(t, 20*time.Second, "the changed file to take effect", func() error { return a.moduleIs(t, text) })
		case 7: // one bad document among good ones
			if r := a.do(t, http.MethodPut, "/v1/modules", "application/yaml", []byte(text+version("e2e/more", "nowhere", ""))); r.status != http.StatusUnprocessableEntity {
				t.Errorf("PUT of a bad module = %d %s, want 422", r.status, r.body)
			}
			bad++
			fallthrough
		default:
			if r := a.do(t, http.MethodPut, "/v1/modules", "application/yaml", []byte(text)); r.status != http.StatusOK {
				t.Fatalf("PUT of module %d = %d %s, want 200", n, r.status, r.body)
			}
		}
	}
	if stored := l.acked.Load(); stored == loadMessages {
		t.Logf("the load ended before the last change")
	}
	if r := a.do(t, http.MethodPut, "/v1/modules", "application/yaml", []byte(modules[0]+egress)); r.status != http.StatusOK {
		t.Fatalf("PUT of the last module = %d %s", r.status, r.body)
	}
	l.verify(t)
	for i := range calls {
		if calls[i].Load() == 0 {
			t.Errorf("server %d of functions was never called", i)
		}
	}
	if bad != 10 {
		t.Errorf("%d bad modules, want 10", bad)
	}
}

// moduleIs reports whether the newest revision has this text, in place.
func (a *app) moduleIs(t *testing.T, text string) error {
	t.Helper()
	r := a.do(t, http.MethodGet, "/v1/modules/newest", "", nil)
	first, _, _ := strings.Cut(text, "\n")
	if r.status != http.StatusOK || !strings.Contains(string(r.body), `"text":"`+first+`\n`) || !strings.Contains(string(r.body), `"inPlace":true`) {
		return fmt.Errorf("GET /v1/modules/newest = %d %s", r.status, r.body)
	}
	return nil
}
