package runtime_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/runtime"
)

// chain is two functions: the first counts, tells the outside, and passes on
// what it gets; the second notes it.
type chain struct {
	tb            testing.TB
	mu            sync.Mutex
	first, second map[string]int // how often each text came
	hold          chan struct{}  // unless nil, the first one waits with what is "mid" until it is closed
}

func (c *chain) count(m map[string]int, b *actor.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range b.Envelopes {
		m[textOf(c.tb, b.Envelopes[i].Value)]++
	}
}

// of counts the texts that begin with prefix, and those that came again.
func (c *chain) of(m map[string]int, prefix string) (came, again int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for text, n := range m {
		if strings.HasPrefix(text, prefix+"-") {
			came++
			again += n - 1
		}
	}
	return came, again
}

type chainFirst struct{ *chain }

func (f chainFirst) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	if f.hold != nil && strings.HasPrefix(textOf(f.tb, b.Envelopes[0].Value), "mid") {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.count(f.first, b)
	e := &actor.Effects{Mutations: []actor.Mutation{{Name: "last", Value: b.Envelopes[len(b.Envelopes)-1].Value}}}
	for i := range b.Envelopes {
		v := b.Envelopes[i].Value
		e.Sends = append(e.Sends, actor.Send{Target: address("chain/second", "of-"+b.Target.ID), Value: v})
	}
	return e, nil
}

type chainSecond struct{ *chain }

func (s chainSecond) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	s.count(s.second, b)
	return &actor.Effects{}, nil
}

// copyStreams copies the directories of streams, which replaces what is there.
func copyStreams(t *testing.T, from, to string, streams ...string) {
	t.Helper()
	for _, name := range streams {
		dir := filepath.Join(to, name)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(from, name))); err != nil {
			t.Fatal(err)
		}
	}
}

// streamsIn are the names of the streams below a data directory, and where.
func streamsIn(t *testing.T, data string) (dir string, names []string) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == "streams" {
			dir = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return dir, names
}

// sendText sends text to the first function of the chain, at an address of its own.
func (w *worker) sendChain(round string, n int) { w.sendChainFrom(round, 0, n) }

func (w *worker) sendChainFrom(round string, from, n int) {
	w.tb.Helper()
	for i := from; i < from+n; i++ {
		status, _, body := request(w.tb, http.MethodPost, fmt.Sprintf("http://%s/v1/send/chain/first/%d", w.HTTP, i), fmt.Sprintf("%s-%d", round, i))
		if status != http.StatusAccepted {
			w.tb.Fatalf("send %s-%d = %d %s, want 202", round, i, status, body)
		}
	}
}

// chained is a worker's configuration with the chain's functions.
func chained(t *testing.T) (*chain, runtime.Config) {
	t.Helper()
	c := &chain{tb: t, first: map[string]int{}, second: map[string]int{}}
	return c, runtime.Config{
		Module: greeter(t), DataDir: t.TempDir(), Sync: runtime.SyncInterval, Partitions: 4,
		Functions: map[actor.TypeName]actor.FunctionSpec{typeName("chain/first"): {Function: chainFirst{c}}, typeName("chain/second"): {Function: chainSecond{c}}},
	}
}

const chainLength = 40

// came reports whether all of a round came to both functions.
func (c *chain) came(round string) func() bool {
	return func() bool {
		a, _ := c.of(c.first, round)
		b, _ := c.of(c.second, round)
		return a == chainLength && b == chainLength
	}
}

// once checks that nothing of a round came again.
func (c *chain) once(rounds ...string) {
	c.tb.Helper()
	for _, round := range rounds {
		_, first := c.of(c.first, round)
		_, second := c.of(c.second, round)
		if first+second > 0 {
			c.tb.Errorf("of what is %s %d messages came again to the first function, %d to the second; want none", round, first, second)
		}
	}
}

