package runtime_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/runtime"
)

// timerPage is what GET /v1/timers answers.
type timerPage struct {
	Items []struct{ ID, Address, Caller, Token, DueAt, Text, Type string }
	Next  string
}

// reminders are functions: demo/remind sets "<token> <minutes>" for demo/bell,
// whose calls are told.
func reminders(tb testing.TB, rung chan<- string) runtime.Config {
	tb.Helper()
	remind := goFunction(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
		e := &actor.Effects{}
		for i := range b.Envelopes {
			text := textOf(tb, b.Envelopes[i].Value)
			token, delay, _ := strings.Cut(text, " ")
			d, err := time.ParseDuration(delay)
			if err != nil {
				return nil, err
			}
			target := actor.Address{Type: actor.TypeName{Namespace: "demo", Name: "bell"}, ID: b.Target.ID}
			e.Delayed = append(e.Delayed, actor.Delayed{Delay: d, Target: target, Value: b.Envelopes[i].Value, Token: token})
		}
		return e, nil
	})
	bell := goFunction(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
		for i := range b.Envelopes {
			rung <- textOf(tb, b.Envelopes[i].Value)
		}
		return &actor.Effects{}, nil
	})
	return runtime.Config{Module: &module.Module{}, Functions: map[actor.TypeName]actor.FunctionSpec{
		{Namespace: "demo", Name: "remind"}: {Function: remind}, {Namespace: "demo", Name: "bell"}: {Function: bell},
	}}
}

// timers reads all pages of so many.
func (w *worker) timers(limit int, query url.Values) (out []string) {
	w.tb.Helper()
	query.Set("limit", itoa(limit))
	for {
		var page timerPage
		w.do(http.MethodGet, "/v1/timers?"+query.Encode(), &page)
		if len(page.Items) > limit {
			w.tb.Fatalf("a page of %d timers has %d", limit, len(page.Items))
		}
		for _, item := range page.Items {
			out = append(out, item.Text)
		}
		if page.Next == "" {
			return out
		}
		query.Set("after", page.Next)
	}
}

