package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

func TestNewEndpointRefusesWhatCanNotBeCalled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  gateway.EndpointConfig
		says string
	}{
		"nothing":             {gateway.EndpointConfig{}, "scheme"},
		"no socket":           {gateway.EndpointConfig{URLTemplate: "http+unix:///tmp/f/x"}, "names no socket"},
		"a socket of nothing": {gateway.EndpointConfig{URLTemplate: "http+unix://"}, "names no socket"},
		"a socket at a host":  {gateway.EndpointConfig{URLTemplate: "https+unix://tmp/f.sock"}, `names the host "tmp"`},
		"an empty token":      {gateway.EndpointConfig{URLTemplate: "nats://a..b"}, "not a subject"},
		"a wildcard":          {gateway.EndpointConfig{URLTemplate: "nats://a.*"}, "not a subject"},
		"a path":              {gateway.EndpointConfig{URLTemplate: "nats://a.b/c"}, "not a subject"},
		"a user":              {gateway.EndpointConfig{URLTemplate: "nats://me@a.b"}, "not a subject"},
		"NATS' own subject":   {gateway.EndpointConfig{URLTemplate: "nats://$JS.API.INFO"}, "not a subject"},
		"no NATS":             {gateway.EndpointConfig{URLTemplate: "nats://a.b"}, "no NATS connection"},
		"another scheme":      {gateway.EndpointConfig{URLTemplate: "ftp://host/x"}, `"ftp"`},
		"no host":             {gateway.EndpointConfig{URLTemplate: "http:///x"}, "no host"},
		"a port alone":        {gateway.EndpointConfig{URLTemplate: "http://:80/x"}, "no host"},
		"a broken port":       {gateway.EndpointConfig{URLTemplate: "http://host:port/"}, "port"},
		"another placeholder": {gateway.EndpointConfig{URLTemplate: "http://host/{function.namespace}"}, "only placeholder"},
		"an unknown kind":     {gateway.EndpointConfig{URLTemplate: "http://host/", Transport: gateway.Transport{Kind: "grpc"}}, `"grpc"`},
		"a negative limit":    {gateway.EndpointConfig{URLTemplate: "http://host/", Transport: gateway.Transport{Call: -1}}, "negative"},
	} {
		_, err := gateway.NewEndpoint(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: NewEndpoint(%q) = %v, want an error with %q", name, c.cfg.URLTemplate, err, c.says)
		}
	}
}

func TestEndpointNameHasNoSecrets(t *testing.T) {
	t.Parallel()
	e := endpointAt(t, "https://me:secret@host:8443/f/{function.name}?token=secret#x", gateway.Transport{})
	if got, want := e.Name(), "https://host:8443/f/{function.name}"; got != want {
		t.Errorf("Name() = %q, want %q", got, want)
	}
	_, err := gateway.NewEndpoint(gateway.EndpointConfig{URLTemplate: "ftp://me:secret@host/x?token=secret"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("NewEndpoint = %v, want an error without the secret", err)
	}
}

func TestFunctionNameIsEscapedInTheURL(t *testing.T) {
	t.Parallel()
	type call struct{ uri, user, password string }
	calls := make(chan call, 1)
	server := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		calls <- call{r.RequestURI, user, password}
		answering(nil)(w, r)
	})
	e := endpointAt(t, strings.Replace(server.URL, "://", "://me:secret@", 1)+"/fn/{function.name}/call?f={function.name}", gateway.Transport{})
	typ := actor.TypeName{Namespace: "example", Name: "a b/ü?"}
	b := oneHello()
	b.Target.Type = typ
	if _, err := e.Function(typ).Invoke(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	want := call{"/fn/a%20b%2F%C3%BC%3F/call?f=a%20b%2F%C3%BC%3F", "me", "secret"}
	if got := <-calls; got != want {
		t.Errorf("the call is %+v, want %+v", got, want)
	}
}
