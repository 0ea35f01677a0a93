//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	loadMessages  = 10_000
	loadAddresses = 250
	perAddress    = loadMessages / loadAddresses
	loadWriters   = 16
)

// load is 10,000 messages on their way through e2e/forward to e2e/count.
type load struct {
	a     *app
	js    jetstream.JetStream
	run   string // begins every Nats-Msg-Id
	acked atomic.Int64
	seed  uint64
	dice  *rand.Rand
	pause time.Duration // of a publisher after each message
	wg    sync.WaitGroup
}

// source and sink are the ids of the i-th address, in different partitions.
func source(i int) string { return fmt.Sprintf("src-%d", i) }

func sink(i int) string {
	for n := 0; ; n++ {
		id := fmt.Sprintf("dst-%d-%d", i, n)
		if partition(id) != partition(source(i)) {
			return id
		}
	}
}

// partition is the partition of an id that needs no escaping, of 64.
func partition(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % 64)
}

// startLoad begins to publish. Every publisher sends its addresses' messages
// one after another, and repeats one until it is told that it is stored.
func startLoad(t *testing.T, a *app, js jetstream.JetStream) *load {
	t.Helper()
	return startPacedLoad(t, a, js, 0)
}

// startPacedLoad is startLoad with so many messages a second at most; zero: as
// many as can be.
func startPacedLoad(t *testing.T, a *app, js jetstream.JetStream, rate int) *load {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	covered := map[int]bool{}
	for i := range loadAddresses {
		covered[partition(source(i))] = true
	}
	if len(covered) != 64 {
		t.Fatalf("the load's sources cover %d of 64 partitions", len(covered))
	}
	l := &load{a: a, js: js, run: strconv.FormatUint(seed, 10), seed: seed, dice: rand.New(rand.NewPCG(seed, 1))}
	if rate > 0 {
		l.pause = loadWriters * time.Second / time.Duration(rate)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for w := range loadWriters {
		l.wg.Go(func() { l.write(ctx, w) })
	}
	t.Cleanup(func() {
		cancel()
		l.wg.Wait()
	})
	return l
}

func (l *load) write(ctx context.Context, writer int) {
	for n := 1; n <= perAddress; n++ {
		for i := writer; i < loadAddresses; i += loadWriters {
			for l.publish(ctx, i, n) != nil {
				select {
				case <-ctx.Done():
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
			l.acked.Add(1)
			time.Sleep(l.pause)
		}
	}
}

func (l *load) publish(ctx context.Context, i, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	msg := nats.NewMsg("t.fn.e2e.forward." + source(i))
	msg.Data = fmt.Appendf(nil, "%s %d", sink(i), n)
	_, err := l.js.PublishMsg(ctx, msg, jetstream.WithMsgID(fmt.Sprintf("%s-%d-%d", l.run, i, n)), jetstream.WithRetryAttempts(0))
	return err
}

// waitPast waits until a random moment in the k-th of n parts of the load.
func (l *load) waitPast(t *testing.T, k, n int) {
	t.Helper()
	part := loadMessages / (n + 1)
	moment := int64(k*part + l.dice.IntN(part))
	eventually(t, 3*time.Minute, fmt.Sprintf("message %d to be stored", moment), func() error {
		if got := l.acked.Load(); got < moment {
			return fmt.Errorf("%d are", got)
		}
		return nil
	})
	time.Sleep(time.Duration(l.dice.IntN(400)) * time.Millisecond)
}

// emitted reads the whole egress stream: what came out, by key, in order.
func emitted(ctx context.Context, js jetstream.JetStream) (map[string][]string, int, error) {
	stream, err := js.Stream(ctx, "T_EGRESS")
	if err != nil {
		return nil, 0, err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return nil, 0, err
	}
	byKey, total, last := map[string][]string{}, 0, info.State.LastSeq
	if last == 0 {
		return byKey, 0, nil
	}
	// No filter, so that the stream's last sequence is surely delivered.
	c, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, 0, err
	}
	msgs, err := c.Messages()
	if err != nil {
		return nil, 0, err
	}
	defer msgs.Stop()
	for {
		m, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, 0, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, 0, err
		}
		if key, ok := strings.CutPrefix(m.Subject(), "t.egress.e2e.counts."); ok {
			byKey[key] = append(byKey[key], string(m.Data()))
			total++
		}
		if meta.Sequence.Stream >= last || meta.NumPending == 0 {
			return byKey, total, nil
		}
	}
}

// verify waits for the end of the load and checks that each message counted
// once, in order, and that nothing follows.
func (l *load) verify(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	go func() { l.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		t.Fatalf("%d of %d messages stored after three minutes", l.acked.Load(), loadMessages)
	}
	var byKey map[string][]string
	eventually(t, 2*time.Minute, "all counts at the egress", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, total, err := emitted(ctx, l.js)
		if err == nil && total < loadMessages {
			err = fmt.Errorf("%d of %d arrived", total, loadMessages)
		}
		return err
	})
	time.Sleep(5 * time.Second) // what comes twice, or late, may come now
	byKey, total, err := emitted(t.Context(), l.js)
	if err != nil {
		t.Fatal(err)
	}
	if total != loadMessages {
		t.Errorf("%d messages at the egress, want %d", total, loadMessages)
	}
	want := make([]string, perAddress)
	for n := range want {
		want[n] = fmt.Sprintf("%d %d", n+1, n+1)
	}
	for i := range loadAddresses {
		if got := byKey[sink(i)]; strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("egress of %s = %v, want %v", sink(i), got, want)
		}
		if n, err := l.a.long(t, "e2e/count", sink(i), "seen"); err != nil || n != perAddress {
			t.Errorf("state of %s = %d, %v; want %d", sink(i), n, err, perAddress)
		}
		if t.Failed() && i > 5 {
			t.FailNow() // six examples are enough
		}
	}
	if dead := deadLetters(t, l.js); len(dead) > 0 {
		t.Errorf("%d dead letters, the first %+v; want none", len(dead), dead[0])
	}
}

