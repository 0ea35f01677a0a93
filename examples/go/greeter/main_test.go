package main

import (
	"testing"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestTheGreeterRemembersEachVisitor(t *testing.T) {
	t.Parallel()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	app := sdktest.New(t, functions)
	for _, c := range []struct{ who, want string }{
		{"Ann", "Hello Ann, visit 1"}, {"Bob", "Hello Bob, visit 1"}, {"Ann", "Hello Ann, visit 2"},
	} {
		reply, ok := app.Call("example/greeter", c.who, sdk.String().Of("hello"))
		if got, err := sdk.String().From(reply); !ok || err != nil || got != c.want {
			t.Errorf("%s was told %q, %v; want %q", c.who, got, err, c.want)
		}
	}
}