func TestTimersOfAllPartitionsAreListedAndCancelledForGood(t *testing.T) {
	t.Parallel()
	rung := make(chan string, 100)
	cfg := reminders(t, rung)
	cfg.DataDir = t.TempDir()
	w := start(t, cfg)
	const many = 40
	var want []string
	for i := range many {
		text := fmt.Sprintf("t%d %dh", i, 60+i)
		want = append(want, text)
		if status, _, body := request(t, http.MethodPost, "http://"+w.HTTP+"/v1/send/demo/remind/id"+itoa(i*7%many), text); status != http.StatusAccepted {
			t.Fatalf("send = %d %s", status, body)
		}
	}
	eventually(t, "all timers are there", func() bool { return len(w.timers(1000, url.Values{})) == many })
	for _, limit := range []int{1, 3, many} {
		if got := w.timers(limit, url.Values{}); !slices.Equal(got, want) {
			t.Errorf("timers by %d = %v, want %v", limit, got, want)
		}
	}
	for query, n := range map[string]int{
		"function=demo/bell": many, "function=demo/remind": 0, "address=demo/bell/id7": 1, "caller=demo/remind/id7": 1, "caller=demo/bell/id7": 0,
		"token=t5": 1, "before=" + time.Now().Add(69*time.Hour+30*time.Minute).UTC().Format(time.RFC3339): 10, "before=2001-01-01T00:00:00Z": 0,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.timers(7, values); len(got) != n {
			t.Errorf("timers with %s are %v, want %d", query, got, n)
		}
	}

	var page timerPage
	w.do(http.MethodGet, "/v1/timers?token=t5", &page)
	five := page.Items[0]
	if five.Address != "demo/bell/id35" || five.Caller != "demo/remind/id35" || five.Type != "io.statefun.types/string" {
		t.Errorf("the timer is %+v", five)
	}
	var one struct{ ID, Token string }
	w.do(http.MethodGet, "/v1/timers/"+five.ID, &one)
	if one.ID != five.ID || one.Token != "t5" {
		t.Errorf("GET of it = %+v", one)
	}
	w.do(http.MethodDelete, "/v1/timers/"+five.ID, &one)
	w.problem(http.MethodDelete, "/v1/timers/"+five.ID, http.StatusNotFound)
	w.problem(http.MethodGet, "/v1/timers/"+five.ID, http.StatusNotFound)
	w.stop()

	w = start(t, cfg)
	want = slices.Delete(want, 5, 6)
	if got := w.timers(1000, url.Values{}); !slices.Equal(got, want) {
		t.Errorf("timers after a restart = %v, want %v", got, want)
	}
	w.problem(http.MethodDelete, "/v1/timers/"+five.ID, http.StatusNotFound)
	if status, _, body := request(t, http.MethodPost, "http://"+w.HTTP+"/v1/send/demo/remind/id35", "t5 10ms"); status != http.StatusAccepted {
		t.Fatalf("send = %d %s", status, body)
	}
	if got := <-rung; got != "t5 10ms" {
		t.Errorf("the bell rang for %q, want the token used again", got)
	}
	for path, slug := range map[string]string{
		"/v1/timers?after=x": "bad-request", "/v1/timers?after=1-2-3-4-x": "bad-request", "/v1/timers?limit=0": "bad-request", "/v1/timers?before=soon": "bad-request",
		"/v1/timers?function=x": "bad-request", "/v1/timers?address=a/b": "bad-request", "/v1/timers?caller=a": "bad-request",
		"/v1/timers/x": "not-found", "/v1/timers/%ff": "not-found", "/v1/timers/": "not-found", "/v1/timers/" + five.ID + "-1": "not-found",
	} {
		status, body := w.change(http.MethodGet, path, "")
		if !strings.Contains(body, "urn:jetfn:problem:"+slug+`"`) {
			t.Errorf("GET %s = %d %s, want %s", path, status, body, slug)
		}
	}
}

func TestACancelledTickIsSkippedAndItsScheduleGoesOn(t *testing.T) {
	t.Parallel()
	cfg := tellers(t, nil)
	cfg.DataDir = t.TempDir()
	cfg.Module = parse(t, "kind: io.jetfn.cron.v1/ingress\nspec: {id: demo/yearly, schedule: \"@yearly\", targets: [demo/teller/all]}\n")
	w := start(t, cfg)
	next := func(year int) (id string) {
		t.Helper()
		eventually(t, "the tick of "+itoa(year)+" waits alone", func() bool {
			var page timerPage
			w.do(http.MethodGet, "/v1/timers?function=jetfn/cron", &page)
			if len(page.Items) != 1 {
				return false
			}
			tick := page.Items[0]
			id = tick.ID
			if tick.Address != "jetfn/cron/demo/yearly" || tick.Caller != tick.Address {
				t.Fatalf("the tick is %+v", tick)
			}
			due, err := time.Parse(time.RFC3339Nano, tick.DueAt)
			if err != nil {
				t.Fatal(err)
			}
			return due.Sub(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)).Abs() < 500*time.Millisecond
		})
		return id
	}
	year := time.Now().UTC().Year() + 1
	first := next(year)
	var one struct{ ID string }
	w.do(http.MethodDelete, "/v1/timers/"+first, &one)
	if one.ID != first {
		t.Errorf("DELETE of the tick = %+v", one)
	}
	second := next(year + 1)
	w.problem(http.MethodDelete, "/v1/timers/"+first, http.StatusNotFound)
	w.do(http.MethodDelete, "/v1/timers/"+second, &one)
	third := next(year + 2)
	w.stop()

	w = start(t, cfg)
	w.problem(http.MethodDelete, "/v1/timers/"+third+"9", http.StatusNotFound)
	next(year + 2)
}
