package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestAPathThatNoRouteHasIsAnsweredByWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	h := (&fakeApp{}).handler()
	for target, want := range map[string]struct {
		method, slug, detail, allow string
		status                      int
	}{
		"/v1/send/a/b":           {http.MethodPost, "bad-address", "2 segments where <namespace>/<type>/<id> is", "", 400},
		"/v1/send":               {http.MethodPost, "bad-address", "0 segments", "", 400},
		"/v1/send/a/b/c/d/e":     {http.MethodPost, "bad-address", "5 segments", "", 400},
		"/v1/state/a":            {http.MethodGet, "bad-address", "1 segments where <namespace>/<type> or <namespace>/<type>/<id>", "", 400},
		"/v1/state/a/b/":         {http.MethodGet, "bad-address", "part 3 of", "", 400},
		"/v1/%73end/a/b/c":       {http.MethodPost, "not-found", "nothing at", "", 404},
		"/v1":                    {http.MethodGet, "not-found", "nothing at", "", 404},
		"/v1/functions/":         {http.MethodGet, "not-found", "nothing at", "", 404},
		"/healthz/..":            {http.MethodGet, "not-found", "nothing at", "", 404},
		"/v1/../healthz":         {http.MethodGet, "not-found", "nothing at", "", 404},
		"//":                     {http.MethodGet, "not-found", "nothing at", "", 404},
		"/v1/send/{namespace}/b": {http.MethodPost, "bad-address", "2 segments", "", 400},
		"/v1/functions":          {http.MethodPost, "method-not-allowed", "use GET, HEAD", "GET, HEAD", 405},
		"/v1/send/a/b/c":         {http.MethodGet, "method-not-allowed", "use POST", "POST", 405},
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			w := serve(h, request(want.method, target, ""))
			p := wantProblem(t, w, want.status, want.slug, false)
			if !strings.Contains(p.Detail, want.detail) {
				t.Errorf("%s %s: the detail is %q, want it to say %q", want.method, target, p.Detail, want.detail)
			}
			if got := w.Header().Get("Allow"); got != want.allow {
				t.Errorf("%s %s: Allow is %q, want %q", want.method, target, got, want.allow)
			}
		})
	}
}
