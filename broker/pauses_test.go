package broker_test

import (
	"context"
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
)

// pauses is an App's as the suite wants it.
type pauses struct {
	actor.PauseStore
	app *broker.App
}

func (p pauses) SetPaused(t *testing.T, k actor.PauseKey, paused bool) actor.PauseNews {
	t.Helper()
	got, err := p.app.SetPaused(t.Context(), k, paused)
	if err != nil {
		t.Fatal(err)
	}
	return got.PauseNews
}

func (p pauses) Paused(t *testing.T) (out []actortest.Paused) {
	t.Helper()
	list, err := p.app.Paused(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		if one.Paused && one.At == 0 {
			t.Errorf("%+v has no time", one)
		}
		got := actortest.Paused{PauseNews: one.PauseNews}
		if one.Cause != nil {
			got.Cause = *one.Cause
		}
		out = append(out, got)
	}
	return out
}

func TestPausesPassTheSuite(t *testing.T) {
	t.Parallel()
	actortest.TestPauseStore(t, func(t *testing.T) actortest.PauseStore {
		t.Helper()
		app := open(t)
		return pauses{app.Ports(3).Pauses, app}
	})
}

func TestAWatcherHearsOfEveryPauseAndResumption(t *testing.T) {
	t.Parallel()
	app := open(t)
	k := actor.PauseAddress(actor.Address{Type: actor.TypeName{Namespace: "a", Name: "b"}, ID: "c/d"})
	before, err := app.SetPaused(t.Context(), k, true)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan actor.PauseNews, 10)
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { ended <- app.WatchPaused(ctx, func(p broker.Pause) { heard <- p.PauseNews }) }()
	if got := <-heard; got != before.PauseNews {
		t.Errorf("the first news are %+v, want %+v", got, before.PauseNews)
	}
	after, err := app.SetPaused(t.Context(), k, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != after.PauseNews || got.Paused {
		t.Errorf("the next news are %+v, want %+v", got, after.PauseNews)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("WatchPaused = %v, want nil at its context's end", err)
	}
}
