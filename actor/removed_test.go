package actor_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// changing is a catalog that changes.
type changing struct {
	mu   sync.Mutex
	now  catalog
	proc *actor.Processor
}

func (c *changing) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.Lookup(t)
}

// set replaces what is there.
func (c *changing) set(now catalog) {
	c.mu.Lock()
	c.now = now
	c.mu.Unlock()
	c.proc.Reload()
	synctest.Wait()
}

// removed is a catalog without the function, whose messages wait.
func removed(wait time.Duration) catalog {
	return catalog{"fn": {AwaitedUntil: time.Now().Add(wait).UnixMilli()}}
}

func startChanging(t *testing.T, m *actortest.Memory, first catalog, cfg actor.Config) (*app, *changing) {
	t.Helper()
	c := &changing{now: first}
	cfg.Partitions = 1
	c.proc = actor.NewProcessor(cfg, m.Ports(0), c, actor.NewCalls(0), zerolog.Nop())
	return run(t, m, c.proc), c
}

// naming emits what it gets after a name.
func naming(name string) actor.FunctionSpec {
	return actor.FunctionSpec{Endpoint: name, Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
		e := &actor.Effects{}
		for _, in := range b.Envelopes {
			e.Egress = append(e.Egress, emit(name+" "+string(in.Value.Data)).Egress...)
		}
		return e, nil
	})}
}

func TestMessagesWaitForARemovedFunctionAndGoOnInOrderWhenItIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, c := startChanging(t, actortest.NewMemory(), catalog{"fn": naming("old")}, actor.Config{ResidentInputs: 2})
		defer a.end()
		a.send(to("fn", "x"), "1")
		synctest.Wait()
		c.set(removed(time.Hour))
		a.send(to("fn", "x"), "2", "3", "4", "5", "6")
		time.Sleep(59 * time.Minute)
		a.want("emitted while it is missing", a.emitted(), []string{"old 1"})
		c.set(catalog{"fn": naming("new")})
		time.Sleep(time.Second)
		a.want("emitted", a.emitted(), []string{"old 1", "new 2", "new 3", "new 4", "new 5", "new 6"})
	})
}

func TestMessagesOfARemovedFunctionAreDeadLettersWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		a, c := startChanging(t, m, catalog{"fn": naming("old")}, actor.Config{ResidentInputs: 2})
		c.set(removed(time.Hour))
		for i := range 5 {
			a.send(to("fn", "x"), strconv.Itoa(i))
		}
		time.Sleep(30 * time.Minute)
		a.end() // what a later owner finds waits no longer
		a, c = startChanging(t, m, removed(30*time.Minute), actor.Config{ResidentInputs: 2})
		defer a.end()
		synctest.Wait()
		if got := m.DeadLetters(); len(got) > 0 {
			t.Errorf("%d dead letters before the time is over", len(got))
		}
		time.Sleep(31 * time.Minute)
		letters := m.DeadLetters()
		if len(letters) != 5 {
			t.Fatalf("%d dead letters, want 5", len(letters))
		}
		for i, l := range letters {
			d := l.DeadLetter
			if d.Reason != actor.ReasonUnknownFunction || !strings.Contains(d.Error, "test/fn was removed") || string(d.Envelope.Value.Data) != strconv.Itoa(i) {
				t.Errorf("dead letter %d = %s, %q of %q", i, d.Reason, d.Error, d.Envelope.Value.Data)
			}
		}
		a.send(to("fn", "x"), "late")
		synctest.Wait()
		c.set(catalog{"fn": naming("new")})
		a.send(to("fn", "x"), "again")
		time.Sleep(time.Second)
		a.want("emitted", a.emitted(), []string{"new again"})
	})
}

