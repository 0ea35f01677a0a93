package demo_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
	"github.com/jetfn/jetfn/internal/demo"
	"github.com/jetfn/jetfn/internal/module"
	"github.com/jetfn/jetfn/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheGreeterCountsWhomItMeets(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(demo.Greeter())
	defer server.Close()
	endpoint, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close()
	ada := actor.Address{Type: actor.TypeName{Namespace: "example", Name: "greeter"}, ID: "Ada"}
	message := actor.Envelope{Target: ada, Value: actor.Value{Type: wire.TypeString}}
	greeter := endpoint.Function(ada.Type)

	first, err := greeter.Invoke(t.Context(), &actor.Batch{Target: ada, Envelopes: []actor.Envelope{message}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, first, "1", "nice to meet you")
	state := actor.State{}.With(actor.StateValue{Name: "seen", Value: first.Mutations[0].Value})
	second, err := greeter.Invoke(t.Context(), &actor.Batch{Target: ada, State: state, Envelopes: []actor.Envelope{message, message}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, second, "3", "the 2nd time", "the 3rd time")
}

func check(t *testing.T, effects *actor.Effects, seen string, greetings ...string) {
	t.Helper()
	if got, _ := wire.Text(wire.TypeInt, effects.Mutations[0].Value.Data); got != seen {
		t.Errorf("seen = %s, want %s", got, seen)
	}
	if len(effects.Egress) != len(greetings) {
		t.Fatalf("%d greetings, want %d", len(effects.Egress), len(greetings))
	}
	for i, want := range greetings {
		m, err := gateway.UnwrapEgress(effects.Egress[i])
		if err != nil {
			t.Fatal(err)
		}
		if m.Key != "Ada" || !strings.Contains(string(m.Value.Data), want) {
			t.Errorf("greeting %d = %q for %q, want %q for Ada", i, m.Value.Data, m.Key, want)
		}
	}
}

func TestTheModuleOfTheDemoIsValid(t *testing.T) {
	t.Parallel()
	m, found := module.Parse([]module.Source{{Name: "demo", Data: []byte(demo.Module("http://127.0.0.1:1/"))}}, module.Options{Strict: true})
	if len(found) > 0 || len(m.Endpoints) != 1 || len(m.Egresses) != 1 {
		t.Errorf("Parse(Module) = %+v, %v", m, found)
	}
}
