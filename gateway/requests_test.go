package gateway_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/jetfn/jetfn/gateway"
)

func TestRequestsBeyondTheLimitAreToldToComeAgain(t *testing.T) {
	t.Parallel()
	held, release := make(chan struct{}), make(chan struct{})
	app := &fakeApp{send: func(context.Context, gateway.Message) (gateway.Receipt, error) {
		close(held)
		<-release
		return gateway.Receipt{}, nil
	}}
	h := gateway.NewAPI(gateway.APIConfig{Sender: app, States: app, Functions: app, Readiness: app, MaxRequests: 1})
	first := make(chan int)
	go func() { first <- serve(h, request(http.MethodPost, "/v1/send/example/greeter/Bob", "x")).Code }()
	<-held
	w := serve(h, request(http.MethodGet, "/v1/functions", ""))
	wantProblem(t, w, http.StatusTooManyRequests, "busy", false)
	if w.Header().Get("Retry-After") == "" {
		t.Error("the answer has no Retry-After")
	}
	if w := serve(h, request(http.MethodGet, "/healthz", "")); w.Code != http.StatusOK {
		t.Errorf("a probe is answered %d, want 200", w.Code)
	}
	close(release)
	if code := <-first; code != http.StatusAccepted {
		t.Errorf("the first request is answered %d, want 202", code)
	}
	if w := serve(h, request(http.MethodGet, "/v1/functions", "")); w.Code != http.StatusOK {
		t.Errorf("a request after it is answered %d, want 200", w.Code)
	}
}