// Each stream goes back to what it held before a round of messages, as after a
// failure of the power, while the others have it.
func TestWhatComesAfterAStreamLostItsEndTakesEffectOnce(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string][]string{
		"mailbox":                   {"JETFN_MAILBOX"},
		"state":                     {"KV_jetfn_state"},
		"timers":                    {"KV_jetfn_timers"},
		"egress":                    {"JETFN_EGRESS"},
		"mailbox, state and timers": {"JETFN_MAILBOX", "KV_jetfn_state", "KV_jetfn_timers"},
		"all that an address needs": {"JETFN_MAILBOX", "JETFN_JOURNAL", "KV_jetfn_state", "KV_jetfn_timers", "JETFN_EGRESS", "JETFN_DLQ"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, cfg := chained(t)
			w := start(t, cfg)
			w.sendChain("old", chainLength)
			eventually(t, "what is old came", c.came("old"))
			w.stop()
			dir, names := streamsIn(t, cfg.DataDir)
			saved := t.TempDir()
			copyStreams(t, dir, saved, names...)

			w = start(t, cfg)
			w.sendChain("mid", chainLength)
			eventually(t, "what came later came", c.came("mid"))
			w.stop()
			copyStreams(t, saved, dir, lost...)

			w = start(t, cfg)
			w.sendChain("new", chainLength)
			eventually(t, "what is new came", c.came("new"))
			if told := strings.Contains(w.log.String(), "a stream went back"); told != (lost[0] == "JETFN_MAILBOX" && len(lost) < 4) {
				t.Errorf("that a stream went back is in the log: %v", told)
			}
			w.stop()
			w = start(t, cfg)
			w.sendChain("newer", chainLength)
			eventually(t, "what came after another start came", c.came("newer"))
			c.once("old", "mid", "new", "newer")
		})
	}
}

// A journal that is older than what followed from it stops its partitions.
func TestAJournalOlderThanItsStatesIsNamed(t *testing.T) {
	t.Parallel()
	c, cfg := chained(t)
	w := start(t, cfg)
	w.sendChain("old", chainLength)
	eventually(t, "what is old came", c.came("old"))
	w.stop()
	dir, _ := streamsIn(t, cfg.DataDir)
	saved := t.TempDir()
	copyStreams(t, dir, saved, "JETFN_JOURNAL")

	w = start(t, cfg)
	w.sendChain("mid", chainLength)
	eventually(t, "what came later came", c.came("mid"))
	w.stop()
	copyStreams(t, saved, dir, "JETFN_JOURNAL")

	w = start(t, cfg)
	eventually(t, "the partitions are down, and the log says why", func() bool {
		return strings.Count(w.log.String(), "partition is down") == cfg.Partitions && strings.Contains(w.log.String(), "the journal ends at")
	})
}

// If nothing is newer than the journal, what it has forgotten is done again.
// Meanwhile others get the numbers that it had given, and these count, too.
func TestMessagesBetweenFunctionsComeAfterTheJournalLostItsEnd(t *testing.T) {
	t.Parallel()
	c, cfg := chained(t)
	w := start(t, cfg)
	w.sendChain("old", chainLength)
	eventually(t, "what is old came", c.came("old"))
	dir, _ := streamsIn(t, cfg.DataDir)
	saved, lost := t.TempDir(), []string{"JETFN_JOURNAL", "KV_jetfn_state", "KV_jetfn_timers"}
	copyStreams(t, dir, saved, lost...) // while it runs: an owner's beginning isn't lost

	w.sendChain("mid", chainLength)
	eventually(t, "what came later came", c.came("mid"))
	w.stop()
	copyStreams(t, saved, dir, lost...)

	c.hold = make(chan struct{})
	w = start(t, cfg)
	w.sendChainFrom("new", chainLength, chainLength)
	eventually(t, "what is new came", c.came("new"))
	close(c.hold)
	w.stop()
	c.hold = nil
	w = start(t, cfg)
	w.sendChain("newer", chainLength)
	eventually(t, "what came after another start came", c.came("newer"))
	c.once("old", "new", "newer")
}

