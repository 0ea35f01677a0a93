package actor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
)

func TestCallsKeepTheirLimits(t *testing.T) {
	t.Parallel()
	c := actor.NewCalls(3)
	granted := map[string]int{}
	ask := func(endpoint string, limit int) {
		c.Acquire(actor.Place{Endpoint: endpoint, Limit: limit}, func() { granted[endpoint]++ })
	}
	for range 5 {
		ask("single", 1)
	}
	for range 5 {
		ask("many", 0)
	}
	if granted["single"] != 1 || granted["many"] != 2 {
		t.Fatalf("granted = %v, want one of the endpoint's limit and three in all", granted)
	}
	c.Release(actor.Place{Endpoint: "many"}, actor.CallResult{Messages: 1})
	if granted["many"] != 3 || granted["single"] != 1 {
		t.Errorf("after a release: granted = %v, want the place taken by the endpoint that may", granted)
	}
	for range 2 {
		c.Release(actor.Place{Endpoint: "many"}, actor.CallResult{Messages: 1})
	}
	c.Release(actor.Place{Endpoint: "single"}, actor.CallResult{Messages: 1})
	if granted["single"] != 2 {
		t.Errorf("granted = %v, want the next call of the single one", granted)
	}
}

func TestEndpointsThatHangLeavePlacesForOthers(t *testing.T) {
	t.Parallel()
	c := actor.NewCalls(1000)
	granted := map[string]int{}
	ask := func(endpoint string) { c.Acquire(actor.Place{Endpoint: endpoint}, func() { granted[endpoint]++ }) }
	ask("fine")
	c.Release(actor.Place{Endpoint: "fine"}, actor.CallResult{Messages: 1})
	for _, hanging := range []string{"hangs", "hangs too"} {
		for range 2000 {
			ask(hanging)
		}
	}
	for range 100 {
		ask("fine")
		c.Release(actor.Place{Endpoint: "fine"}, actor.CallResult{Messages: 1})
	}
	if granted["fine"] != 101 || granted["hangs"] == 0 {
		t.Errorf("granted = %v, want every call of the fine endpoint and most places used", granted)
	}
}

func TestBreakerProbesAnUnreachableEndpointOneCallAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := actor.NewCalls(100)
		down := &actor.InvokeError{Kind: actor.Unreachable}
		calls := make(chan string, 1000)
		ask := func(endpoint string) { c.Acquire(actor.Place{Endpoint: endpoint}, func() { calls <- endpoint }) }
		for range 10 {
			ask("down")
		}
		began := time.Now()
		probes := 0
		for time.Since(began) < time.Minute {
			select {
			case <-calls:
				probes++
				ask("down")
				c.Release(actor.Place{Endpoint: "down"}, actor.CallResult{Messages: 1, Err: down})
			case <-time.After(10 * time.Second):
				t.Fatal("no probe for ten seconds")
			}
		}
		if probes > 80 {
			t.Errorf("calls to an unreachable endpoint in a minute = %d, want probes some seconds apart", probes)
		}
		ask("up")
		for got := ""; got != "up"; got = <-calls {
		}
		c.Release(actor.Place{Endpoint: "up"}, actor.CallResult{Messages: 1})
		// Reachable again: everything that waits goes.
		for len(calls) > 0 {
			<-calls
		}
		time.Sleep(5 * time.Second)
		<-calls
		c.Release(actor.Place{Endpoint: "down"}, actor.CallResult{Messages: 1})
		if len(calls) < 5 {
			t.Errorf("calls granted after a success = %d, want those that waited", len(calls))
		}
	})
}
