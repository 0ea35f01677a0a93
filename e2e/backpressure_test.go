//go:build e2e

package e2e_test

import (
	"context"
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

// overload is for how long the producer is too fast: JETFN_E2E_OVERLOAD, or a
// minute.
func overload(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("JETFN_E2E_OVERLOAD")
	if text == "" {
		return time.Minute
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

// The slow function takes 100 messages a second, of which it gets 1,000. What
// waits takes a megabyte a second, so that it would show if it were in memory.
const (
	slowRate   = 1000
	slowKeys   = 20
	slowSize   = 1000
	slowPause  = 200 * time.Millisecond
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
			text := fmt.Appendf(nil, "%-*d", slowSize, each)
			if _, err := js.PublishAsync(fmt.Sprintf("t.fn.slow.f.slow-%d", key), text, jetstream.WithStallWait(time.Minute)); err != nil {
				t.Error(err)
				return each
			}
		}
		<-tick.C
	}
	return each
}

func TestAProducerTenTimesTooFastHurtsNobodyElseAndLosesNothing(t *testing.T) {
	t.Parallel()
	var pause atomic.Int64
	pause.Store(int64(slowPause))
	slow := functions{"slow/f": func(b batch) (e effects, err error) {
		if len(b.invocations) > 20 {
			return e, fmt.Errorf("a batch of %d", len(b.invocations))
		}
		time.Sleep(time.Duration(pause.Load())) // it is slow
		for _, inv := range b.invocations {
			e.egress = append(e.egress, keyed("e2e", "counts", b.target.id, []byte(strings.TrimSpace(inv.value.text()))))
		}
		return e, nil
	}}
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline()))+fmt.Sprintf(slowModule, serve(t, slow)))
	_, js := a.connect(t)
	alone := besideSlow(t, js, "alone")
	done := make(chan int, 1)
	go func() { done <- produce(t, js, overload(t)) }()
	var times []time.Duration
	var memory []int
	const rounds = 12
	tick := time.NewTicker(overload(t) / rounds)
	defer tick.Stop()
	for round := 1; len(done) == 0; round++ {
		<-tick.C
		times = append(times, besideSlow(t, js, fmt.Sprintf("beside%d", round)))
		memory = append(memory, a.residentBytes(t))
	}
	each := <-done
	t.Logf("%d messages at ten times the function's rate: others took %v, alone %v; memory in MiB: %d", each*slowKeys, times, alone, inMiB(memory))
	// The machine is shared with other tests, which may hold up some rounds; a
	// backlog would hold up more and more of them.
	slices.Sort(times)
	beside := times[len(times)/2]
	if beside > 3*alone+2*time.Second {
		t.Errorf("beside a function with a backlog %d messages took %v, alone %v", healthyMessages, beside, alone)
	}
	flat(t, memory, each*slowKeys/2)
	pause.Store(0)
	drained(t, js, each)
}

func inMiB(bytes []int) []int {
	out := make([]int, len(bytes))
	for i, n := range bytes {
		out[i] = n >> 20
	}
	return out
}

// flat wants memory in the second half to be what it was in the first, but for
// a reference to each message that came to wait, and what the collector and
// the server's caches of blocks leave to chance.
func flat(t *testing.T, memory []int, waiting int) {
	t.Helper()
	const reference = 200
	half := len(memory) / 2
	before, after := slices.Max(memory[:half]), slices.Max(memory[half:])
	if most := before + before/4 + 24<<20 + reference*waiting; after > most {
		t.Errorf("with %d more messages waiting memory grew from %d to %d MiB, want at most %d", waiting, before>>20, after>>20, most>>20)
	}
}

// besideSlow sends messages over 100 addresses of e2e/forward and returns how
// long it takes until all have come out. It reads nothing that was there
// before, so that the server needs no memory for that.
func besideSlow(t *testing.T, js jetstream.JetStream, name string) time.Duration {
	t.Helper()
	egress, err := js.Stream(t.Context(), "T_EGRESS")
	if err != nil {
		t.Fatal(err)
	}
	from := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: egress.CachedInfo().State.LastSeq + 1}
	c, err := egress.OrderedConsumer(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer msgs.Stop()
	start := time.Now()
	for i := range healthyMessages {
		id := fmt.Sprintf("%s-%d", name, i%100)
		if _, err := js.PublishAsync("t.fn.e2e.forward."+id, []byte(id+"-to x"), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for n := 0; n < healthyMessages; {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("%d of %d messages of the healthy function: %v", n, healthyMessages, err)
		}
		if strings.HasPrefix(m.Subject(), "t.egress.e2e.counts."+name+"-") {
			n++
		}
	}
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
