package main

import (
	"testing"
	"time"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func TestWhoAskedIsToldTheDecision(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then func(app *sdktest.App)
		want string
	}{
		"approved": {func(app *sdktest.App) {
			app.Advance(time.Hour)
			app.Restart()
			app.Send("approval/request", "7", decisionType().Of(Decision{"bob", true}))
			app.Send("approval/request", "7", decisionType().Of(Decision{"eve", false}))
		}, "chair: approved by bob"},
		"refused": {func(app *sdktest.App) {
			app.Send("approval/request", "7", decisionType().Of(Decision{"bob", false}))
		}, "chair: refused by bob"},
		"nobody": {func(*sdktest.App) {}, "chair: nobody has decided"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			functions, err := Functions()
			if err != nil {
				t.Fatal(err)
			}
			app := sdktest.New(t, functions)
			app.SendFrom("test/asker", "ann", "approval/request", "7", requestType().Of(Request{"chair"}))
			c.then(app)
			app.Advance(2 * patience)
			told := app.Sent("test/asker", "ann")
			if len(told) != 1 {
				t.Fatalf("the asker was told %d times", len(told))
			}
			if got, err := sdk.String().From(told[0].Value); err != nil || got != c.want {
				t.Errorf("the asker was told %q, %v; want %q", got, err, c.want)
			}
		})
	}
}
