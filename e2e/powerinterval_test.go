//go:build e2e && linux

package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// With --sync interval what was acknowledged may be lost, but what is left has
// to fit together: jetfn starts, what was not lost counts once, and from then
// on everything does. A failure in the middle of a sync may still break that,
// so this isn't one of the tests that every change has to pass.
func TestAPowerFailureWithSyncIntervalTakesEverythingBackToOneMoment(t *testing.T) {
	t.Parallel()
	if os.Getenv("JETFN_POWER_SYNC") != "interval" {
		t.Skip("run by make power SYNC=interval")
	}
	p := startPowerTest(t, "interval")
	p.a.launch(t)
	p.a.waitReady(t)
	for failures := int(powerSetting(t, "JETFN_POWER_FAILURES", 4)); p.disk.failures < failures; {
		before := startPowerLoad(t, p.a, fmt.Sprintf("before%d", p.disk.failures), p.dice.Uint64())
		time.Sleep(1500 * time.Millisecond) // for there to be something that is kept
		p.fail(t, 3*time.Second, "more than a second of load")
		p.a.restart(t)
		before.hold()
		p.settled(t, before)
		before.end()

		after := startPowerLoad(t, p.a, fmt.Sprintf("after%d", p.disk.failures), p.dice.Uint64())
		time.Sleep(2 * time.Second)
		after.hold()
		eventually(t, 60*time.Second, "all that came after the failure, once", func() error {
			_, err := after.audit()
			return err
		})
		after.end()
	}
}

// settled waits until the state of each address is what its records at the
// egress say, and none came twice.
func (p *powerTest) settled(t *testing.T, l *powerLoad) {
	t.Helper()
	var audit *powerAudit
	eventually(t, 60*time.Second, "what is left to fit together", func() (err error) {
		audit, err = l.audit()
		if audit == nil {
			return err
		}
		return errors.Join(audit.errs...)
	})
	t.Logf("%d messages sent, %d took effect, %d that were acknowledged are lost", len(l.order), len(audit.came), len(audit.losses))
}
