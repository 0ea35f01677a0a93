package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

const (
	ingressToken = "ingress-0123456789"
	readToken    = "read-0123456789abc"
	adminToken   = "admin-0123456789ab"
	bothToken    = "both-0123456789abc"
	tokenFile    = "# tokens\n\ningress: " + ingressToken + "\nread:" + readToken + "\n admin :  " + adminToken + " \r\ningress: " + bothToken + "\nread: " + bothToken
)

// tokens are those of text.
func tokens(tb testing.TB, text string) func() *gateway.Tokens {
	tb.Helper()
	parsed, err := gateway.ParseTokens(text)
	if err != nil {
		tb.Fatal(err)
	}
	return func() *gateway.Tokens { return parsed }
}

func TestEveryRouteWantsATokenWithItsRole(t *testing.T) {
	t.Parallel()
	app := &fakeApp{state: func(context.Context, actor.Address) (actor.StateView, error) {
		return actor.StateView{State: actor.State{{Name: "seen", Value: hello}}}, nil
	}}
	h := gateway.NewAPI(gateway.APIConfig{
		Sender: app, States: app, Functions: app, Readiness: app,
		Metrics: http.NotFoundHandler(), Access: gateway.Access{Tokens: tokens(t, tokenFile)},
	})
	const send, state = "POST /v1/send/example/greeter/Bob", "GET /v1/state/example/greeter/Bob"
	for name, c := range map[string]struct {
		request, authorization string
		status                 int
	}{
		"nothing sends":                   {send, "", 401},
		"ingress sends":                   {send, "Bearer " + ingressToken, 202},
		"both send":                       {send, "Bearer " + bothToken, 202},
		"an admin sends":                  {send, "Bearer " + adminToken, 202},
		"a reader sends":                  {send, "Bearer " + readToken, 403},
		"nothing reads":                   {state, "", 401},
		"ingress reads":                   {state, "Bearer " + ingressToken, 403},
		"a reader reads":                  {state, "Bearer " + readToken, 200},
		"both read":                       {state, "Bearer " + bothToken, 200},
		"an admin reads":                  {state, "Bearer " + adminToken, 200},
		"the scheme in another case":      {state, "bearer " + readToken, 200},
		"another scheme":                  {state, "Basic " + readToken, 401},
		"no scheme":                       {state, readToken, 401},
		"an empty token":                  {state, "Bearer ", 401},
		"a wrong token":                   {state, "Bearer " + readToken + "x", 401},
		"a beginning of a token":          {state, "Bearer " + readToken[:len(readToken)-1], 401},
		"the list of functions":           {"GET /v1/functions", "", 401},
		"metrics for nobody":              {"GET /metrics", "", 401},
		"metrics for a reader":            {"GET /metrics", "Bearer " + readToken, 404},
		"the page is public":              {"GET /", "", 200},
		"liveness is public":              {"GET /healthz", "", 200},
		"readiness is public":             {"GET /readyz", "Bearer wrong", 200},
		"HEAD needs what GET needs":       {"HEAD /v1/functions", "", 401},
		"another method is not a way in":  {"PUT /v1/send/example/greeter/Bob", "", 405},
		"an unknown path tells no secret": {"GET /v1/secrets", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, target, _ := strings.Cut(c.request, " ")
			r := request(method, target, "x")
			if c.authorization != "" {
				r.Header.Set("Authorization", c.authorization)
			}
			w := serve(h, r)
			if w.Code != c.status {
				t.Fatalf("%s with %q = %d %s, want %d", c.request, c.authorization, w.Code, w.Body, c.status)
			}
			switch challenge := w.Header().Get("WWW-Authenticate"); c.status {
			case 401:
				wantProblem(t, w, 401, "unauthorized", false)
				if !strings.HasPrefix(challenge, "Bearer realm=") {
					t.Errorf("%s with %q: WWW-Authenticate is %q", c.request, c.authorization, challenge)
				}
			case 403:
				wantProblem(t, w, 403, "forbidden", false)
				if !strings.Contains(challenge, "insufficient_scope") {
					t.Errorf("%s with %q: WWW-Authenticate is %q", c.request, c.authorization, challenge)
				}
			}
			if _, token, _ := strings.Cut(c.authorization, " "); len(token) > 8 && strings.Contains(w.Body.String(), token) {
				t.Errorf("the answer %s quotes the token", w.Body)
			}
		})
	}
}

func TestTwoAuthorizationHeadersAreNone(t *testing.T) {
	t.Parallel()
	app := &fakeApp{}
	h := gateway.NewAPI(gateway.APIConfig{Sender: app, States: app, Functions: app, Readiness: app, Access: gateway.Access{Tokens: tokens(t, tokenFile)}})
	for _, headers := range [][]string{{"Bearer wrong", "Bearer " + adminToken}, {"Bearer " + adminToken, "Bearer wrong"}} {
		r := request("GET", "/v1/functions", "", "Authorization", headers[0], "Authorization", headers[1])
		wantProblem(t, serve(h, r), 401, "unauthorized", false)
	}
}

