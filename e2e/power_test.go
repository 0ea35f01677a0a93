//go:build e2e && linux

package e2e_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// powerSetting is a variable of `make power`, or what the suite has.
func powerSetting(t *testing.T, name string, fallback uint64) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv(name), strconv.FormatUint(fallback, 10)), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// powerMode is what a mode of --sync needs and promises.
type powerMode struct {
	mount string // options of the file system
}

// powerModes are the modes. With always, renames are left to those who do
// them: other file systems than ext4 don't sync a file that is renamed over
// another one, either.
func powerModes() map[string]powerMode {
	return map[string]powerMode{
		"always":   {mount: "noauto_da_alloc"},
		"group":    {mount: "auto_da_alloc"},
		"interval": {mount: "auto_da_alloc"},
	}
}

// powerTest is a machine whose power fails again and again.
type powerTest struct {
	mode powerMode
	disk *powerDisk
	a    *app
	dice *rand.Rand
	load *powerLoad
	seed uint64
}

func startPowerTest(t *testing.T, sync string) *powerTest {
	t.Helper()
	mode, ok := powerModes()[sync]
	if !ok {
		t.Fatalf("no test for --sync %s", sync)
	}
	seed := powerSetting(t, "JETFN_POWER_SEED", uint64(time.Now().UnixNano()))
	t.Logf("seed %d, --sync %s", seed, sync)
	p := &powerTest{mode: mode, disk: newPowerDisk(t, mode.mount), dice: rand.New(rand.NewPCG(seed, 1)), seed: seed}
	p.a = newApp(t, fmt.Sprintf(powerModule, serve(t, powerFunctions())), withData(p.disk.dir+"/data"), withArgs("--sync", sync))
	return p
}

// fail lets the power fail within limit.
func (p *powerTest) fail(t *testing.T, limit time.Duration, when string) {
	t.Helper()
	moment := time.Duration(p.dice.Int64N(int64(limit)))
	time.Sleep(moment)
	p.disk.fail(t, p.a.process)
	t.Logf("power failure %d, %v after %s", p.disk.failures, moment.Round(time.Millisecond), when)
}

// failWhileStarting lets it fail before jetfn is ready, or soon after.
func (p *powerTest) failWhileStarting(t *testing.T) {
	t.Helper()
	p.a.launch(t)
	p.fail(t, 1500*time.Millisecond, "a start")
}

// verify starts jetfn on what is left and waits until everything is as it was
// promised to be.
func (p *powerTest) verify(t *testing.T) {
	t.Helper()
	began := time.Now()
	p.load.hold()
	defer p.load.resume()
	var audit *powerAudit
	eventually(t, 3*time.Minute, "all that was acknowledged, once", func() (err error) {
		audit, err = p.load.audit()
		return err
	})
	p.load.again(100)
	t.Logf("after %v %d messages took effect, %d sent, %d of unknown fate, %d repeated", time.Since(began).Round(time.Millisecond), len(audit.came), len(p.load.order), audit.unknown, p.load.repeated)
	if dead := deadLetters(t, p.load.js); len(dead) > 0 {
		t.Fatalf("%d dead letters, the first %+v", len(dead), dead[0])
	}
}

func TestAPowerFailureLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	sync := cmp.Or(os.Getenv("JETFN_POWER_SYNC"), "always")
	if sync == "interval" {
		t.Skip("it may lose the last second")
	}
	p := startPowerTest(t, sync)
	failures := int(powerSetting(t, "JETFN_POWER_FAILURES", 4))
	p.failWhileStarting(t) // when there is nothing yet
	p.a.launch(t)
	p.load = startPowerLoad(t, p.a, "w", p.seed)
	p.a.waitReady(t)
	for p.disk.failures < failures {
		p.fail(t, 4*time.Second, "the load went on")
		for range p.dice.IntN(3) {
			p.failWhileStarting(t)
		}
		began := time.Now()
		p.a.restart(t)
		t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
		p.verify(t)
	}
	p.load.hold()
	time.Sleep(powerDelay + overdue) // until the last delayed message is due
	p.load.resume()
	p.verify(t)
}