func TestACallEndsWhereItBeganAndItsRetryGoesToTheNewEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := make(chan string, 4)
		spec := func(name string, err error) catalog {
			return catalog{"fn": {Endpoint: name, MaxConcurrent: 1, Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) {
				calls <- name
				time.Sleep(time.Minute)
				return emit(name), err
			}), Policy: actor.Policy{Budget: time.Hour}}}
		}
		a, c := startChanging(t, actortest.NewMemory(), spec("old", nil), actor.Config{})
		defer a.end()
		a.send(to("fn", "x"), "1")
		a.send(to("fn", "y"), "2") // waits for its place at the old endpoint
		synctest.Wait()
		c.set(spec("new", nil))
		time.Sleep(time.Hour)
		a.want("emitted", a.emitted(), []string{"old", "new"})
		c.set(spec("failing", errors.New("failed")))
		a.send(to("fn", "x"), "3")
		time.Sleep(30 * time.Second)
		c.set(removed(time.Hour))
		time.Sleep(40 * time.Minute)
		c.set(spec("last", nil))
		time.Sleep(time.Hour)
		a.want("emitted", a.emitted(), []string{"old", "new", "last"})
		close(calls)
		var got []string
		for name := range calls {
			got = append(got, name)
		}
		a.want("called", got, []string{"old", "new", "failing", "last"})
	})
}

func TestWhatIsGivenUpTakesNoRoomAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, c := startChanging(t, actortest.NewMemory(), catalog{"fn": naming("old")}, actor.Config{})
		defer a.end()
		c.set(removed(time.Hour))
		a.send(to("fn", "x"), "1", "2", "3")
		a.send(to("fn", "y"), "4")
		time.Sleep(time.Minute)
		a.want("messages in memory while they wait", c.proc.Stats().Resident, 4)
		time.Sleep(time.Hour)
		a.want("dead letters", len(a.memory.DeadLetters()), 4)
		a.want("messages in memory at last", c.proc.Stats().Resident, 0)
	})
}

func TestARaisedLimitOfAnEndpointCounts(t *testing.T) {
	t.Parallel()
	calls := actor.NewCalls(0)
	granted := 0
	ask := func(limit int) { calls.Acquire(actor.Place{Endpoint: "e", Limit: limit}, func() { granted++ }) }
	ask(1)
	ask(1)
	if granted != 1 {
		t.Fatalf("%d calls at a limit of 1", granted)
	}
	ask(3)
	if granted != 3 {
		t.Errorf("%d calls at a limit of 3, want 3", granted)
	}
	ask(2)
	calls.Release(actor.Place{Endpoint: "e"}, actor.CallResult{})
	if granted != 3 {
		t.Errorf("%d calls granted at a limit of 2 with 2 in flight, want 3", granted)
	}
}

func TestAnAddressStaysWithItsVersion(t *testing.T) {
	t.Parallel()
	served := func(weights ...int) []string {
		out := make([]string, 1000)
		synctest.Test(t, func(t *testing.T) {
			var spec actor.FunctionSpec
			for i, w := range weights {
				spec.Versions = append(spec.Versions, actor.Version{Weight: w, FunctionSpec: naming(strconv.Itoa(i))})
			}
			a := start(t, actortest.NewMemory(), catalog{"fn": spec})
			defer a.end()
			for i := range out {
				a.send(to("fn", strconv.Itoa(i)), strconv.Itoa(i))
			}
			time.Sleep(time.Minute)
			for _, text := range a.emitted() {
				version, id, _ := strings.Cut(text, " ")
				i, err := strconv.Atoi(id)
				if err != nil {
					t.Fatal(err)
				}
				out[i] = version
			}
		})
		return out
	}
	count := func(list []string, version string) (n int) {
		for _, v := range list {
			if v == version {
				n++
			}
		}
		return n
	}
	even, again, more, none := served(1, 1), served(2, 2), served(3, 1), served(0, 1)
	if n := count(even, "0"); n < 450 || n > 550 {
		t.Errorf("%d of 1000 addresses have the first of two equal versions", n)
	}
	if n := count(more, "0"); n < 700 || n > 800 {
		t.Errorf("%d of 1000 addresses have the version with three quarters of the weight", n)
	}
	if n := count(none, "1"); n != 1000 {
		t.Errorf("%d of 1000 addresses have the only version with a weight", n)
	}
	// Whoever runs another release of jetfn, or restarts it, has the same versions.
	if got, want := strings.Join(even[:40], ""), "1010110001011001010111100110011001111110"; got != want {
		t.Errorf("the first addresses have the versions %s, want %s for ever", got, want)
	}
	for i := range even {
		if again[i] != even[i] || even[i] == "0" && more[i] != "0" {
			t.Fatalf("address %d moved from version %s to %s and %s", i, even[i], again[i], more[i])
		}
	}
}
