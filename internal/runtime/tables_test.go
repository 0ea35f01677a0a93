package runtime_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/inprocess"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/sdk"
)

// carts is a function with a table: "set <key> <n>", "list", which answers
// what is in it, in order, "append <n>" to a buffer, and "sum", that of it.
func carts(tb testing.TB) runtime.Config {
	tb.Helper()
	items := sdk.NewTable("items", sdk.StringKey(), sdk.Int64())
	recent := sdk.NewBuffer("recent", sdk.Int64())
	registry, err := sdk.NewRegistry([]sdk.Function{{
		Type: "demo/cart", States: []sdk.State{items, recent},
		Invoke: func(ctx sdk.Context, m sdk.Message) error {
			text, err := sdk.String().From(m)
			if err != nil {
				return err
			}
			var do, key string
			var n int64
			_, _ = fmt.Sscan(text, &do, &key, &n) // what is missing is not asked for
			switch do {
			case "set":
				items.Set(ctx, key, n)
			case "append":
				recent.Append(ctx, n)
			case "list":
				var out []string
				for k, v := range items.All(ctx) {
					out = append(out, fmt.Sprintf("%s=%d", k, v))
				}
				return ctx.Reply(sdk.String().Of(strings.Join(out, " ")))
			case "sum":
				sum := int64(0)
				for v := range recent.All(ctx) {
					sum += v
				}
				return ctx.Reply(sdk.String().Of(strconv.FormatInt(sum, 10)))
			}
			return ctx.Reply(sdk.String().Of("ok"))
		},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return runtime.Config{Module: &module.Module{}, Functions: inprocess.New(registry), DataDir: tb.TempDir()}
}

// tell calls demo/cart/a and returns its answer.
func (w *worker) tell(text string) string {
	w.tb.Helper()
	status, _, body := request(w.tb, http.MethodPost, "http://"+w.HTTP+"/v1/call/demo/cart/a", text)
	if status != http.StatusOK {
		w.tb.Fatalf("call with %q = %d %s", text, status, body)
	}
	return body
}

// entryPage is what GET of a state with ?table= answers.
type entryPage struct {
	addressState
	Next string
}

func TestEntriesOfATableAreSetReadAndRemovedInTheirOrder(t *testing.T) {
	t.Parallel()
	cfg := carts(t)
	w := start(t, cfg)
	const a = "/v1/state/demo/cart/a"
	for i, key := range []string{"pear", "apple", "fig/x"} {
		w.tell(fmt.Sprintf("set %s %d", key, i))
	}
	var one, after addressState
	w.do(http.MethodGet, a+"/items%2Fapple", &one)
	if got := one.Values["items/apple"]; got.Text != "1" || got.Type != "io.statefun.types/long" || len(one.Values) != 1 || one.Revision == 0 {
		t.Errorf("the entry is %+v, want the long 1", one)
	}

	put := func(name, value string, headers ...string) (int, string) {
		t.Helper()
		return w.change(http.MethodPut, a+"/"+url.PathEscape(name), value, headers...)
	}
	if status, body := put("items/apple", "41", "If-Match", itoa(int(one.Revision))); status != http.StatusOK || !strings.Contains(body, `"text":"41"`) {
		t.Errorf("PUT with the entry's revision = %d %s", status, body)
	}
	if status, body := put("items/apple", "42", "If-Match", itoa(int(one.Revision))); status != http.StatusConflict {
		t.Errorf("PUT with an old revision = %d %s, want 409", status, body)
	}
	if status, body := put("items/banana", "7", "Jetfn-Type", "io.statefun.types/long", "If-Match", "0"); status == http.StatusOK {
		t.Errorf("PUT of bytes that are no long = %d %s", status, body)
	}
	if status, body := put("items/banana", "\x09\x07\x00\x00\x00\x00\x00\x00\x00", "Jetfn-Type", "io.statefun.types/long", "If-Match", "0"); status != http.StatusOK {
		t.Errorf("PUT of a new entry = %d %s", status, body)
	}
	if got, want := w.tell("list"), "apple=41 banana=7 fig/x=2 pear=0"; got != want {
		t.Errorf("the function finds %q, want %q", got, want)
	}
	w.do(http.MethodDelete, a+"/items%2Ffig%2Fx", &after)
	if len(after.Values) != 0 {
		t.Errorf("after DELETE the entry is %+v", after)
	}
	if got, want := w.tell("list"), "apple=41 banana=7 pear=0"; got != want {
		t.Errorf("after DELETE the function finds %q, want %q", got, want)
	}

	for name, c := range map[string]struct {
		method, path string
		status       int
		slug         string
	}{
		"an entry that isn't there":  {http.MethodGet, a + "/items%2Fnone", 404, "not-found"},
		"removing what isn't there":  {http.MethodDelete, a + "/items%2Fnone", 404, "not-found"},
		"a state that isn't there":   {http.MethodGet, a + "/none", 404, "not-found"},
		"no key":                     {http.MethodGet, a + "/items%2F", 400, "bad-request"},
		"no table":                   {http.MethodPut, a + "/%2Fkey", 400, "bad-request"},
		"the order of a table":       {http.MethodDelete, a + "/~items%2F0", 400, "bad-request"},
		"a function of jetfn's":      {http.MethodGet, "/v1/state/jetfn/replay/x/replayedAt", 400, "bad-address"},
		"a page that isn't":          {http.MethodGet, a + "?table=items&after=x", 400, "bad-request"},
		"a page of too many":         {http.MethodGet, a + "?table=items&limit=100000", 400, "bad-request"},
		"an entry of nobody's table": {http.MethodPut, "/v1/state/demo/nobody/a/t%2Fk", 404, "unknown-function"},
	} {
		status, body := w.change(c.method, c.path, "1")
		if status != c.status || !strings.Contains(body, "urn:jetfn:problem:"+c.slug+`"`) {
			t.Errorf("%s: %s %s = %d %s, want %d %s", name, c.method, c.path, status, body, c.status, c.slug)
		}
	}

	w.stop()
	w = start(t, cfg)
	if got, want := w.tell("list"), "apple=41 banana=7 pear=0"; got != want {
		t.Errorf("after a restart the function finds %q, want %q", got, want)
	}
	for _, limit := range []int{1, 2, 100} {
		var got []string
		for query := (url.Values{"table": {"items"}, "limit": {itoa(limit)}}); ; {
			var page entryPage
			w.do(http.MethodGet, a+"?"+query.Encode(), &page)
			for name, v := range page.Values {
				got = append(got, name+"="+v.Text)
			}
			if len(page.Values) > limit {
				t.Errorf("a page of %d has %d", limit, len(page.Values))
			}
			if page.Next == "" {
				break
			}
			query.Set("after", page.Next)
		}
		if len(got) != 3 {
			t.Errorf("pages of %d have %v, want three entries", limit, got)
		}
	}
}

func TestElementsOfABufferAreSetOneByOne(t *testing.T) {
	t.Parallel()
	w := start(t, carts(t))
	for n := range 3 {
		w.tell(fmt.Sprintf("append x %d", n+1))
	}
	if status, body := w.change(http.MethodPut, "/v1/state/demo/cart/a/recent%2F1", "100"); status != http.StatusOK {
		t.Errorf("PUT of an element = %d %s", status, body)
	}
	if got := w.tell("sum"); got != "104" {
		t.Errorf("the sum is %s, want 104", got)
	}
	if status, body := w.change(http.MethodDelete, "/v1/state/demo/cart/a/recent%2F0", ""); status != http.StatusOK {
		t.Errorf("DELETE of an element = %d %s", status, body)
	}
	if got := w.tell("sum"); got != "103" {
		t.Errorf("the sum is %s, want 103", got)
	}
	var page entryPage
	eventually(t, "only elements are listed", func() bool {
		page = entryPage{}
		w.do(http.MethodGet, "/v1/state/demo/cart/a?table=*", &page)
		return len(page.Values) == 2
	})
	for name := range page.Values {
		if actor.IsEntry(name) && strings.HasPrefix(name, "~") {
			t.Errorf("the entries are %v, of which %s says something about a table", page.Values, name)
		}
	}
}
