package main

import (
	"context"
	"errors"
	"testing"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestTheResultComesBackToWhoAsked(t *testing.T) {
	t.Parallel()
	functions, err := Functions(func(_ context.Context, url string) (string, error) {
		if url == "bad" {
			return "", errors.New("no such host")
		}
		return "200 OK", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	app := sdktest.New(t, functions)
	last := sdk.NewValue("last", sdk.String())
	for url, want := range map[string]string{"good": "good: 200 OK", "bad": "bad: failure: no such host"} {
		app.Send("example/watch", url, sdk.String().Of(url))
		if got, _ := sdktest.State(app, "example/watch", url, last); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
