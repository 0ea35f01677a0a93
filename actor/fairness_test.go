package actor_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
)

func functionAt(name string, limit int) actor.Place {
	return actor.Place{Function: actor.TypeName{Namespace: "test", Name: name}, Endpoint: "e", Limit: limit}
}

func TestFunctionsOfOneEndpointTakeTurns(t *testing.T) {
	t.Parallel()
	c := actor.NewCalls(0)
	var order []string
	ask := func(name string) { c.Acquire(functionAt(name, 1), func() { order = append(order, name) }) }
	for range 1000 { // a huge backlog
		ask("slow")
	}
	for range 3 {
		ask("fast")
		ask("other")
	}
	for i := range 9 {
		c.Release(functionAt(order[i], 1), actor.CallResult{Messages: 1})
	}
	counts := map[string]int{}
	for _, name := range order[1:] {
		counts[name]++
	}
	if diff := cmp.Diff(map[string]int{"slow": 3, "fast": 3, "other": 3}, counts); diff != "" {
		t.Errorf("of nine calls behind the first (-want +got):\n%s\n%v", diff, order)
	}
}

func TestAFunctionWhoseCallsHangLeavesPlacesForOthersOfItsEndpoint(t *testing.T) {
	t.Parallel()
	c := actor.NewCalls(0)
	granted := map[string]int{}
	ask := func(name string) { c.Acquire(functionAt(name, 10), func() { granted[name]++ }) }
	ask("fine")
	for range 100 {
		ask("hangs")
	}
	if n := granted["hangs"]; n < 5 || n > 9 {
		t.Errorf("%d of 10 places for the function that hangs, want most and not all", n)
	}
	for range 100 {
		ask("fine")
		c.Release(functionAt("fine", 10), actor.CallResult{Messages: 1})
	}
	if granted["fine"] != 101 {
		t.Errorf("granted = %v, want every call of the other function", granted)
	}
}

func TestTheStateOfACircuitBreakerIsSeenAndTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := actor.NewCalls(0)
		var told []string
		c.Tell(func(s actor.EndpointState) { told = append(told, s.Endpoint+" "+s.Circuit.String()) })
		if _, ok := c.Endpoint("e"); ok {
			t.Error("an endpoint that was never called has a state")
		}
		down := &actor.InvokeError{Kind: actor.Unreachable, Err: errors.New("connection refused")}
		began := time.Now()
		call := func(err error) {
			t.Helper()
			granted := false
			c.Acquire(functionAt("f", 0), func() { granted = true })
			time.Sleep(5 * time.Second) // longer than any pause
			synctest.Wait()
			if !granted {
				t.Error("no probe within five seconds")
			}
			c.Release(functionAt("f", 0), actor.CallResult{Messages: 1, Err: err})
		}
		is := func(want actor.Circuit, since time.Duration) {
			t.Helper()
			s, _ := c.Endpoint("e")
			if s.Circuit != want || s.Since.Sub(began) != since || s.Err == nil {
				t.Errorf("state = %v since %v after %v, want %v since %v", s.Circuit, s.Since.Sub(began), s.Err, want, since)
			}
		}
		call(down)
		is(actor.CircuitOpen, 5*time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		is(actor.CircuitHalfOpen, 5*time.Second)
		for range 5 {
			call(down)
		}
		is(actor.CircuitOpen, 5*time.Second)
		call(&actor.InvokeError{Reason: actor.ReasonStatus}) // an answer, whatever it says
		is(actor.CircuitClosed, time.Since(began))
		if diff := cmp.Diff([]string{"e open", "e closed"}, told); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
