package actor_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// countedStore counts the writes to a store.
type countedStore struct {
	actor.StateStore
	writes atomic.Int64
}

func (s *countedStore) Write(a actor.StateKey, r actor.StateRecord, revision uint64, done func(actor.WriteResult)) {
	s.writes.Add(1)
	s.StateStore.Write(a, r, revision, done)
}

// startCounting is start with a configuration and a count of state writes.
func startCounting(t *testing.T, cfg actor.Config) (*app, *countedStore) {
	t.Helper()
	m := actortest.NewMemory()
	ports := m.Ports(0)
	store := &countedStore{StateStore: ports.State}
	ports.State = store
	cfg.Partitions = 1
	functions := catalog{"counter": {Function: function(counter)}}
	return run(t, m, actor.NewProcessor(cfg, ports, functions, actor.NewCalls(0), zerolog.Nop())), store
}

func TestStateIsWrittenAsOftenAsItsAddressesGainByIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg       actor.Config
		addresses int
		every     time.Duration
		least     int64 // writes for 2,000 changes
		most      int64
	}{
		"hot addresses, twice a second":                            {addresses: 1, every: 20 * time.Millisecond, least: 70, most: 90},
		"addresses that change each second wait for each other":    {addresses: 20, every: 50 * time.Millisecond, least: 400, most: 700},
		"the same with no more than half a second":                 {cfg: actor.Config{FlushMost: 500}, addresses: 20, every: 50 * time.Millisecond, least: 1950, most: 2000},
		"addresses that hardly ever change again need not wait":    {addresses: 2000, every: 50 * time.Millisecond, least: 1950, most: 2000},
		"what waits is written when too much waits for the writes": {cfg: actor.Config{MaxUnapplied: 20}, addresses: 20, every: 50 * time.Millisecond, least: 1500, most: 2000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, store := startCounting(t, c.cfg)
				defer a.end()
				for i := range 2000 {
					a.send(to("counter", strconv.Itoa(i%c.addresses)), "x")
					time.Sleep(c.every)
				}
				if n := store.writes.Load(); n < c.least || n > c.most {
					t.Errorf("2,000 changes of %d addresses, one every %v, are written %d times, want %d to %d", c.addresses, c.every, n, c.least, c.most)
				}
			})
		})
	}
}

func TestAFullWindowOfEgressMessagesIsOnItsWayAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		ports := m.Ports(0)
		sink := &heldSink{Sink: ports.Egress}
		ports.Egress = sink
		cfg := actor.Config{Partitions: 1, SinkWindow: 10}
		a := run(t, m, actor.NewProcessor(cfg, ports, catalog{"counter": {Function: function(counter)}}, actor.NewCalls(0), zerolog.Nop()))
		defer a.end()
		for i := range 30 {
			a.send(to("counter", strconv.Itoa(i)), "x")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		a.want("messages on their way", sink.waiting(), 10)
		for _, n := range []int{1, 3, 30} { // answered in any order
			sink.answer(n)
			time.Sleep(time.Second)
			synctest.Wait()
			a.want("messages on their way", sink.waiting(), min(10, 30-len(a.emitted())))
		}
		for sink.waiting() > 0 {
			sink.answer(4)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		a.want("messages stored", len(a.emitted()), 30)
	})
}

func TestCallsPauseWhileWhatTheySentTakesTooMuchMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := actortest.NewMemory()
		ports := m.Ports(0)
		sink := &heldSink{Sink: ports.Egress}
		ports.Egress = sink
		cfg := actor.Config{Partitions: 1, MaxUnappliedBytes: 10_000}
		a := run(t, m, actor.NewProcessor(cfg, ports, catalog{"counter": {Function: function(counter)}}, actor.NewCalls(0), zerolog.Nop()))
		defer a.end()
		const messages = 100
		for i := range messages {
			a.send(to("counter", strconv.Itoa(i)), "x")
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		if n := sink.waiting(); n < 10 || n > 30 { // some 400 bytes each
			t.Errorf("%d messages wait for the egress, want 10 to 30", n)
		}
		for len(a.emitted()) < messages {
			if sink.waiting() == 0 {
				t.Fatalf("no call goes on after %d messages", len(a.emitted()))
			}
			sink.answer(messages)
			time.Sleep(time.Second)
			synctest.Wait()
		}
	})
}

// heldSink stores messages when it is told to.
type heldSink struct {
	actor.Sink

	mu   sync.Mutex
	held []func()
}

func (s *heldSink) Publish(m actor.SinkMessage, mark uint64, done func(actor.WriteResult)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, func() { s.Sink.Publish(m, mark, done) })
}

// waiting is how many messages are held.
func (s *heldSink) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// answer stores n of those that wait, the newest first.
func (s *heldSink) answer(n int) {
	s.mu.Lock()
	at := max(len(s.held)-n, 0)
	now := s.held[at:]
	s.held = s.held[:at:at]
	s.mu.Unlock()
	for _, publish := range slices.Backward(now) {
		publish()
	}
}

func TestStatesLeaveMemoryByTheirSizeAndAreReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		large := func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
			there, _ := b.State.Get("large")
			data := append(there.Value.Data, make([]byte, 100<<10)...)
			return &actor.Effects{
				Mutations: []actor.Mutation{{Name: "large", Value: actor.Value{Type: "test/bytes", Data: data}}},
				Egress:    emit(strconv.Itoa(len(data) >> 10)).Egress,
			}, nil
		}
		m := actortest.NewMemory()
		cfg := actor.Config{Partitions: 1, CachedBytes: 350 << 10}
		a := run(t, m, actor.NewProcessor(cfg, m.Ports(0), catalog{"large": {Function: function(large)}}, actor.NewCalls(0), zerolog.Nop()))
		defer a.end()
		for i := range 10 {
			a.send(to("large", strconv.Itoa(i)), "x")
		}
		time.Sleep(time.Minute)
		if n := a.proc.Stats().CachedAddresses; n != 3 {
			t.Errorf("%d states of 100 KiB are in memory, where 350 KiB are allowed", n)
		}
		for _, id := range []string{"9", "0"} { // in memory, and not
			a.send(to("large", id), "x")
			time.Sleep(time.Minute)
			if got := a.emitted(); got[len(got)-1] != "200" {
				t.Errorf("the second call of %s leaves %s KiB, want 200", id, got[len(got)-1])
			}
		}
	})
}
