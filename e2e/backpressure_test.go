//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// overload is for how long the producer is too fast: JETFN_E2E_OVERLOAD, or
// ten seconds.
func overload(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("JETFN_E2E_OVERLOAD")
	if text == "" {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("JETFN_E2E_OVERLOAD: %v", err)
	}
	return d
}

// residentBytes is the process' memory.
func (a *app) residentBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] == "VmRSS:" {
			n, _ := strconv.Atoi(f[1])
			return n << 10
		}
	}
	t.Fatal("no VmRSS in /proc")
	return 0
}

// The slow function takes 50 messages a second, of which it gets 500.
const (
	slowRate   = 500
	slowKeys   = 20
	slowModule = `
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: slow/f
  urlPathTemplate: %s
  maxNumBatchRequests: 20
  maxConcurrentRequests: 1
`
)

// produce publishes to the slow function until the time is over, and returns
// the number of messages for each key.
func produce(t *testing.T, js jetstream.JetStream, d time.Duration) int {
	t.Helper()
	tick := time.NewTicker(time.Second / slowRate * slowKeys)
	defer tick.Stop()
	each := 0
	for end := time.Now().Add(d); time.Now().Before(end); each++ {
		for key := range slowKeys {
			if _, err := js.PublishAsync(fmt.Sprintf("t.fn.slow.f.slow-%d", key), []byte(strconv.Itoa(each)), jetstream.WithStallWait(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		<-tick.C
	}
	return each
}

func TestAProducerTenTimesTooFastHurtsNobodyElseAndLosesNothing(t *testing.T) {
	t.Parallel()
	var pause atomic.Int64
	pause.Store(int64(400 * time.Millisecond))
	slow := functions{"slow/f": func(b batch) (e effects, err error) {
		if len(b.invocations) > 20 {
			return e, fmt.Errorf("a batch of %d", len(b.invocations))
		}
		time.Sleep(time.Duration(pause.Load())) // it is slow
		for _, inv := range b.invocations {
			e.egress = append(e.egress, keyed("e2e", "counts", b.target.id, []byte(inv.value.text())))
		}
		return e, nil
	}}
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline()))+fmt.Sprintf(slowModule, serve(t, slow)))
	_, js := a.connect(t)
	alone := healthyLoad(t, js, "alone", 0)
	before := a.residentBytes(t)
	done := make(chan int, 1)
	go func() { done <- produce(t, js, overload(t)) }()
	beside := time.Duration(0)
	rounds := time.NewTicker(overload(t) / 10) // each reads all there is
	defer rounds.Stop()
	for round := 1; len(done) == 0; round++ {
		<-rounds.C
		beside = max(beside, besideSlow(t, js, fmt.Sprintf("beside%d", round)))
	}
	each := <-done
	grown := a.residentBytes(t) - before
	t.Logf("%d messages at ten times the function's rate: others took %v at most, alone %v; memory grew by %d KiB", each*slowKeys, beside, alone, grown>>10)
	// The machine is shared with other tests.
	if beside > 3*alone+2*time.Second {
		t.Errorf("beside a function with a backlog %d messages took %v, alone %v", healthyMessages, beside, alone)
	}
	if most := 96<<20 + 200*each*slowKeys; grown > most {
		t.Errorf("memory grew by %d bytes for %d messages, want at most %d", grown, each*slowKeys, most)
	}
	pause.Store(0)
	drained(t, js, each)
}

// besideSlow is healthyLoad while the slow function emits, too.
func besideSlow(t *testing.T, js jetstream.JetStream, name string) time.Duration {
	t.Helper()
	start := time.Now()
	for i := range healthyMessages {
		id := fmt.Sprintf("%s-%d", name, i%100)
		if _, err := js.PublishAsync("t.fn.e2e.forward."+id, []byte(id+"-to x"), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 60*time.Second, "the healthy function", func() error {
		byKey, _, err := emitted(t.Context(), js)
		n := 0
		for key, list := range byKey {
			if strings.HasPrefix(key, name+"-") {
				n += len(list)
			}
		}
		if err == nil && n < healthyMessages {
			err = fmt.Errorf("%d of %d", n, healthyMessages)
		}
		return err
	})
	return time.Since(start)
}

// drained waits until all messages of the slow function have come out, and
// wants each once and in order.
func drained(t *testing.T, js jetstream.JetStream, each int) {
	t.Helper()
	var byKey map[string][]string
	eventually(t, 5*time.Minute, "the backlog to drain", func() (err error) {
		n := 0
		byKey, _, err = emitted(t.Context(), js)
		for key := range slowKeys {
			n += len(byKey[fmt.Sprintf("slow-%d", key)])
		}
		if err == nil && n < each*slowKeys {
			err = fmt.Errorf("%d of %d messages", n, each*slowKeys)
		}
		return err
	})
	want := make([]string, each)
	for i := range want {
		want[i] = strconv.Itoa(i)
	}
	for key := range slowKeys {
		if got := byKey[fmt.Sprintf("slow-%d", key)]; !slices.Equal(got, want) {
			t.Errorf("slow-%d emitted %d messages, not 0 to %d in order", key, len(got), each-1)
		}
	}
	if d := deadLetters(t, js); len(d) > 0 {
		t.Errorf("%d dead letters, the first %+v; want none", len(d), d[0])
	}
}