// The same with a server of one's own, which loses it while the worker lives.
func TestAWorkerGoesOnWhenItsServerComesBackWithoutTheEndOfTheMailbox(t *testing.T) {
	t.Parallel()
	store, port := t.TempDir(), freePort(t)
	serve := func() *server.Server {
		t.Helper()
		srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: store, NoSigs: true})
		if err != nil {
			t.Fatal(err)
		}
		srv.Start()
		if !srv.ReadyForConnections(patience) {
			t.Fatal("NATS server is not ready")
		}
		return srv
	}
	srv := serve()
	t.Cleanup(func() { srv.Shutdown() })
	end := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	c, cfg := chained(t)
	cfg.DataDir, cfg.NATSURLs = "", []string{srv.ClientURL()}
	w := start(t, cfg)
	round := func(name string) {
		t.Helper()
		for i := range chainLength {
			eventually(t, "a message is taken", func() bool {
				status, _, _ := request(t, http.MethodPost, fmt.Sprintf("http://%s/v1/send/chain/first/%d", w.HTTP, i), fmt.Sprintf("%s-%d", name, i))
				return status == http.StatusAccepted
			})
		}
		eventually(t, "what is "+name+" came", c.came(name))
	}
	round("old")
	end()
	dir, _ := streamsIn(t, store)
	saved := t.TempDir()
	copyStreams(t, dir, saved, "JETFN_MAILBOX")
	srv = serve()
	round("mid")
	end()
	copyStreams(t, saved, dir, "JETFN_MAILBOX")
	srv = serve()
	round("new")
	if !strings.Contains(w.log.String(), "a stream has lost its end") {
		t.Error("the log doesn't say that the mailbox lost its end")
	}
}

func TestAMailboxThatWasDeletedIsMadeAnewAndRead(t *testing.T) {
	t.Parallel()
	c, cfg := chained(t)
	w := start(t, cfg)
	w.sendChain("old", chainLength)
	eventually(t, "what is old came", c.came("old"))
	w.stop()
	dir, _ := streamsIn(t, cfg.DataDir)
	for _, name := range []string{"JETFN_MAILBOX", "JETFN_INGRESS"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	w = start(t, cfg)
	w.sendChain("new", chainLength)
	eventually(t, "what is new came", c.came("new"))
	c.once("old", "new")
}

func TestAnExistingStreamThatLostItsEndIsReadOn(t *testing.T) {
	t.Parallel()
	c, cfg := chained(t)
	cfg.Module = parse(t, "kind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, stream: SHOP, valueType: io.statefun.types/string, targets: [chain/second]}\n")
	plain := cfg
	plain.Module = greeter(t)
	w := start(t, plain)
	publish := func(round string) {
		t.Helper()
		js, err := jetstream.New(dial(t, w.NATS))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "SHOP", Subjects: []string{"shop.>"}}); err != nil {
			t.Fatal(err)
		}
		for i := range chainLength {
			if _, err := js.Publish(t.Context(), "shop."+itoa(i), stringValue(t, round+"-"+itoa(i)).Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	came := func(round string) func() bool {
		return func() bool {
			n, _ := c.of(c.second, round)
			return n == chainLength
		}
	}
	publish("old")
	w.stop()
	w = start(t, cfg)
	eventually(t, "what is old came", came("old"))
	w.stop()
	dir, _ := streamsIn(t, cfg.DataDir)
	saved := t.TempDir()
	copyStreams(t, dir, saved, "SHOP")

	w = start(t, cfg)
	publish("mid")
	eventually(t, "what came later came", came("mid"))
	w.stop()
	copyStreams(t, saved, dir, "SHOP")

	w = start(t, plain) // without the ingress
	publish("new")
	w.stop()
	w = start(t, cfg)
	eventually(t, "what is new came", came("new"))
	c.once("old", "mid", "new")
}

// A later module's records begin at a sequence, which a shorter stream hasn't
// reached: what comes is read by that module all the same.
func TestRecordsOfAShorterIngressStreamGoWhereTheNewestModuleSays(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	ingress := func(target string) string {
		return endpoint("example/a", r.server.URL) + "---\n" + endpoint("example/b", r.server.URL) +
			"---\nkind: io.jetfn.nats.v1/ingress\nspec: {id: shop/in, targets: [" + target + "]}\n"
	}
	cfg := revised(t, ingress("example/a"))
	cfg.DataDir = t.TempDir()
	w := start(t, cfg)
	for i := range 5 {
		w.publish("jetfn.ingress.shop.in.old" + itoa(i))
	}
	w.apply(ingress("example/b"))
	w.publish("jetfn.ingress.shop.in.later")
	eventually(t, "all are read", func() bool { return r.count() == 6 && r.got("b/later") == 1 })
	w.stop()
	dir, _ := streamsIn(t, cfg.DataDir)
	if err := os.RemoveAll(filepath.Join(dir, "JETFN_INGRESS")); err != nil {
		t.Fatal(err)
	}

	w = start(t, cfg)
	w.publish("jetfn.ingress.shop.in.new")
	eventually(t, "the new one is read", func() bool { return r.count() == 7 })
	if r.got("b/new") != 1 {
		t.Error("the new record went where the earlier module says")
	}
}
