package main

import (
	"testing"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestWhatWasLearntIsFoundAgainAfterARestart(t *testing.T) {
	t.Parallel()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	app := sdktest.New(t, functions)
	tell := func(f Fact) string {
		t.Helper()
		reply, ok := app.Call("example/profile", "ann", factType().Of(f))
		before, err := sdk.String().From(reply)
		if !ok || err != nil {
			t.Fatalf("reply %+v, %v", reply, err)
		}
		return before
	}
	blue, red := "blue", "red"
	tell(Fact{"colour", &blue})
	app.Restart()
	if got := tell(Fact{"colour", &red}); got != "blue" {
		t.Errorf("the colour was %q, want blue", got)
	}
	if got := tell(Fact{"pet", nil}); got != "" {
		t.Errorf("the pet was %q, want none", got)
	}
	if got := tell(Fact{"colour", nil}); got != "red" {
		t.Errorf("the colour is %q, want red", got)
	}
}
