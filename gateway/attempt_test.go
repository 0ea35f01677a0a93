package gateway_test

import (
	"net/http"
	"testing"

	"github.com/jetfn/jetfn/gateway"
)

func TestAFunctionIsToldTheAttempt(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	s := functionServer(t, func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("Jetfn-Attempt")
		noEffects(w, r)
	})
	e := endpointAt(t, s.URL, gateway.Transport{})
	b := oneHello()
	b.Attempt = 3
	if _, err := e.Function(greeter).Invoke(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != "3" {
		t.Errorf("the third attempt says Jetfn-Attempt %q, want 3", got)
	}
}
