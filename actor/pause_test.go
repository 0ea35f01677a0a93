package actor_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// moody repeats its messages, fails at those that it has been told to, and
// keeps a log.
type moody struct {
	mu   sync.Mutex
	bad  map[string]bool
	seen []call
}

// call is a call as the function saw it.
type call struct {
	at    int64
	texts []string
}

func (f *moody) set(bad ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bad = map[string]bool{}
	for _, text := range bad {
		f.bad[text] = true
	}
}

// calls are those that had the text in them.
func (f *moody) calls(text string) (out []call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.seen {
		if slices.Contains(c.texts, text) {
			out = append(out, c)
		}
	}
	return out
}

func (f *moody) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := call{at: time.Now().UnixMilli()}
	e, bad := &actor.Effects{}, false
	for i := range b.Envelopes {
		text := string(b.Envelopes[i].Value.Data)
		c.texts = append(c.texts, text)
		bad = bad || f.bad[text]
		e.Egress = append(e.Egress, emit(b.Target.ID+text).Egress...)
	}
	f.seen = append(f.seen, c)
	if bad {
		return nil, &actor.InvokeError{Reason: actor.ReasonStatus, HTTPStatus: 500, Endpoint: "http://moody", Err: errors.New("status 500: told to")}
	}
	return e, nil
}

func numbers(prefix string, from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, prefix+strconv.Itoa(i))
	}
	return out
}

// emittedBy are the messages of one address, in order.
func (a *app) emittedBy(id string) (out []string) {
	for _, text := range a.emitted() {
		if text[:1] == id {
			out = append(out, text)
		}
	}
	return out
}

func TestAPausedAddressKeepsItsMessagesInOrderAndOthersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &moody{}
		functions := catalog{"count": {Function: f, MaxBatch: 10, Policy: actor.Policy{Attempts: 3, Then: actor.ThenPauseAddress}}}
		f.set("57")
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("count", "a"), numbers("", 0, 100)...)
		a.send(to("count", "b"), numbers("", 0, 10)...)
		time.Sleep(10 * time.Minute)
		a.want("egress of the paused address", a.emittedBy("a"), numbers("a", 0, 57))
		a.want("egress of another one", a.emittedBy("b"), numbers("b", 0, 10))
		a.want("dead letters", len(a.memory.DeadLetters()), 0)

		paused := a.memory.Paused()
		if len(paused) != 1 || !paused[0].Paused || paused[0].Key != actor.PauseAddress(to("count", "a")) {
			t.Fatalf("paused = %+v, want test/count/a", paused)
		}
		seen := f.calls("57")
		last := seen[len(seen)-1]
		want := actor.PauseCause{
			Address: to("count", "a"), Reason: actor.ReasonStatus, Error: "status 500: told to", HTTPStatus: 500, Endpoint: "http://moody",
			Attempts: len(seen), FirstAt: seen[0].at, LastAt: last.at,
		}
		if diff := cmp.Diff(want, paused[0].Cause); diff != "" {
			t.Errorf("the cause (-want +got):\n%s", diff)
		}
		if alone := seen[len(seen)-3:]; len(alone[0].texts) != 1 {
			t.Errorf("the last three calls with it were %v, want it alone", alone)
		}

		f.set() // mended
		<-a.proc.Pause(a.memory.SetPaused(paused[0].Key, false))
		time.Sleep(time.Minute)
		a.want("egress after it was resumed", a.emittedBy("a"), numbers("a", 0, 100))
		a.end()
	})
}

func TestAPauseAfterAFailureOutlivesATakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &moody{}
		functions := catalog{"count": {Function: f, Policy: actor.Policy{Attempts: 2, Then: actor.ThenPauseAddress}}}
		f.set("3")
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("count", "a"), numbers("", 0, 10)...)
		time.Sleep(time.Minute)
		a.end()
		before := len(f.calls("3"))

		b := actor.NewProcessor(actor.Config{Partitions: 1}, a.memory.Ports(0), functions, actor.NewCalls(0), zerolog.Nop())
		paused := a.memory.Paused()[0]
		b.Pause(paused.PauseNews) // as a worker that starts does
		f.set()
		after := run(t, a.memory, b)
		after.send(to("count", "a"), "10")
		time.Sleep(time.Hour)
		after.want("calls while it is paused", len(f.calls("3")), before)
		resumed := a.memory.SetPaused(paused.Key, false)
		<-b.Pause(resumed)
		<-b.Pause(paused.PauseNews, resumed) // old news change nothing
		time.Sleep(time.Minute)
		after.want("egress", after.emitted(), numbers("a", 0, 11))
		after.end()
	})
}

func TestAPauseAfterAFailureDoesNotOverruleAnOperatorWhoWasFaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &moody{}
		f.set("x")
		a := start(t, actortest.NewMemory(), catalog{"count": {Function: f, Policy: actor.Policy{Attempts: 2, Then: actor.ThenPauseAddress}}})
		key := actor.PauseAddress(to("count", "a"))
		a.memory.SetPaused(key, true)
		resumed := a.memory.SetPaused(key, false) // of neither the partition has heard
		a.send(to("count", "a"), "x")
		time.Sleep(time.Minute)
		if p := a.memory.Paused()[0]; p.Paused || p.Revision != resumed.Revision {
			t.Errorf("the record is %+v, want it as the operator left it", p)
		}
		a.want("calls until the news come", len(f.calls("x")), 2)
		f.set()
		<-a.proc.Pause(resumed)
		time.Sleep(time.Minute)
		a.want("egress when they have come", a.emitted(), []string{"ax"})
		a.end()
	})
}

// lossyPauses stores the first record and answers when it is told to. The second
// is lost, which is said one second later.
type lossyPauses struct {
	actor.PauseStore

	count  atomic.Int64
	answer chan func()
}

