package main

import (
	"testing"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestTheLimitIsForgottenAfterAMinuteOfRest(t *testing.T) {
	t.Parallel()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	app := sdktest.New(t, functions)
	allowed := func() bool {
		t.Helper()
		reply, ok := app.Call("example/limit", "ann", sdk.String().Of("login"))
		yes, err := sdk.Bool().From(reply)
		if !ok || err != nil {
			t.Fatalf("reply %+v, %v", reply, err)
		}
		return yes
	}
	for i, want := range []bool{true, true, true, false, false} {
		if got := allowed(); got != want {
			t.Errorf("call %d: allowed %v, want %v", i+1, got, want)
		}
	}
	app.Advance(window)
	if !allowed() {
		t.Error("a minute later it is still not allowed")
	}
}
