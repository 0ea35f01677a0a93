//go:build e2e

package e2e_test

import (
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
