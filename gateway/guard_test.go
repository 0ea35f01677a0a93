package gateway_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

func TestRequestsOfForeignPagesAreRefused(t *testing.T) {
	t.Parallel()
	const send, state = "/v1/send/example/greeter/Bob", "/v1/state/example/greeter/Bob"
	for name, c := range map[string]struct {
		method, target, host string
		headers              []string
		ok                   bool
	}{
		"curl":                        {"POST", send, "localhost:8080", nil, true},
		"an IPv4 loopback":            {"POST", send, "127.0.0.1:8080", nil, true},
		"another IPv4 loopback":       {"POST", send, "127.9.9.9", nil, true},
		"an IPv6 loopback":            {"POST", send, "[::1]:8080", nil, true},
		"an IPv6 loopback, no port":   {"POST", send, "[::1]", nil, true},
		"a mapped loopback":           {"POST", send, "[::ffff:127.0.0.1]:80", nil, true},
		"upper case":                  {"POST", send, "LocalHost:8080", nil, true},
		"a name below localhost":      {"POST", send, "app.localhost.", nil, true},
		"no host":                     {"POST", send, "", nil, true},
		"the listener's address":      {"POST", send, "192.0.2.7:8080", nil, true},
		"a name that was allowed":     {"POST", send, "jetfn.test:9", nil, true},
		"another address":             {"POST", send, "192.0.2.8:8080", nil, false},
		"a rebound name":              {"POST", send, "evil.example:8080", nil, false},
		"a name like localhost":       {"POST", send, "localhost.evil.example", nil, false},
		"another name like localhost": {"POST", send, "evillocalhost", nil, false},
		"a rebound read":              {"GET", state, "evil.example:8080", nil, false},
		"a rebound page":              {"GET", "/", "evil.example:8080", nil, false},
		"a rebound probe":             {"GET", "/readyz", "evil.example:8080", nil, true},
		"our own page":                {"POST", send, "localhost:8080", []string{"Origin", "http://localhost:8080"}, true},
		"our own page, port 80":       {"POST", send, "localhost", []string{"Origin", "http://localhost:80"}, true},
		"our own page behind TLS":     {"POST", send, "jetfn.test", []string{"Origin", "https://jetfn.test"}, true},
		"a foreign page":              {"POST", send, "localhost:8080", []string{"Origin", "https://evil.example"}, false},
		"a foreign page reads":        {"GET", state, "localhost:8080", []string{"Origin", "https://evil.example"}, false},
		"a local page, another port":  {"POST", send, "localhost:8080", []string{"Origin", "http://localhost:3000"}, false},
		"a local page, another name":  {"POST", send, "localhost:8080", []string{"Origin", "http://127.0.0.1:8080"}, false},
		"a file":                      {"POST", send, "localhost:8080", []string{"Origin", "null"}, false},
		"an empty origin":             {"POST", send, "localhost:8080", []string{"Origin", ""}, false},
		"an odd scheme":               {"POST", send, "localhost:8080", []string{"Origin", "chrome-extension://localhost:8080"}, false},
		"two origins":                 {"POST", send, "localhost:8080", []string{"Origin", "http://localhost:8080", "Origin", "https://evil.example"}, false},
		"a foreign form":              {"POST", send, "localhost:8080", []string{"Sec-Fetch-Site", "cross-site"}, false},
		"a form of another port":      {"POST", send, "localhost:8080", []string{"Sec-Fetch-Site", "same-site"}, false},
		"our own form":                {"POST", send, "localhost:8080", []string{"Sec-Fetch-Site", "same-origin"}, true},
		"a link to the page":          {"GET", "/", "localhost:8080", []string{"Sec-Fetch-Site", "cross-site"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := false
			app := &fakeApp{
				send: func(context.Context, gateway.Message) (gateway.Receipt, error) {
					stored = true
					return gateway.Receipt{}, nil
				},
				state: func(context.Context, actor.Address) (actor.StateView, error) {
					return actor.StateView{State: actor.State{{Name: "seen", Value: hello}}}, nil
				},
			}
			h := gateway.NewAPI(gateway.APIConfig{Sender: app, States: app, Functions: app, Readiness: app, Access: gateway.Access{Hosts: []string{"JETFN.test"}}})
			r := request(c.method, c.target, "x", c.headers...)
			r.Host = c.host
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 8080}))
			w := serve(h, r)
			if !c.ok {
				wantProblem(t, w, http.StatusForbidden, "forbidden", false)
				if stored {
					t.Error("the message was stored")
				}
				return
			}
			if w.Code >= 300 {
				t.Errorf("the answer is %d %s, want 2xx", w.Code, w.Body)
			}
		})
	}
}

func TestAStarAllowsAllHostsButNotAllOrigins(t *testing.T) {
	t.Parallel()
	app := &fakeApp{}
	h := gateway.NewAPI(gateway.APIConfig{Sender: app, States: app, Functions: app, Readiness: app, Access: gateway.Access{Hosts: []string{"*"}}})
	r := request("POST", "/v1/send/example/greeter/Bob", "x")
	r.Host = "anything.example"
	if w := serve(h, r); w.Code != http.StatusAccepted {
		t.Errorf("the answer is %d, want 202", w.Code)
	}
	r = request("POST", "/v1/send/example/greeter/Bob", "x", "Origin", "http://evil.example")
	r.Host = "anything.example"
	wantProblem(t, serve(h, r), http.StatusForbidden, "forbidden", false)
}
