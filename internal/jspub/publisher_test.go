package jspub_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/jspub"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

func open(t *testing.T, cfg jetstream.StreamConfig) (*jspub.Publisher, *nats.Conn) {
	t.Helper()
	js := brokertest.Start(t)
	cfg.Name, cfg.Subjects = "S", []string{"s.>"}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	p, err := jspub.New(js.Conn(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, js.Conn()
}

func do(t *testing.T, p *jspub.Publisher, subject string, data []byte, headers ...string) jspub.Ack {
	t.Helper()
	h := nats.Header{}
	for i := 0; i < len(headers); i += 2 {
		h[headers[i]] = []string{headers[i+1]}
	}
	ack, err := p.Do(t.Context(), &nats.Msg{Subject: subject, Data: data, Header: h})
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

func TestOutcomesAreToldApart(t *testing.T) {
	t.Parallel()
	p, nc := open(t, jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 2, MaxMsgSize: 500})
	if ack := do(t, p, "s.a", nil, "Nats-Msg-Id", "1"); ack.Outcome != actor.Stored || ack.Seq != 1 || ack.Duplicate {
		t.Errorf("first publish = %+v", ack)
	}
	if ack := do(t, p, "s.a", nil, "Nats-Msg-Id", "1"); ack.Outcome != actor.Stored || ack.Seq != 1 || !ack.Duplicate {
		t.Errorf("duplicate = %+v", ack)
	}
	if ack := do(t, p, "s.a", nil, "Nats-Expected-Last-Subject-Sequence", "7"); ack.Outcome != actor.Rejected || ack.Seq != 1 || ack.Err == nil {
		t.Errorf("wrong expectation = %+v", ack)
	}
	if ack := do(t, p, "s.a", make([]byte, 501)); ack.Outcome != actor.Refused {
		t.Errorf("message too large for the stream = %+v", ack)
	}
	if ack := do(t, p, "s.a", make([]byte, nc.MaxPayload()+1)); ack.Outcome != actor.Refused || !errors.Is(ack.Err, nats.ErrMaxPayload) {
		t.Errorf("message too large for the server = %+v", ack)
	}
	if ack := do(t, p, "s.b", nil); ack.Outcome != actor.Stored || ack.Seq != 2 {
		t.Errorf("second publish = %+v", ack)
	}
	if ack := do(t, p, "s.b", nil); ack.Outcome != actor.Refused {
		t.Errorf("publish to a full stream = %+v", ack)
	}
	if ack := do(t, p, "elsewhere", nil); ack.Outcome != actor.Unknown || !errors.Is(ack.Err, nats.ErrNoResponders) {
		t.Errorf("publish to no stream = %+v", ack)
	}
}

func TestAskReturnsTheAnswerOrWhyThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, nc := open(t, jetstream.StreamConfig{})
		if _, err := nc.Subscribe("echo", func(m *nats.Msg) {
			if err := m.Respond(m.Data); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.SubscribeSync("deaf"); err != nil {
			t.Fatal(err)
		}
		if m, err := p.Ask(t.Context(), &nats.Msg{Subject: "echo", Data: []byte("hi")}); err != nil || string(m.Data) != "hi" {
			t.Errorf("echo answers %v, %v", m, err)
		}
		if _, err := p.Ask(t.Context(), &nats.Msg{Subject: "nobody"}); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("nobody answers %v", err)
		}
		start := time.Now()
		if _, err := p.Ask(t.Context(), &nats.Msg{Subject: "deaf"}); !errors.Is(err, jspub.ErrTimeout) || time.Since(start) != jspub.DefaultTimeout {
			t.Errorf("the deaf answers %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Ask(ctx, &nats.Msg{Subject: "deaf"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the deaf answers %v within a second", err)
		}
	})
}

func TestAnAnswerThatDoesNotComeIsUnknownAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, nc := open(t, jetstream.StreamConfig{})
		deaf, err := nc.SubscribeSync("deaf")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		took := make(chan time.Duration, 3)
		for range 3 {
			p.Publish(&nats.Msg{Subject: "deaf"}, func(a jspub.Ack) {
				if a.Outcome != actor.Unknown || !errors.Is(a.Err, jspub.ErrTimeout) {
					t.Errorf("answer = %+v, want a timeout", a)
				}
				took <- time.Since(start)
			})
			time.Sleep(time.Second)
		}
		if ack := do(t, p, "s.a", nil); ack.Outcome != actor.Stored {
			t.Errorf("publish meanwhile = %+v", ack)
		}
		for i := range 3 {
			if got, want := <-took, jspub.DefaultTimeout+time.Duration(i)*time.Second; got != want {
				t.Errorf("answer %d after %v, want %v", i, got, want)
			}
		}
		// The client library's own time limits use timers that tests share.
		late, err := deaf.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := late.Respond([]byte(`{"stream":"S","seq":9}`)); err != nil { // done must not be called again
			t.Fatal(err)
		}
		synctest.Wait()
	})
}

