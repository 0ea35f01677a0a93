package runtime_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/runtime"
	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdknats"
)

// counting is a registry whose functions count the messages of an address and
// answer with a word and the count.
func counting(tb testing.TB, word string, types ...string) *sdk.Registry {
	tb.Helper()
	seen := sdk.NewValue("seen", sdk.Int64())
	var functions []sdk.Function
	for _, t := range types {
		functions = append(functions, sdk.Function{Type: t, States: []sdk.State{seen}, Invoke: func(ctx sdk.Context, _ sdk.Message) error {
			seen.Set(ctx, seen.Get(ctx)+1)
			if ctx.Caller().IsZero() {
				return nil
			}
			return ctx.Reply(sdk.String().Of(word + " " + itoa(int(seen.Get(ctx)))))
		}})
	}
	r, err := sdk.NewRegistry(functions)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// offer serves r over NATS until end is called, or the test ends.
func offer(tb testing.TB, url string, r *sdk.Registry, opts ...sdknats.Option) (end func()) {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- sdknats.Serve(ctx, nc, r, append(opts, sdknats.WithReady(func() { close(ready) }))...)
	}()
	stopped := false
	end = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil && nc.IsConnected() {
			tb.Errorf("Serve = %v", err)
		}
		nc.Close()
	}
	tb.Cleanup(end)
	select {
	case <-ready:
	case err := <-ended:
		tb.Fatalf("Serve = %v", err)
	}
	return end
}

// answer calls a function and returns what it replies.
func (w *worker) answer(address string) string {
	w.tb.Helper()
	status, _, body := request(w.tb, http.MethodPost, "http://"+w.HTTP+"/v1/call/"+address, "hello")
	if status != http.StatusOK {
		w.tb.Fatalf("POST /v1/call/%s = %d %s", address, status, body)
	}
	return body
}

// listed is a function as GET /v1/functions shows it.
func (w *worker) listed(name string) (out gateway.FunctionInfo, ok bool) {
	w.tb.Helper()
	_, body := tryGet(w.tb, "http://"+w.HTTP+"/v1/functions")
	var page struct{ Items []gateway.FunctionInfo }
	if json.Unmarshal([]byte(body), &page) != nil {
		return out, false
	}
	for _, f := range page.Items {
		if f.Type == name {
			return f, true
		}
	}
	return out, false
}

func (w *worker) waitListed(name string, away bool) {
	w.tb.Helper()
	eventually(w.tb, name+" is listed", func() bool {
		f, ok := w.listed(name)
		return ok && f.Away == away && f.Kind == "nats"
	})
}

func TestAModuleNamesServicesByPrefixOrSubject(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{NoDiscovery: true, Module: parse(t,
		endpoint("shop/*", "nats://jetfn-functions")+endpoint("store/desk", "nats://other.place.store.desk"))})
	offer(t, w.NATS, counting(t, "shop", "shop/cart", "shop/odd name"))
	offer(t, w.NATS, counting(t, "store", "store/desk"), sdknats.WithPrefix("other.place"))
	for address, want := range map[string]string{"shop/cart/ann": "shop 1", "shop/odd%20name/ann": "shop 1", "store/desk/1": "store 1"} {
		if got := w.answer(address); got != want {
			t.Errorf("%s answered %q, want %q", address, got, want)
		}
	}
	if f, ok := w.listed("shop/*"); !ok || f.Kind != "nats" || f.Endpoint != "nats://jetfn-functions.shop.{function.name}" {
		t.Errorf("listed as %+v", f)
	}
}

func TestAServiceThatAnnouncesItselfNeedsNoModule(t *testing.T) {
	t.Parallel()
	nats := foreignNATS(t)
	cfg := runtime.Config{NATSURLs: []string{nats}, Module: parse(t, "")}
	w := start(t, cfg)
	if status, _, _ := request(t, http.MethodPost, "http://"+w.HTTP+"/v1/send/shop/cart/ann", "hello"); status != http.StatusNotFound {
		t.Errorf("send to nobody's function = %d, want 404", status)
	}
	end := offer(t, nats, counting(t, "first", "shop/cart", "deep/*"))
	w.waitListed("shop/cart", false)
	for _, address := range []string{"shop/cart/ann", "deep/down/1"} {
		if got := w.answer(address); got != "first 1" {
			t.Errorf("%s answered %q", address, got)
		}
	}
	end()
	w.waitListed("shop/cart", true)
	w.send("shop/cart/ann") // waits
	w.stop()
	w = start(t, cfg)
	w.send("shop/cart/ann") // still known
	if f, ok := w.listed("shop/cart"); !ok || !f.Away {
		t.Errorf("after a restart listed as %+v", f)
	}
	offer(t, nats, counting(t, "second", "shop/cart"))
	if got := w.answer("shop/cart/ann"); got != "second 4" {
		t.Errorf("when the service is back it answers %q, want the waiting messages before", got)
	}
	w.waitListed("shop/cart", false)
}

func TestABindingOfTheModuleGoesBeforeAServiceOfTheSameType(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: parse(t, endpoint("shop/cart", "nats://mine"))})
	offer(t, w.NATS, counting(t, "mine", "shop/cart"), sdknats.WithPrefix("mine"))
	offer(t, w.NATS, counting(t, "theirs", "shop/cart", "shop/desk"), sdknats.WithPrefix("theirs"))
	w.waitListed("shop/desk", false)
	if got := w.answer("shop/cart/ann"); got != "mine 1" {
		t.Errorf("shop/cart answered %q", got)
	}
	if got := w.answer("shop/desk/ann"); got != "theirs 1" {
		t.Errorf("shop/desk answered %q", got)
	}
	eventually(t, "a warning", func() bool {
		return strings.Contains(w.log.String(), "a service announces a function that is served already, not called")
	})
}

func TestServicesOfOneTypeShareItsCalls(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: parse(t, "")})
	for _, word := range []string{"a", "b", "c"} {
		offer(t, w.NATS, counting(t, word, "shop/cart"))
	}
	w.waitListed("shop/cart", false)
	got := map[string]int{}
	for i := range 60 {
		got[w.answer("shop/cart/"+itoa(i))]++
	}
	if len(got) != 3 {
		t.Errorf("answers came from %v, want all three", got)
	}
}

func TestNobodyCanHaveTheApplicationsSubjectsCalled(t *testing.T) {
	t.Parallel()
	w := start(t, runtime.Config{Module: parse(t, endpoint("shop/cart", "nats://jetfn.own.{function.name}"))})
	offer(t, w.NATS, counting(t, "bad", "bad/function"), sdknats.WithPrefix("jetfn.journal"))
	offer(t, w.NATS, counting(t, "good", "good/function"))
	w.waitListed("good/function", false)
	if _, ok := w.listed("bad/function"); ok {
		t.Error("a function below the application's own subjects is taken")
	}
	sub := subscribe(t, w.NATS, "jetfn.own.>")
	if status, _, body := request(t, http.MethodPost, "http://"+w.HTTP+"/v1/call/shop/cart/ann?timeout=500ms", "hello"); status != http.StatusGatewayTimeout {
		t.Errorf("call = %d %s, want 504", status, body)
	}
	if n, _, err := sub.Pending(); n > 0 || err != nil {
		t.Errorf("%d calls were published, %v", n, err)
	}
}
