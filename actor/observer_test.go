package actor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

const (
	outerTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	batchTrace = "00-0af7651916cd43dd8448eb211c80319c-00000000000000aa-01"
)

// watcher writes down what an observer is told.
type watcher struct {
	mu    sync.Mutex
	lines []string
}

func (w *watcher) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

func (w *watcher) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// apart moves the lines that begin with prefix to the end: their order against
// others isn't certain.
func (w *watcher) apart(prefix string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.lines, func(a, b string) int {
		one, other := strings.HasPrefix(a, prefix), strings.HasPrefix(b, prefix)
		switch {
		case one == other:
			return 0
		case one:
			return 1
		}
		return -1
	})
}

func (w *watcher) Accepted(t actor.TypeName) { w.note("accepted %s", t) }

func (w *watcher) Invoking(b *actor.Batch) actor.Invocation {
	if !b.Envelopes[0].Trace.Sampled() {
		return nil
	}
	again := b.Span.Traced()
	b.Span.Trace = actor.Trace{Parent: batchTrace}
	w.note("call %s of %d, known %v", b.Target, len(b.Envelopes), again)
	return ending{w}
}

type ending struct{ w *watcher }

func (e ending) End(_ *actor.Effects, err error) { e.w.note("called, failed %v", err != nil) }

func (w *watcher) Retreated(d *actor.Done) { w.note("retreat %s with %d", d.Target, d.Len()) }

func (w *watcher) Committed(c *actor.Committed) {
	for i := range c.Done {
		d := &c.Done[i]
		w.note("committed %s with %d, traced %v, stored %v, given up %v", d.Target, d.Len(), d.Span.Traced(), d.Message(0).StoredAt > 0, d.Letter != nil)
	}
}

func (w *watcher) Applied(c *actor.Committed) { w.note("applied %d", c.Number) }

// observe starts an application that tells w and logs to log.
func observe(t *testing.T, w *watcher, log *bytes.Buffer, functions catalog) *app {
	t.Helper()
	m := actortest.NewMemory()
	cfg := actor.Config{Partitions: 1, Observer: w, LetterID: func(id actor.SinkID) string { return fmt.Sprintf("letter-%d", id.Index) }}
	return run(t, m, actor.NewProcessor(cfg, m.Ports(0), functions, actor.NewCalls(0), zerolog.New(log)))
}

func (a *app) sendTraced(target actor.Address, parent string) {
	a.memory.Send(actor.SourceMailbox, 0, false, actor.Input{Envelope: actor.Envelope{
		Target: target, Value: text("secret"), Trace: actor.Trace{Parent: parent},
	}})
}

func TestAnObserverIsToldOfAMessagesWholeWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fails := true
		var later actor.Envelope
		functions := catalog{
			"first": {Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) {
				if fails {
					fails = false
					return nil, errors.New("not yet")
				}
				return &actor.Effects{
					Sends:   []actor.Send{{Target: to("second", "b"), Value: text("x")}},
					Delayed: []actor.Delayed{{Target: to("later", "c"), Delay: time.Minute, Value: text("x")}},
				}, nil
			})},
			"second": {Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) { return nil, nil })},
			"later": {Function: function(func(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
				later = b.Envelopes[0]
				return nil, nil
			})},
		}
		w := &watcher{}
		a := observe(t, w, &bytes.Buffer{}, functions)
		a.sendTraced(to("first", "a"), outerTrace)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		w.apart("applied")
		a.want("told", w.told(), strings.Join([]string{
			"accepted test/first",
			"call test/first/a of 1, known false", "called, failed true",
			"call test/first/a of 1, known true", "called, failed false",
			"committed test/first/a with 1, traced true, stored true, given up false",
			"accepted test/second",
			"call test/second/b of 1, known false", "called, failed false",
			"committed test/second/b with 1, traced true, stored true, given up false",
			"applied 1", "applied 2",
		}, "\n"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		from, delayed := later.Trace.Delayed()
		a.want("trace of what was delayed", []any{from, delayed}, []any{actor.Trace{Parent: batchTrace}, true})
		a.end()
	})
}

func TestAPoisonedMessageLogsOnceWithAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		functions := catalog{"bad": {
			Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) {
				return nil, &actor.InvokeError{Reason: actor.ReasonStatus, HTTPStatus: 500, Endpoint: "http://shop", Err: errors.New("out of order")}
			}),
			Policy: actor.Policy{Attempts: 3},
		}}
		w, log := &watcher{}, &bytes.Buffer{}
		a := observe(t, w, log, functions)
		a.sendTraced(to("bad", "a"), outerTrace)
		time.Sleep(10 * time.Second)
		a.end()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 1 {
			t.Fatalf("log = %s, want one line", log)
		}
		for _, want := range []string{
			`"message":"message dead-lettered"`, `"target":"test/bad/a"`, `"dlq_id":"letter-0"`, `"reason":"status"`, `"http_status":500`,
			`"attempts":3`, `"endpoint":"http://shop"`, `out of order`, `"trace_id":"0af7651916cd43dd8448eb211c80319c"`, `"first_at"`, `"partition":0`,
		} {
			if !strings.Contains(lines[0], want) {
				t.Errorf("log line %s lacks %s", lines[0], want)
			}
		}
		if strings.Contains(log.String(), "secret") {
			t.Error("the log shows the message's value")
		}
		if told := w.told(); strings.Count(told, "given up true") != 1 {
			t.Errorf("the observer was told\n%s\nwant one message given up", told)
		}
	})
}

func TestACensusCountsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var fails atomic.Bool
		fails.Store(true)
		functions := catalog{"slow": {MaxBatch: 2, Function: function(func(ctx context.Context, _ *actor.Batch) (*actor.Effects, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil, nil
		})}, "fails": {Policy: actor.Policy{BackoffMin: 5 * time.Second}, Function: function(func(context.Context, *actor.Batch) (*actor.Effects, error) {
			if fails.Load() {
				return nil, errors.New("not yet")
			}
			return nil, nil
		})}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("slow", "a"), "1")
		synctest.Wait()
		first := time.Now().UnixMilli()
		a.send(to("slow", "a"), "2", "3") // as many as a call takes
		time.Sleep(time.Second)
		a.send(to("slow", "b"), "1")
		synctest.Wait()
		a.send(to("slow", "b"), "2")
		time.Sleep(time.Second)
		a.send(to("fails", "c"), "1")
		time.Sleep(time.Second)
		got, err := a.proc.Census(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.want("census", got[to("slow", "").Type], actor.Census{Waiting: 3, Running: 2, Blocked: 1, Oldest: first})
		a.want("census of what is tried again", got[to("fails", "").Type], actor.Census{Waiting: 1, Retrying: 1, Oldest: first + 2000})
		close(release)
		fails.Store(false)
		time.Sleep(time.Minute)
		got, err = a.proc.Census(t.Context())
		a.want("census at last", []any{len(got), err}, []any{0, error(nil)})
		a.end()
	})
}

func TestASumOfCensusesKnowsTheOldestOfBoth(t *testing.T) {
	t.Parallel()
	known, older, none := actor.Census{Waiting: 1, Oldest: 7}, actor.Census{Waiting: 2, Running: 1, Oldest: 5}, actor.Census{Blocked: 1, Retrying: 2}
	for _, c := range []struct{ a, b, want actor.Census }{
		{known, older, actor.Census{Waiting: 3, Running: 1, Oldest: 5}},
		{older, known, actor.Census{Waiting: 3, Running: 1, Oldest: 5}},
		{known, none, actor.Census{Waiting: 1, Blocked: 1, Retrying: 2, Oldest: 7}},
		{none, known, actor.Census{Waiting: 1, Blocked: 1, Retrying: 2, Oldest: 7}},
	} {
		if got := c.a.Plus(c.b); got != c.want {
			t.Errorf("%+v.Plus(%+v) = %+v, want %+v", c.a, c.b, got, c.want)
		}
	}
	for now, want := range map[int64]int64{10: 3, 7: 0, 6: 0} { // another worker's clock may be ahead
		if got := known.Age(now); got != want {
			t.Errorf("at %d the oldest message is %d ms old, want %d", now, got, want)
		}
	}
	if got := none.Age(10); got != 0 {
		t.Errorf("what has no oldest message is %d ms old, want 0", got)
	}
}