func TestWhatWaitsWhenTheConnectionClosesIsUnknown(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*jspub.Publisher, *nats.Conn){
		"publisher":  func(p *jspub.Publisher, _ *nats.Conn) { p.Close() },
		"connection": func(_ *jspub.Publisher, nc *nats.Conn) { nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, nc := open(t, jetstream.StreamConfig{})
			if _, err := nc.SubscribeSync("deaf"); err != nil {
				t.Fatal(err)
			}
			const n = 10
			var calls atomic.Int32
			answers := make(chan jspub.Ack, 3*n)
			for range n {
				p.Publish(&nats.Msg{Subject: "deaf"}, func(a jspub.Ack) { calls.Add(1); answers <- a })
			}
			end(p, nc)
			for range n {
				select {
				case a := <-answers:
					if a.Outcome != actor.Unknown || !errors.Is(a.Err, jspub.ErrClosed) {
						t.Errorf("answer = %+v, want closed", a)
					}
				case <-time.After(time.Minute):
					t.Fatal("no answer")
				}
			}
			p.Publish(&nats.Msg{Subject: "s.a"}, func(a jspub.Ack) { calls.Add(1); answers <- a })
			if a := <-answers; a.Outcome != actor.Unknown {
				t.Errorf("publish afterwards = %+v, want unknown", a)
			}
			p.Close()
			if got := calls.Load(); got != n+1 {
				t.Errorf("done was called %d times, want %d", got, n+1)
			}
		})
	}
}

func TestManyPublishesAreStoredInOrder(t *testing.T) {
	t.Parallel()
	_, nc := open(t, jetstream.StreamConfig{})
	p, err := jspub.New(nc, time.Minute) // all at once, on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	const n = 20000
	seqs := make(chan uint64, n)
	for range n {
		p.Publish(&nats.Msg{Subject: "s.a"}, func(a jspub.Ack) { seqs <- a.Seq })
	}
	for want := uint64(1); want <= n; want++ {
		if got := <-seqs; got != want {
			t.Fatalf("answer %d is for sequence %d", want, got)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	js := brokertest.Start(b)
	if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		b.Fatal(err)
	}
	p, err := jspub.New(js.Conn(), 0)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	window := make(chan struct{}, 1000)
	data := make([]byte, 200)
	for b.Loop() {
		window <- struct{}{}
		p.Publish(&nats.Msg{Subject: "s.a", Data: data}, func(jspub.Ack) { <-window })
	}
}

func TestOneRequestHasManyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that no answer comes too late
		_, nc := open(t, jetstream.StreamConfig{})
		p, err := jspub.New(nc, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		for subject, answers := range map[string][]string{
			"ends":   {"one", "two", "end", "too late"},
			"lasts":  {"one", "two"},
			"silent": nil,
		} {
			if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
				for _, a := range answers {
					_ = m.Respond([]byte(a))
				}
			}); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex // a time-out comes from elsewhere
			var got []string
			ended := make(chan error, 2)
			each := func(m *nats.Msg) bool {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, string(m.Data))
				return string(m.Data) == "end"
			}
			p.AskAll(&nats.Msg{Subject: subject}, each, func(err error) { ended <- err })
			err := <-ended
			if want := subject != "ends"; want != errors.Is(err, jspub.ErrTimeout) || !want && err != nil {
				t.Errorf("%s: done with %v, want a time-out: %t", subject, err, want)
			}
			mu.Lock()
			if want := answers[:min(3, len(answers))]; !slices.Equal(got, want) {
				t.Errorf("%s: answers %q, want %q", subject, got, want)
			}
			mu.Unlock()
			if len(ended) > 0 {
				t.Errorf("%s: done is called again, with %v", subject, <-ended)
			}
		}
		p.Close()
		ended := make(chan error, 1)
		p.AskAll(&nats.Msg{Subject: "ends"}, func(*nats.Msg) bool { return true }, func(err error) { ended <- err })
		if err := <-ended; !errors.Is(err, jspub.ErrClosed) {
			t.Errorf("after Close: %v, want closed", err)
		}
	})
}
