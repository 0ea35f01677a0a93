package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// pausing has paused some, and knows what waits.
type pausing struct {
	desk

	list    []gateway.Pause
	backlog map[actor.TypeName]int
	err     error // of the backlog
}

func (p *pausing) AllPaused() []gateway.Pause { return p.list }

func (p *pausing) Paused(k actor.PauseKey) bool {
	for _, one := range p.list {
		if one.Key == k {
			return true
		}
	}
	return false
}

func (p *pausing) SetPaused(_ context.Context, k actor.PauseKey, paused bool) error {
	kept := p.list[:0:0]
	for _, one := range p.list {
		if one.Key != k {
			kept = append(kept, one)
		}
	}
	if p.list = kept; paused {
		p.list = append(p.list, gateway.Pause{Key: k})
	}
	return nil
}

func (p *pausing) Backlog(context.Context) (map[actor.TypeName]int, error) { return p.backlog, p.err }

// handler serves the functions that list has; only exact types are known, and
// those of a namespace that is bound.
func (p *pausing) handler(list ...string) http.Handler {
	app := &fakeApp{}
	for _, t := range list {
		app.list = append(app.list, gateway.FunctionInfo{Type: t})
	}
	app.known = func(t actor.TypeName) bool {
		for _, f := range list {
			if f == t.String() || f == t.Namespace+"/*" {
				return true
			}
		}
		return t.Namespace == "jetfn"
	}
	return gateway.NewAPI(gateway.APIConfig{Sender: app, Caller: app, States: app, Functions: app, Readiness: app, Pauses: p})
}

func typeNamed(text string) actor.TypeName {
	namespace, name, _ := strings.Cut(text, "/")
	return actor.TypeName{Namespace: namespace, Name: name}
}

func pausedType(text string) gateway.Pause {
	return gateway.Pause{Key: actor.PauseType(typeNamed(text)), At: 1_700_000_000_123}
}

func pausedAddress(text, id string) gateway.Pause {
	return gateway.Pause{Key: actor.PauseAddress(actor.Address{Type: typeNamed(text), ID: id})}
}

// functions are the lines of GET /v1/functions.
func functions(t *testing.T, h http.Handler) map[string]gateway.FunctionInfo {
	t.Helper()
	w := serve(h, request("GET", "/v1/functions", ""))
	var answer struct{ Items []gateway.FunctionInfo }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("GET /v1/functions = %d %s", w.Code, w.Body)
	}
	out := map[string]gateway.FunctionInfo{}
	for _, f := range answer.Items {
		if _, twice := out[f.Type]; twice {
			t.Errorf("GET /v1/functions has %s twice: %s", f.Type, w.Body)
		}
		out[f.Type] = f
	}
	return out
}

func TestFunctionsAreListedWithWhatThereIsToTell(t *testing.T) {
	t.Parallel()
	number := func(n int) *int { return &n }
	since := &gateway.PauseInfo{Since: "2023-11-14T22:13:20.123Z", By: "operator"}
	p := &pausing{
		list:    []gateway.Pause{pausedType("shop/*"), pausedType("bank/account"), pausedAddress("bank/ledger", "1"), pausedAddress("bank/ledger", "2")},
		backlog: map[actor.TypeName]int{typeNamed("shop/cart"): 3, typeNamed("bank/account"): 5, typeNamed("gone/away"): 7},
	}
	got := functions(t, p.handler("shop/*", "bank/account", "bank/ledger"))
	want := map[string]gateway.FunctionInfo{
		"shop/*":       {Type: "shop/*", Paused: true, Pause: since}, // what waits is told of its types
		"shop/cart":    {Type: "shop/cart", Paused: true, Pause: since, Backlog: number(3)},
		"bank/account": {Type: "bank/account", Paused: true, Pause: since, Backlog: number(5)},
		"bank/ledger":  {Type: "bank/ledger", PausedAddresses: 2, Backlog: number(0)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("GET /v1/functions (-want +got):\n%s", diff)
	}
	p.err = errOnFire
	if f := functions(t, p.handler("bank/account"))["bank/account"]; f.Backlog != nil {
		t.Errorf("the backlog is %d, want none: nobody could count it", *f.Backlog)
	}
}

func TestPausedAddressesAreListedByPages(t *testing.T) {
	t.Parallel()
	p := &pausing{list: []gateway.Pause{
		pausedAddress("bank/ledger", "c"), pausedAddress("bank/ledger", "a"), pausedAddress("bank/other", "b"), pausedAddress("bank/ledger", "e"),
		pausedAddress("bank/ledger", "d"), pausedType("bank/ledger"),
	}}
	h := p.handler("bank/ledger")
	var pages []string
	for after := ""; ; {
		w := serve(h, request("GET", "/v1/functions/bank/ledger/paused?limit=2&after="+after, ""))
		var page struct {
			Items []gateway.PauseInfo
			Next  string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK || len(pages) > 5 {
			t.Fatalf("page %d is answered %d %s", len(pages), w.Code, w.Body)
		}
		var ids []string
		for _, one := range page.Items {
			ids = append(ids, strings.TrimPrefix(one.Address, "bank/ledger/"))
		}
		pages = append(pages, strings.Join(ids, " "))
		if after = page.Next; after == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"a c", "d e"}, pages); diff != "" {
		t.Errorf("pages of paused addresses (-want +got):\n%s", diff)
	}
	wantProblem(t, serve(h, request("GET", "/v1/functions/bank/nobody/paused", "")), 404, "unknown-function", false)
	wantProblem(t, serve(h, request("GET", "/v1/functions/bank/ledger/paused?limit=0", "")), 400, "bad-request", false)
}

func TestOnlyFunctionsThatAreThereOrPausedArePausedAndResumed(t *testing.T) {
	t.Parallel()
	p := &pausing{list: []gateway.Pause{pausedType("gone/away"), pausedAddress("gone/away", "1")}}
	h := p.handler("shop/*", "bank/account")
	for _, c := range []struct {
		path string
		want int
	}{
		{"bank/account/pause", 200},
		{"bank/account/1/pause", 200},
		{"shop/*/pause", 200},
		{"shop/cart/pause", 200},
		{"bank/*/pause", 404}, // that would be more than the module binds
		{"bank/nobody/pause", 404},
		{"nobody/home/1/pause", 404},
		{"jetfn/caller/pause", 404}, // it would stop all calls with a key
		{"jetfn/caller/1/pause", 404},
		{"gone/away/resume", 200}, // the module has it no more
		{"gone/away/resume", 404},
		{"gone/away/1/resume", 200},
	} {
		w := serve(h, request("POST", "/v1/functions/"+c.path, ""))
		if w.Code != c.want {
			t.Errorf("POST of %s = %d %s, want %d", c.path, w.Code, w.Body, c.want)
		}
		if c.want == http.StatusNotFound {
			wantProblem(t, w, 404, "unknown-function", false)
		}
	}
}
