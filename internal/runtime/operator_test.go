package runtime_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/runtime"
)

// addressState is what GET /v1/state answers.
type addressState struct {
	Revision uint64
	Values   map[string]struct{ Type, Text string }
}

// change is request with headers.
func (w *worker) change(method, path, body string, headers ...string) (int, string) {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(w.tb.Context(), method, "http://"+w.HTTP+path, strings.NewReader(body))
	if err != nil {
		w.tb.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return answerOf(w.tb, r)
}

func TestAStateIsSetReadAndRemovedBetweenCalls(t *testing.T) {
	t.Parallel()
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir()}
	w := start(t, cfg)
	const ada = "/v1/state/example/greeter/Ada"
	w.send("example/greeter/Ada")
	eventually(t, "Ada was met", func() bool { return w.seen("example/greeter/Ada") == "1" })
	var before, after addressState
	w.do(http.MethodGet, ada, &before)

	if status, body := w.change(http.MethodPut, ada+"/seen", "41", "If-Match", `"`+itoa(int(before.Revision))+`"`); status != http.StatusOK {
		t.Fatalf("PUT with the revision = %d %s, want 200", status, body)
	}
	w.do(http.MethodGet, ada, &after)
	if got := after.Values["seen"]; got.Text != "41" || got.Type != "io.statefun.types/int" || after.Revision <= before.Revision {
		t.Errorf("after PUT it is %+v, want the int 41 and a later revision than %d", after, before.Revision)
	}
	w.send("example/greeter/Ada")
	eventually(t, "the function goes on from 41", func() bool { return w.seen("example/greeter/Ada") == "42" })

	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		slug               string
	}{
		"a revision that is old":     {http.MethodPut, ada + "/seen", "1", []string{"If-Match", itoa(int(before.Revision))}, 409, "revision-conflict"},
		"a revision of no state":     {http.MethodPut, ada + "/seen", "1", []string{"If-Match", "0"}, 409, "revision-conflict"},
		"any revision of none":       {http.MethodPut, "/v1/state/example/greeter/Nobody/seen", "1", []string{"If-Match", "*"}, 409, "revision-conflict"},
		"no revision":                {http.MethodPut, ada + "/seen", "1", []string{"If-Match", "new"}, 400, "bad-request"},
		"no number":                  {http.MethodPut, ada + "/seen", "many", nil, 415, "bad-type"},
		"another type than declared": {http.MethodPut, ada + "/seen", "x", []string{"Jetfn-Type", "a/b"}, 415, "bad-type"},
		"bytes of no int":            {http.MethodPut, ada + "/seen", "\xff", []string{"Jetfn-Type", "io.statefun.types/int"}, 415, "bad-type"},
		"JSON without a type":        {http.MethodPut, ada + "/doc", "{}", []string{"Content-Type", "application/json"}, 415, "bad-type"},
		"too much":                   {http.MethodPut, ada + "/doc", strings.Repeat("x", 7<<20), []string{"Jetfn-Type", "a/b"}, 413, "too-large"},
		"no function":                {http.MethodPut, "/v1/state/example/nobody/a/x", "1", nil, 404, "unknown-function"},
		"our own function":           {http.MethodPut, "/v1/state/jetfn/replay/a/replayedAt", "1", nil, 400, "bad-address"},
		"removing none":              {http.MethodDelete, ada + "/none", "", nil, 404, "not-found"},
		"removing from none":         {http.MethodDelete, "/v1/state/example/greeter/Nobody", "", nil, 404, "not-found"},
		"removing with an old one":   {http.MethodDelete, ada, "", []string{"If-Match", "1"}, 409, "revision-conflict"},
	} {
		status, body := w.change(c.method, c.path, c.body, c.headers...)
		if status != c.status || !strings.Contains(body, "urn:jetfn:problem:"+c.slug+`"`) || !strings.Contains(body, `"accepted":false`) {
			t.Errorf("%s: %s %s = %d %s, want %d %s", name, c.method, c.path, status, body, c.status, c.slug)
		}
	}

	if status, body := w.change(http.MethodPut, ada+"/note%201", `{"a":1}`, "Jetfn-Type", "ops/json"); status != http.StatusOK {
		t.Fatalf("PUT of another type = %d %s, want 200", status, body)
	}
	w.stop()
	w = start(t, cfg)
	after = addressState{}
	w.do(http.MethodDelete, ada+"/seen", &after)
	if _, there := after.Values["seen"]; there || after.Values["note 1"].Type != "ops/json" {
		t.Errorf("after a restart and DELETE it is %+v, want the note only", after)
	}
	after = addressState{}
	w.do(http.MethodDelete, ada, &after)
	if len(after.Values) > 0 || after.Revision == 0 {
		t.Errorf("after DELETE of all it is %+v, want no values", after)
	}
	w.problem(http.MethodGet, ada, http.StatusNotFound)
	w.send("example/greeter/Ada")
	eventually(t, "Ada is new", func() bool { return w.seen("example/greeter/Ada") == "1" })
}

func TestAPauseOutlivesRestartsAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	f := &fragile{}
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir(), Functions: map[actor.TypeName]actor.FunctionSpec{typeName("ops/fragile"): {Function: f}}}
	w := start(t, cfg)
	var now struct {
		Type   string
		Paused bool
	}
	w.do(http.MethodPost, "/v1/functions/ops/fragile/pause", &now)
	if now.Type != "ops/fragile" || !now.Paused {
		t.Errorf("pause answers %+v, want ops/fragile paused", now)
	}
	var want []string
	send := func(from, to int) {
		for i := from; i < to; i++ {
			w.sendText("ops/fragile/a", itoa(i))
			want = append(want, "\n"+string(rune(len(itoa(i))))+itoa(i))
		}
	}
	send(0, 20)
	w.stop()
	w = start(t, cfg)
	send(20, 40)
	w.send("example/greeter/Ada") // others go on
	eventually(t, "the greeter has met Ada", func() bool { return w.seen("example/greeter/Ada") == "1" })
	eventually(t, "its backlog is shown", func() bool {
		state, backlog := w.function("ops/fragile")
		return state && backlog == 40
	})
	if got := f.seen(); len(got) > 0 {
		t.Errorf("a paused function has got %q", got)
	}
	if slug := w.problem(http.MethodPost, "/v1/call/ops/fragile/a", http.StatusServiceUnavailable); slug != "paused" {
		t.Errorf("a call of a paused function is %s, want paused", slug)
	}
	w.do(http.MethodPost, "/v1/functions/ops/fragile/resume", &now)
	if now.Paused {
		t.Error("resume answers that it is paused")
	}
	eventually(t, "the function has them all", func() bool { return len(f.seen()) == len(want) })
	if got := f.seen(); !slices.Equal(got, want) {
		t.Errorf("the function has got %q, want %q", got, want)
	}
	if paused, backlog := w.function("ops/fragile"); paused || backlog > 0 {
		t.Errorf("afterwards it is paused %v with %d messages, want neither", paused, backlog)
	}
	for _, path := range []string{"/v1/functions/ops/nobody/pause", "/v1/functions/other/*/pause", "/v1/functions/jetfn/replay/pause"} {
		if slug := w.problem(http.MethodPost, path, http.StatusNotFound); slug != "unknown-function" {
			t.Errorf("POST %s is %s, want unknown-function", path, slug)
		}
	}
}

// function is a function's state as GET /v1/functions shows it.
func (w *worker) function(name string) (paused bool, backlog int) {
	w.tb.Helper()
	var list struct {
		Items []struct {
			Type    string
			Paused  bool
			Backlog int
		}
	}
	w.do(http.MethodGet, "/v1/functions", &list)
	for _, item := range list.Items {
		if item.Type == name {
			return item.Paused, item.Backlog
		}
	}
	w.tb.Fatalf("GET /v1/functions has no %s: %+v", name, list)
	return false, 0
}

func TestATakeoverKeepsWhatIsPaused(t *testing.T) {
	t.Parallel()
	url := foreignNATS(t)
	f := &fragile{}
	cfg := runtime.Config{Module: greeter(t), NATSURLs: []string{url}, Functions: map[actor.TypeName]actor.FunctionSpec{typeName("ops/fragile"): {Function: f}}}
	active := start(t, cfg)
	standby := begin(t, cfg)
	var now struct{ Paused bool }
	active.do(http.MethodPost, "/v1/functions/ops/fragile/pause", &now)
	active.sendText("ops/fragile/a", "x")
	active.stop()
	standby.waitReady()
	standby.sendText("ops/fragile/a", "y")
	eventually(t, "both wait", func() bool {
		paused, backlog := standby.function("ops/fragile")
		return paused && backlog == 2
	})
	if got := f.seen(); len(got) > 0 {
		t.Errorf("a paused function has got %q after a takeover", got)
	}
	standby.do(http.MethodPost, "/v1/functions/ops/fragile/resume", &now)
	eventually(t, "both are called", func() bool { return len(f.seen()) == 2 })
}

func TestANamespaceIsPausedAsAWhole(t *testing.T) {
	t.Parallel()
	m := greeter(t)
	m.Endpoints[0].Functions.Name = "" // all of example/*
	w := start(t, runtime.Config{Module: m})
	var now struct{ Paused bool }
	w.do(http.MethodPost, "/v1/functions/example/*/pause", &now)
	w.send("example/one/a")
	w.send("example/two/a")
	eventually(t, "both wait", func() bool {
		_, body := tryGet(t, "http://"+w.HTTP+"/v1/functions")
		return strings.Contains(body, `"type":"example/one"`) && strings.Contains(body, `"type":"example/two"`)
	})
	w.do(http.MethodPost, "/v1/functions/example/one/resume", &now)
	if !now.Paused {
		t.Error("example/one goes on although its namespace is paused")
	}
	w.do(http.MethodPost, "/v1/functions/example/*/resume", &now)
	for _, name := range []string{"one", "two"} {
		eventually(t, name+" is called", func() bool { return w.seen("example/"+name+"/a") == "1" })
	}
}
