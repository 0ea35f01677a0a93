package actor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
		functions := catalog{"slow": {MaxBatch: 2, Function: function(func(ctx context.Context, _ *actor.Batch) (*actor.Effects, error) {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil, nil
		})}}
		a := start(t, actortest.NewMemory(), functions)
		a.send(to("slow", "a"), "1")
		synctest.Wait()
		a.send(to("slow", "a"), "2", "3", "4")
		time.Sleep(time.Second)
		got, err := a.proc.Census(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := got[to("slow", "").Type]
		a.want("census", []any{c.Waiting, c.Running, c.Blocked, c.Retrying, c.Oldest > 0}, []any{3, 1, 1, 0, true})
		close(release)
		time.Sleep(time.Second)
		got, err = a.proc.Census(t.Context())
		a.want("census at last", []any{len(got), err}, []any{0, error(nil)})
		a.end()
	})
}
