package cron_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/internal/cron"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type catalog map[actor.TypeName]actor.Function

func (c catalog) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	f, ok := c[t]
	return actor.FunctionSpec{Function: f}, ok
}

type function func(b *actor.Batch)

func (f function) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	f(b)
	return &actor.Effects{}, nil
}

// world is one partition with an ingress and a function that notes when its
// messages come.
type world struct {
	memory *actortest.Memory
	in     *cron.Ingress
	ticks  []string
}

// run lets the partition live for d, with the worker's message at its start,
// and ends it as a crash would.
func (w *world) run(t *testing.T, d time.Duration) {
	t.Helper()
	w.runWith(t, func(*actor.Processor) { time.Sleep(d) })
}

// runWith lets it live until an operator is done.
func (w *world) runWith(t *testing.T, operate func(*actor.Processor)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	target := w.in.Targets[0]
	p := actor.NewProcessor(actor.Config{Partitions: 1}, w.memory.Ports(0), catalog{
		cron.Type(): &cron.Function{Ingresses: func(id string) (cron.Ingress, bool) { return *w.in, id == w.in.ID.String() }},
		target.Type: function(func(*actor.Batch) { w.ticks = append(w.ticks, time.Now().UTC().Format("15:04:05")) }),
	}, actor.NewCalls(0), zerolog.Nop())
	var all sync.WaitGroup
	all.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	<-p.Opened()
	from := p.Position(actor.SourceMailbox)
	all.Go(func() {
		_ = w.memory.Feed(ctx, actor.SourceMailbox, from, func(ctx context.Context, _ int, d actor.Delivery) error { return p.Deliver(ctx, d) })
	})
	w.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{Target: w.in.Address(), Value: cron.Wake()}})
	operate(p)
	cancel()
	all.Wait()
}

func ingress(t *testing.T, schedule string) *cron.Ingress {
	t.Helper()
	s, err := cron.Parse(schedule)
	if err != nil {
		t.Fatal(err)
	}
	return &cron.Ingress{
		ID: actor.TypeName{Namespace: "test", Name: "tick"}, Schedule: s,
		Targets: []actor.Address{{Type: actor.TypeName{Namespace: "test", Name: "f"}, ID: "a"}},
		Value:   actor.Value{Type: actor.StringType},
	}
}

func (w *world) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, w.ticks); diff != "" {
		t.Errorf("ticks (-want +got):\n%s", diff)
	}
	w.ticks = nil
}

func TestEachTickCountsOnceAcrossCrashes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		w := &world{memory: actortest.NewMemory(), in: ingress(t, "*/15 * * * *")}
		w.run(t, 20*time.Minute)
		w.run(t, 20*time.Minute)
		w.run(t, 21*time.Minute)
		w.want(t, "00:15:00", "00:30:00", "00:45:00", "01:00:00")
	})
}

func TestTheNewestMissedTickRunsOnceOrNever(t *testing.T) {
	t.Parallel()
	for missed, want := range map[cron.Missed][]string{
		cron.MissedLatest: {"00:10:00", "01:05:00", "01:10:00"},
		cron.MissedSkip:   {"00:10:00", "01:10:00"},
	} {
		t.Run(fmt.Sprint(missed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &world{memory: actortest.NewMemory(), in: ingress(t, "*/10 * * * *")}
				w.in.Missed = missed
				w.run(t, 15*time.Minute)
				time.Sleep(50 * time.Minute)
				w.run(t, 10*time.Minute)
				w.want(t, want...)
			})
		})
	}
}

func TestASkippedTickIsLeftOutOnceAndForGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		w := &world{memory: actortest.NewMemory(), in: ingress(t, "*/15 * * * *")}
		begin := time.Now()
		skip := func(p *actor.Processor, due time.Duration) error {
			_, err := p.Edit(t.Context(), w.in.Address(), w.in.Skip(begin.Add(due).UnixMilli()))
			return err
		}
		w.runWith(t, func(p *actor.Processor) {
			time.Sleep(20 * time.Minute) // 00:15 was sent
			if err := skip(p, 15*time.Minute); !errors.Is(err, actor.ErrNotFound) {
				t.Errorf("skipping a tick that was sent: %v, want %v", err, actor.ErrNotFound)
			}
			if err := skip(p, 30*time.Minute); err != nil {
				t.Error(err)
			}
			if err := skip(p, 30*time.Minute); !errors.Is(err, actor.ErrNotFound) {
				t.Errorf("skipping a tick again: %v, want %v", err, actor.ErrNotFound)
			}
		})
		w.run(t, 41*time.Minute)
		w.want(t, "00:15:00", "00:45:00", "01:00:00")
	})
}

func TestSkippingALateTickLeavesOutAllThatWouldHaveBeenOne(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[string]string{"*/15 * * * *": "02:00:00", "@every 15m": "02:05:00"} {
		t.Run(schedule, func(t *testing.T) {
			t.Parallel()
			w := &world{in: ingress(t, schedule)}
			begin := time.Date(2000, 1, 1, 1, 5, 0, 0, time.UTC)
			state := actor.Value{Type: "jetfn/tick", Data: fmt.Appendf(nil, `{"schedule":%q,"next":%d}`, schedule, begin.UnixMilli())}
			view := actor.StateView{State: actor.State{{Name: "tick", Value: state}}}
			change, err := w.in.Skip(begin.UnixMilli())(view, begin.Add(50*time.Minute+7*time.Second).UnixMilli())
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Next int64 }
			if err := json.Unmarshal(change.Mutations[0].Value.Data, &got); err != nil {
				t.Fatal(err)
			}
			if text := time.UnixMilli(got.Next).UTC().Format("15:04:05"); text != want {
				t.Errorf("the next tick is at %s, want %s", text, want)
			}
		})
	}
}

func TestAChangedScheduleBeginsAnewAndARemovedOneEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{memory: actortest.NewMemory(), in: ingress(t, "@every 10m")}
		w.run(t, 25*time.Minute)
		w.want(t, "00:10:00", "00:20:00")
		w.in.Schedule = ingress(t, "CRON_TZ=Europe/Berlin 0 2 * * *").Schedule // 01:00 UTC in January
		w.run(t, time.Hour)
		w.want(t, "01:00:00")
		address := w.in.Address()
		w.in.ID.Name = "other"
		w.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{Target: address, Value: cron.Wake()}})
		w.run(t, time.Hour)
		if timers, err := actortest.Timers(t.Context(), w.memory.Ports(0).Timers); err != nil || len(timers) != 1 {
			t.Errorf("%d timers are left, %v, want that of the other ingress", len(timers), err)
		}
	})
}

func TestSchedulesThatCanNotBeAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "* * * *", "61 * * * *", "@every soon", "@every 0s", "@every 1500ms", "CRON_TZ=Nowhere/Land * * * * *", "0 0 30 2 *", "@never"} {
		if s, err := cron.Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", bad, s)
		}
	}
	for _, good := range []string{"*/5 8-18 * * MON-FRI", "@daily", "@every 90s", "CRON_TZ=America/New_York 30 9 * * *"} {
		if _, err := cron.Parse(good); err != nil {
			t.Errorf("Parse(%q) = %v", good, err)
		}
	}
}
