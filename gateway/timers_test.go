package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// pendingTimers has one delayed message, Bob, and tells how it was asked.
type pendingTimers struct{ asked *gateway.TimerQuery }

func (pendingTimers) one(id string) (gateway.Timer, error) {
	if id != "Bob" {
		return gateway.Timer{}, gateway.ErrNotFound
	}
	return gateway.NewTimer(id, 7, &actor.Timer{DueAt: 1_700_000_000_123, Token: "t", Envelope: actor.Envelope{
		Target: actor.Address{Type: actor.TypeName{Namespace: "example", Name: "greeter"}, ID: "Bob"}, Value: hello,
	}}), nil
}

func (p pendingTimers) Timers(_ context.Context, q gateway.TimerQuery) ([]gateway.Timer, string, error) {
	if p.asked != nil {
		*p.asked = q
	}
	one, err := p.one("Bob")
	return []gateway.Timer{one}, "next", err
}

func (p pendingTimers) Timer(_ context.Context, id string) (gateway.Timer, error) { return p.one(id) }

func (p pendingTimers) CancelTimer(_ context.Context, id string) (gateway.Timer, error) {
	return p.one(id)
}

func TestTimersAreSelectedAsTheRequestSays(t *testing.T) {
	t.Parallel()
	var asked gateway.TimerQuery
	api := gateway.NewAPI(gateway.APIConfig{Timers: pendingTimers{&asked}})
	a := serve(api, request(http.MethodGet, "/v1/timers?function=a%2Fb&address=a%2Fb%2Fc%2F1&caller=d%2Fe%2Ff&token=x&before=2026-01-02T03:04:05Z&after=z&limit=7", ""))
	want := `{"items":[{"id":"Bob","address":"example/greeter/Bob","partition":7,"dueAt":"2023-11-14T22:13:20.123Z","token":"t",`
	if a.Code != http.StatusOK || !strings.HasPrefix(a.Body.String(), want) || !strings.HasSuffix(a.Body.String(), `"next":"next"}`+"\n") {
		t.Errorf("GET /v1/timers = %d %s, want %s…", a.Code, a.Body, want)
	}
	b := actor.TypeName{Namespace: "a", Name: "b"}
	if diff := cmp.Diff(gateway.TimerQuery{
		Function: b, Target: actor.Address{Type: b, ID: "c/1"}, Caller: actor.Address{Type: actor.TypeName{Namespace: "d", Name: "e"}, ID: "f"},
		Token: "x", Before: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), After: "z", Limit: 7,
	}, asked); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		q    gateway.TimerQuery
		want bool
	}{
		"all":              {gateway.TimerQuery{}, true},
		"function":         {gateway.TimerQuery{Function: b}, true},
		"another function": {gateway.TimerQuery{Function: actor.TypeName{Namespace: "a", Name: "x"}}, false},
		"another target":   {gateway.TimerQuery{Target: actor.Address{Type: b, ID: "x"}}, false},
		"another caller":   {gateway.TimerQuery{Caller: actor.Address{Type: b, ID: "x"}}, false},
		"another token":    {gateway.TimerQuery{Token: "x"}, false},
		"due then":         {gateway.TimerQuery{Before: time.UnixMilli(5000)}, false},
		"due before":       {gateway.TimerQuery{Before: time.UnixMilli(5001)}, true},
	} {
		tm := &actor.Timer{DueAt: 5000, Token: "t", Envelope: actor.Envelope{Target: actor.Address{Type: b, ID: "1"}}}
		if got := c.q.Matches(tm); got != c.want {
			t.Errorf("%s: Matches = %v, want %v", name, got, c.want)
		}
	}
}

func TestATimerWithoutAValueHasAnEmptyOne(t *testing.T) {
	t.Parallel()
	one := gateway.NewTimer("1", 0, &actor.Timer{Envelope: actor.Envelope{Target: bob, Value: actor.Value{Type: "a/b"}}})
	text, err := json.Marshal(one)
	if err != nil || !strings.Contains(string(text), `"value":""`) {
		t.Errorf("a timer without a value is %s, %v, want an empty text as its value", text, err)
	}
}