func (s *lossyPauses) Pause(k actor.PauseKey, cause actor.PauseCause, revision uint64, done func(actor.WriteResult)) {
	switch s.count.Add(1) {
	case 1:
		s.PauseStore.Pause(k, cause, revision, func(res actor.WriteResult) { s.answer <- func() { done(res) } })
	case 2:
		time.AfterFunc(time.Second, func() { done(actor.WriteResult{Outcome: actor.Unknown}) })
	default:
		s.PauseStore.Pause(k, cause, revision, done)
	}
}

func TestALateAnswerAboutOnePauseSaysNothingAboutTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, f := actortest.NewMemory(), &moody{}
		f.set("x")
		ports := m.Ports(0)
		store := &lossyPauses{PauseStore: ports.Pauses, answer: make(chan func(), 1)}
		ports.Pauses = store
		functions := catalog{"count": {Function: f, Policy: actor.Policy{Attempts: 2, Then: actor.ThenPauseAddress}}}
		a := run(t, m, actor.NewProcessor(actor.Config{Partitions: 1}, ports, functions, actor.NewCalls(0), zerolog.Nop()))
		key := actor.PauseAddress(to("count", "a"))
		a.send(to("count", "a"), "x")
		time.Sleep(10 * time.Second)
		<-a.proc.Pause(m.Paused()[0].PauseNews, m.SetPaused(key, false)) // before the answer
		for store.count.Load() < 2 {
			time.Sleep(time.Millisecond)
		}
		(<-store.answer)()
		time.Sleep(time.Minute)
		if p := m.Paused()[0]; !p.Paused || store.count.Load() != 3 {
			t.Errorf("the record is %+v after %d tries, want the second pause", p, store.count.Load())
		}
		a.end()
	})
}

func TestAPauseAfterAFailureIsRecordedAnewWhereTheOldRecordHasExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &moody{}
		f.set("x")
		a := start(t, actortest.NewMemory(), catalog{"count": {Function: f, Policy: actor.Policy{Attempts: 2, Then: actor.ThenPauseAddress}}})
		key := actor.PauseAddress(to("count", "a"))
		<-a.proc.Pause(actor.PauseNews{Key: key, Revision: 7}) // of which nothing is left
		a.send(to("count", "a"), "x")
		time.Sleep(time.Minute)
		if list := a.memory.Paused(); len(list) != 1 || !list[0].Paused || list[0].Key != key {
			t.Errorf("paused = %+v, want the address", list)
		}
		a.end()
	})
}

func TestAPausedFunctionStopsForAllItsAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, other := &moody{}, &moody{}
		functions := catalog{
			"count": {Function: f, Policy: actor.Policy{Attempts: 2, Then: actor.ThenPauseFunction}},
			"other": {Function: other},
		}
		f.set("x")
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("count", "a"), "x")
		time.Sleep(time.Minute)
		a.send(to("count", "b"), "1")
		a.send(to("other", "c"), "2")
		time.Sleep(time.Minute)
		a.want("egress of a paused function and another", a.emitted(), []string{"c2"})
		for round := range 2 { // it fails again with a whole budget, and is paused again
			key := a.memory.Paused()[0].Key
			a.want("what is paused", key, actor.PauseType(to("count", "").Type))
			if round == 1 {
				f.set()
			}
			<-a.proc.Pause(a.memory.SetPaused(key, false))
			time.Sleep(time.Minute)
			a.want("paused", a.memory.Paused()[0].Paused, round == 0)
			a.want("calls", len(f.calls("x")), 4+round)
		}
		out := a.emitted()
		slices.Sort(out)
		a.want("egress", out, []string{"ax", "b1", "c2"})
		a.end()
	})
}

func TestOnePoisonousMessageAmongAThousandIsGivenUpAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &moody{}
		f.set("777")
		a := start(t, actortest.NewMemory(), catalog{"count": {Function: f}})
		<-a.proc.Pause(a.memory.SetPaused(actor.PauseAddress(to("count", "a")), true))
		a.send(to("count", "a"), numbers("", 0, 1000)...)
		time.Sleep(time.Second)
		<-a.proc.Pause(a.memory.SetPaused(actor.PauseAddress(to("count", "a")), false))
		time.Sleep(10 * time.Minute)
		a.want("egress", a.emitted(), append(numbers("a", 0, 777), numbers("a", 778, 1000)...))
		letters := a.memory.DeadLetters()
		if len(letters) != 1 || string(letters[0].DeadLetter.Envelope.Value.Data) != "777" {
			t.Fatalf("%d dead letters, want one, 777", len(letters))
		}
		seen := f.calls("777")
		got := letters[0].DeadLetter
		if got.Attempts != len(seen) || got.FirstAt != seen[0].at || got.LastAt != seen[len(seen)-1].at {
			t.Errorf("the dead letter tells of %d attempts from %d to %d, the function saw %d from %d to %d",
				got.Attempts, got.FirstAt, got.LastAt, len(seen), seen[0].at, seen[len(seen)-1].at)
		}
		sizes := []int{}
		for _, c := range seen {
			if n := len(c.texts); len(sizes) == 0 || sizes[len(sizes)-1] != n {
				sizes = append(sizes, n)
			}
		}
		for i := 1; i < len(sizes); i++ {
			if sizes[i] > (sizes[i-1]+1)/2 && sizes[i] > 1 && sizes[i-1] == 1 {
				t.Errorf("the batches with it were of %v", sizes)
			}
		}
		if len(seen) > 40 {
			t.Errorf("it was tried %d times, want some 30: ten times with all, once in each half, ten times alone; %v", len(seen), sizes)
		}
		a.end()
	})
}