func functionsModule(port int) string {
	return fmt.Sprintf(pipelineModule, fmt.Sprintf("http://127.0.0.1:%d/", port))
}

func TestCountsStayExactWhenJetfnIsKilledFiveTimes(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "group", "interval"} {
		t.Run("sync "+sync, func(t *testing.T) {
			t.Parallel()
			a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline())), withArgs("--sync", sync))
			_, js := a.connect(t)
			l := startLoad(t, a, js)
			for k := 1; k <= 5; k++ {
				l.waitPast(t, k, 6)
				a.kill()
				a.restart(t)
			}
			l.verify(t)
		})
	}
}

func TestCountsStayExactWhenJetfnDiesAtEachFaultPoint(t *testing.T) {
	t.Parallel()
	a := startApp(t, fmt.Sprintf(pipelineModule, serve(t, pipeline())), withBinary(built(t, faultBinary)))
	_, js := a.connect(t)
	l := startLoad(t, a, js)
	for k, point := range []string{"after-append", "before-sends", "between-sends", "before-egress", "before-state"} {
		l.waitPast(t, k+1, 7)
		a.kill()
		fault := fmt.Sprintf("JETFN_FAULTPOINT=%s:%d", point, 1+l.dice.IntN(50))
		a.launch(t, fault)
		select {
		case <-a.done:
			t.Logf("died at %s", fault)
		case <-time.After(60 * time.Second):
			t.Fatalf("jetfn still lives a minute after its start with %s", fault)
		}
		a.restart(t)
	}
	l.verify(t)
}

func TestCountsStayExactWhenTheFunctionIsKilledFiveTimes(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	f := startFunctions(t, port)
	a := startApp(t, functionsModule(port))
	_, js := a.connect(t)
	l := startLoad(t, a, js)
	for k := 1; k <= 5; k++ {
		l.waitPast(t, k, 6)
		f.kill()
		f = startFunctions(t, port)
	}
	l.verify(t)
}

func TestCountsStayExactWhenAFrozenOwnerWakesUpAfterATakeover(t *testing.T) {
	t.Parallel()
	_, url := startNATS(t, freePorts(t, 1)[0], t.TempDir())
	module := fmt.Sprintf(pipelineModule, serve(t, pipeline()))
	owner := startApp(t, module, withNATS(url))
	standby := newApp(t, module, withNATS(url))
	standby.launch(t)
	eventually(t, 20*time.Second, "the second worker to stand by", func() error {
		err := standby.ready()
		if err == nil {
			return errors.New("it is ready while the first one lives")
		}
		if !strings.Contains(err.Error(), "standby") {
			return err
		}
		return nil
	})
	_, js := owner.connect(t)
	l := startLoad(t, standby, js)

	for k := 1; k <= 2; k++ { // forth and back
		l.waitPast(t, k, 3)
		owner.signal(syscall.SIGSTOP)
		start := time.Now()
		eventually(t, 30*time.Second, "the standby to take over", standby.ready)
		t.Logf("takeover %d after %v", k, time.Since(start).Round(time.Millisecond))
		l.waitPast(t, k+1, 3)
		owner.signal(syscall.SIGCONT)
		eventually(t, 30*time.Second, "the frozen owner to notice", func() error {
			if owner.ended() { // it may also give up and be started again
				return nil
			}
			if err := owner.ready(); err == nil {
				return errors.New("it still believes it is the owner")
			}
			return nil
		})
		if owner.ended() {
			t.Fatalf("the frozen owner ended with code %d after its takeover", owner.cmd.ProcessState.ExitCode())
		}
		owner, standby = standby, owner
		l.a = owner
	}
	l.verify(t)
}