func TestThePlaygroundWantsATokenForIngress(t *testing.T) {
	t.Parallel()
	app, q := &fakeApp{}, queue{"greetings": {"one", "two", "three"}}
	access := gateway.Access{Tokens: tokens(t, tokenFile)}
	in := gateway.NewPlaygroundIngress(app, app, access)
	out := gateway.NewPlaygroundEgress(q, []string{"greetings"}, access)
	for token, want := range map[string][2]int{
		"": {401, 401}, "wrong": {401, 401}, readToken: {403, 403}, ingressToken: {200, 200}, adminToken: {200, 200},
	} {
		headers := []string{}
		if token != "" {
			headers = []string{"Authorization", "Bearer " + token}
		}
		got := [2]int{
			serve(in, request("PUT", "/example/greeter/Bob", "x", headers...)).Code,
			serve(out, request("GET", "/greetings", "", headers...)).Code,
		}
		if got != want {
			t.Errorf("with the token %q the playground's ports answer %v, want %v", token, got, want)
		}
	}
	if left := len(q["greetings"]); left != 1 {
		t.Errorf("%d of 3 records are left, want those of the two who may gone", left)
	}
}

func TestATokenFileThatMakesNoSenseIsRefusedWithoutBeingQuoted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "there are no tokens",
		"# nothing\n":                      "there are no tokens",
		"secretsecretsecretsecret":         "line 1: must be of the form role: token",
		"read: secretsecretsecret\nx":      "line 2: must be",
		"root: secretsecretsecret":         "line 1: must be",
		"public: secretsecretsecret":       "line 1: must be",
		"read: secret":                     "6 characters, 16 are the least",
		"read: secretsecret secretsecret":  "letters, digits and -._~+/= only",
		"read: secretsecretsecret, admin:": "letters, digits",
		"read: ====================":       "letters, digits",
		"admin: secretsecretsecre\u00fc":   "letters, digits",
	} {
		_, err := gateway.ParseTokens(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTokens(%q) = %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("ParseTokens(%q) = %v, which quotes it", text, err)
		}
	}
}

func TestTokensDoNotShowThemselves(t *testing.T) {
	t.Parallel()
	if text := fmt.Sprintf("%+v %#v %s", tokens(t, tokenFile)(), tokens(t, tokenFile)(), tokens(t, tokenFile)()); strings.Contains(text, "0123456789") {
		t.Errorf("printed, tokens are %s", text)
	}
}

func TestRefusalsAreLoggedOnceAndTellNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	app := &fakeApp{}
	h := gateway.NewAPI(gateway.APIConfig{
		Sender: app, States: app, Functions: app, Readiness: app, MaxBodyBytes: 3,
		Access: gateway.Access{Tokens: tokens(t, tokenFile), Log: zerolog.New(&log)},
	})
	for range 5 {
		serve(h, request("POST", "/v1/send/example/greeter/private", "payload", "Authorization", "Bearer stolen"))
		serve(h, request("POST", "/v1/send/example/greeter/private", "payload", "Origin", "http://evil.example"))
		serve(h, request("POST", "/v1/send/example/greeter/private", "payload", "Authorization", "Bearer "+adminToken))
		serve(h, request("POST", "/v1/send/example/greeter/%zz", "payload", "Authorization", "Bearer "+adminToken))
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 4 {
		t.Errorf("20 refused requests of 4 kinds made %d lines, want 4:\n%s", len(lines), log.String())
	}
	for _, reason := range []string{"unauthorized", "forbidden", "too-large", "bad-address"} {
		if !strings.Contains(log.String(), `"reason":"`+reason+`"`) {
			t.Errorf("the log says nothing of %s:\n%s", reason, log.String())
		}
	}
	for _, secret := range []string{"payload", "private", "stolen", adminToken, "evil"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log quotes %q:\n%s", secret, log.String())
		}
	}
}

func TestAPanicOfAHandlerIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	app := &fakeApp{known: func(actor.TypeName) bool { panic("broken invariant") }}
	h := gateway.NewAPI(gateway.APIConfig{Sender: app, States: app, Functions: app, Readiness: app, Access: gateway.Access{Log: zerolog.New(&log)}})
	p := wantProblem(t, serve(h, request("POST", "/v1/send/example/greeter/Bob", "x")), 500, "internal", true)
	if strings.Contains(p.Detail, "invariant") {
		t.Errorf("the client is told %q", p.Detail)
	}
	if !strings.Contains(log.String(), "broken invariant") || !strings.Contains(log.String(), "access_test.go") {
		t.Errorf("the log has no cause and stack: %s", log.String())
	}
}

func TestBodiesThatTakeAllTheRoomAreRefusedUntilThereIsSome(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	held, release := make(chan struct{}), make(chan struct{})
	app := &fakeApp{send: func(_ context.Context, m gateway.Message) (gateway.Receipt, error) {
		if m.Target.ID == "first" {
			close(held)
			<-release
		}
		return gateway.Receipt{}, nil
	}}
	h := gateway.NewAPI(gateway.APIConfig{
		Sender: app, States: app, Functions: app, Readiness: app,
		Access: gateway.Access{MaxBodies: 100, Log: zerolog.New(&log)},
	})
	first := make(chan int)
	go func() { first <- serve(h, request("POST", "/v1/send/a/b/first", strings.Repeat("x", 60))).Code }()
	<-held
	w := serve(h, request("POST", "/v1/send/a/b/second", strings.Repeat("x", 60)))
	wantProblem(t, w, 429, "busy", false)
	if w.Header().Get("Retry-After") == "" {
		t.Error("the answer 429 has no Retry-After")
	}
	if w := serve(h, request("POST", "/v1/send/a/b/third", strings.Repeat("x", 40))); w.Code != 202 {
		t.Errorf("a body for which there is room is answered %d, want 202", w.Code)
	}
	close(release)
	if code := <-first; code != 202 {
		t.Errorf("the first request is answered %d, want 202", code)
	}
	if w := serve(h, request("POST", "/v1/send/a/b/second", strings.Repeat("x", 60))); w.Code != 202 {
		t.Errorf("once there is room the answer is %d, want 202", w.Code)
	}
}
