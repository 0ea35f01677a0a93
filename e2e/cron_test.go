//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

const cronModule = `
kind: io.statefun.endpoints.v2/http
spec: {functions: e2e/*, urlPathTemplate: "%s"}
---
kind: io.jetfn.cron.v1/ingress
spec: {id: e2e/tick, schedule: "@every 2s", targets: [e2e/count/a, e2e/count/b], payload: tick}
---
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/*}
`

func TestTicksOfAScheduleCountOnceAcrossKills(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	a := startApp(t, fmt.Sprintf(cronModule, serve(t, functions{"e2e/count": count})))
	seen := func(id string) uint64 {
		n, err := a.long(t, "e2e/count", id, "seen")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for round := range 3 {
		eventually(t, 60*time.Second, "two more ticks", func() error {
			if n := seen("a"); n < uint64(2*round+2) {
				return fmt.Errorf("%d ticks", n)
			}
			return nil
		})
		a.kill()
		a.restart(t)
	}
	eventually(t, 30*time.Second, "both targets to have the same ticks", func() error {
		if x, y := seen("a"), seen("b"); x != y {
			return fmt.Errorf("%d and %d ticks", x, y)
		}
		return nil
	})
	// Ticks are at whole seconds, so that the first may come early.
	if n, most := seen("a"), uint64(time.Since(begin)/(2*time.Second))+1; n > most {
		t.Errorf("%d ticks within %v, want one in two seconds", n, time.Since(begin))
	}
}

const noonModule = `
kind: io.statefun.endpoints.v2/http
spec: {functions: e2e/*, urlPathTemplate: "%s"}
---
kind: io.jetfn.cron.v1/ingress
spec: {id: e2e/often, schedule: "@every 5s", targets: [e2e/count/often]}
---
kind: io.jetfn.cron.v1/ingress
spec: {id: e2e/yearly, schedule: "@yearly", targets: [e2e/count/yearly]}
---
kind: io.jetfn.nats.v1/egress
spec: {id: e2e/*}
`

func TestACancelledTickIsSkippedAcrossAKillAndItsScheduleGoesOn(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(noonModule, serve(t, functions{"e2e/count": count})))
	type tick struct {
		ID    string    `json:"id"`
		DueAt time.Time `json:"dueAt"`
	}
	next := func(ingress string, after time.Time) (got tick) {
		t.Helper()
		eventually(t, 30*time.Second, "the next tick of "+ingress, func() error {
			r := a.cli(t, "timers", "ls", "--address", "jetfn/cron/"+ingress, "-o", "json")
			var list []tick
			if err := json.Unmarshal([]byte(r.stdout), &list); err != nil {
				return fmt.Errorf("timers ls = %+v: %w", r, err)
			}
			if len(list) != 1 {
				return fmt.Errorf("timers ls = %+v", r)
			}
			if got = list[0]; !got.DueAt.After(after) {
				return fmt.Errorf("it is that of %v", got.DueAt)
			}
			return nil
		})
		return got
	}
	year := next("e2e/yearly", time.Time{})
	if r := a.cli(t, "timers", "cancel", year.ID); r.code != 0 {
		t.Fatalf("timers cancel = %+v", r)
	}
	often := next("e2e/often", time.Now().Add(2*time.Second)) // time enough to cancel it, mostly
	for r := a.cli(t, "timers", "cancel", often.ID); r.code != 0; r = a.cli(t, "timers", "cancel", often.ID) {
		if r.code != 3 || time.Now().Before(often.DueAt) {
			t.Fatalf("timers cancel = %+v", r)
		}
		often = next("e2e/often", time.Now().Add(2*time.Second))
	}
	before, err := a.long(t, "e2e/count", "often", "seen")
	if err != nil {
		t.Fatal(err)
	}
	if r := a.cli(t, "timers", "cancel", year.ID); r.code != 3 {
		t.Errorf("the same again = %+v, want exit code 3", r)
	}
	a.kill()
	a.restart(t)
	behind := next("e2e/often", often.DueAt.Add(time.Second))
	if gap := behind.DueAt.Sub(often.DueAt).Round(time.Second); gap%(5*time.Second) != 0 {
		t.Errorf("the schedule goes on %v later, want at its ticks", gap)
	}
	if n, err := a.long(t, "e2e/count", "often", "seen"); err != nil || n != before && time.Now().Before(behind.DueAt) {
		t.Errorf("%d ticks before the one behind, %v, want %d as before the cancelled one", n, err, before)
	}
	eventually(t, 30*time.Second, "another tick", func() error {
		n, err := a.long(t, "e2e/count", "often", "seen")
		if err == nil && n <= before {
			err = fmt.Errorf("%d ticks", n)
		}
		return err
	})
	if got := next("e2e/yearly", year.DueAt.AddDate(0, 6, 0)); got.DueAt.Round(time.Minute) != year.DueAt.Round(time.Minute).AddDate(1, 0, 0) {
		t.Errorf("the yearly tick behind that of %v is that of %v", year.DueAt, got.DueAt)
	}
}
