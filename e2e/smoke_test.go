//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// smokeMessagesVariable makes the smoke test a long one: so many messages, to
// 1,000 instances.
const smokeMessagesVariable = "JETFN_SMOKE_MESSAGES"

const smokeModule = `
kind: io.statefun.endpoints.v2/http
spec:
  functions: statefun.smoke.e2e/*
  urlPathTemplate: http://127.0.0.1:%d/functions
---
kind: io.jetfn.nats.v1/egress
spec:
  id: statefun.smoke.e2e/discard-sink
---
kind: io.jetfn.nats.v1/egress
spec:
  id: statefun.smoke.e2e/verification-sink
`

// smoke drives a command interpreter as StateFun's own smoke test does: random
// trees of commands, each of which adds one to a counter somewhere; and the
// count of what must come of them.
type smoke struct {
	app       *app
	js        jetstream.JetStream
	tree      *commandTree
	dice      *rand.Rand
	messages  int
	instances int
	run       string
	acked     atomic.Int64
	wg        sync.WaitGroup
}

func TestCommandsOfStateFunsSmokeTestCountExactlyWhileProcessesDie(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]func(*testing.T) command{
		"Python":     python("3.3.0", "python3/sync.py", "smoke"),
		"Java":       java("Smoke"),
		"Go":         executable(".e2e/go/suite", "smoke"),
		"JavaScript": javascript("smoke.js"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSmoke(t, program(t))
		})
	}
}

func testSmoke(t *testing.T, program command) {
	t.Helper()
	s := &smoke{messages: 5_000, instances: 128}
	if text := os.Getenv(smokeMessagesVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", smokeMessagesVariable, err)
		}
		s.messages, s.instances = n, 1_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d messages to %d instances", seed, s.messages, s.instances)
	s.run = strconv.FormatUint(seed, 36)
	s.dice = rand.New(rand.NewPCG(seed, 1))
	s.tree = newCommandTree(rand.New(rand.NewPCG(seed, 2)), s.instances)

	port := freePorts(t, 1)[0]
	function := startListening(t, port, program)
	s.app = startApp(t, fmt.Sprintf(smokeModule, port))
	_, s.js = s.app.connect(t)
	start := time.Now()
	s.publishAll(t)
	for kill := range 4 { // the last two while the backlog is worked off
		s.waitForMoment(t, kill)
		if kill%2 == 0 {
			s.app.kill()
			s.app.restart(t)
		} else {
			function.kill()
			function = startListening(t, port, program)
		}
	}
	s.wg.Wait()
	t.Logf("all stored after %v", time.Since(start).Round(time.Second))
	s.verify(t)
	t.Logf("%d increments are counted after %v", s.tree.total(), time.Since(start).Round(time.Second))
}

// publishAll begins to publish all messages. A publisher repeats one, under
// the same id, until it is told that it is stored.
func (s *smoke) publishAll(t *testing.T) {
	t.Helper()
	const publishers = 16
	work := make(chan *nats.Msg, publishers)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		s.wg.Wait()
	})
	s.wg.Go(func() {
		defer close(work)
		for n := range s.messages {
			target, payload := s.tree.sourceCommand()
			msg := s.message(target, payload)
			msg.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s-%d", s.run, n))
			select {
			case work <- msg:
			case <-ctx.Done():
				return
			}
		}
	})
	for range publishers {
		s.wg.Go(func() {
			for msg := range work {
				for s.publish(ctx, msg, 2*time.Second) != nil {
					if ctx.Err() != nil {
						return
					}
				}
				s.acked.Add(1)
			}
		})
	}
}

func (s *smoke) message(target int, payload []byte) *nats.Msg {
	msg := nats.NewMsg(fmt.Sprintf("t.fn.statefun=2Esmoke=2Ee2e.command-interpreter-fn.%d", target))
	msg.Header.Set("Jetfn-Type", "statefun.smoke.e2e/source-command")
	msg.Data = payload
	return msg
}

func (s *smoke) publish(ctx context.Context, msg *nats.Msg, limit time.Duration) error {
	attempt, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := s.js.PublishMsg(attempt, msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}

// waitForMoment waits for the moment of the k-th kill: a random one while
// messages are stored, for the first two, or soon after the kill before.
func (s *smoke) waitForMoment(t *testing.T, k int) {
	t.Helper()
	if k < 2 {
		moment := int64((k*s.messages + s.dice.IntN(s.messages)) / 2)
		eventually(t, s.patience(), fmt.Sprintf("message %d to be stored", moment), func() error {
			if got := s.acked.Load(); got < moment {
				return fmt.Errorf("%d are", got)
			}
			return nil
		})
		return
	}
	time.Sleep(time.Duration(s.dice.IntN(3_000)) * time.Millisecond)
}

// patience is how long all may take on a busy machine.
func (s *smoke) patience() time.Duration {
	return 5*time.Minute + time.Duration(s.messages)*10*time.Millisecond
}

// verify asks every instance for its count until it is what it must be. One
// that has counted more fails the test at once.
func (s *smoke) verify(t *testing.T) {
	t.Helper()
	out := watch(t, s.js)
	deadline := time.Now().Add(s.patience())
	open := s.ask(t, out, s.everyone())
	for len(open) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d instances have not counted to what they must after %v, such as %d",
				len(open), s.instances, s.patience(), open[0])
		}
		time.Sleep(500 * time.Millisecond)
		open = s.ask(t, out, open)
	}
	time.Sleep(3 * time.Second) // what would come twice, or late, may come now
	if open := s.ask(t, out, s.everyone()); len(open) > 0 {
		t.Errorf("%d instances counted on after all were done", len(open))
	}
	if letters := deadLetters(t, s.js); len(letters) > 0 {
		t.Errorf("%d dead letters, the first %+v", len(letters), letters[0])
	}
}

func (s *smoke) everyone() []int {
	all := make([]int, s.instances)
	for i := range all {
		all[i] = i
	}
	return all
}

// ask sends a verify command to instances, and returns those that have not
// counted enough yet.
func (s *smoke) ask(t *testing.T, out *outlet, instances []int) (behind []int) {
	t.Helper()
	for _, id := range instances {
		if err := s.publish(t.Context(), s.message(id, verifyCommand(id, s.tree.expected[id])), patience); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range out.takeWithin(t, s.patience(), "statefun=2Esmoke=2Ee2e.verification-sink", len(instances)) {
		id, expected, actual, err := readVerification(e.payload)
		switch {
		case err != nil || id < 0 || id >= s.instances || expected != s.tree.expected[id]:
			t.Fatalf("verification result %x: %d expected %d, %v", e.payload, id, expected, err)
		case actual > expected:
			t.Fatalf("instance %d counted %d, but %d were sent", id, actual, expected)
		case actual < expected:
			behind = append(behind, id)
		}
	}
	return behind
}
