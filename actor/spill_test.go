package actor_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

func TestABacklogIsReadAgainAboutOnceForAllAddresses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		packs, each, addresses int
		slow                   int           // every so many addresses is ten times as slow
		most                   int           // stored messages read again
		within                 time.Duration // until all is done
	}{
		"several messages of an address in each":     {60, 500, 16, 0, 130, 3 * time.Second},
		"fewer messages in each than addresses":      {60, 500, 1500, 0, 130, 3 * time.Second},
		"some addresses are slow":                    {60, 500, 16, 4, 300, 20 * time.Second},
		"one message in each, all of them of one":    {6000, 1, 1, 0, 6000, 3 * time.Second},
		"one message in each, of several addresses":  {6000, 1, 16, 0, 6000, 3 * time.Second},
		"many messages in each, all of them for one": {60, 500, 1, 0, 200, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := actortest.NewMemory()
				ports := m.Ports(0)
				inbox := &slowInbox{Inbox: ports.Inbox}
				ports.Inbox = inbox
				f := &orderly{t: t, next: map[string]int{}, slow: c.slow, open: make(chan struct{})}
				cfg := actor.Config{Partitions: 1, ResidentInputs: 2000}
				a := run(t, m, actor.NewProcessor(cfg, ports, catalog{"fn": {Function: f}}, actor.NewCalls(0), zerolog.Nop()))
				defer a.end()
				total := c.packs * c.each
				for n := 0; n < total; n += c.each {
					inputs := make([]actor.Input, c.each)
					for i := range inputs {
						k := n + i
						inputs[i].Envelope = actor.Envelope{Target: to("fn", strconv.Itoa(k%c.addresses)), Value: text(strconv.Itoa(k / c.addresses))}
					}
					m.Send(actor.SourceMailbox, 0, false, inputs...)
				}
				synctest.Wait()
				began := time.Now()
				close(f.open)
				for f.handled() < total && time.Since(began) < time.Minute {
					time.Sleep(time.Millisecond)
				}
				if took := time.Since(began); took > c.within {
					t.Errorf("%d of %d messages are handled after %v, want it done within %v", f.handled(), total, took, c.within)
				}
				if n := inbox.count(); n > c.most {
					t.Errorf("%d stored messages were read again %d times, want %d at most", c.packs, n, c.most)
				}
				time.Sleep(5 * time.Second)
				a.want("messages in memory", a.proc.Stats().Resident, 0)
			})
		})
	}
}

// orderly checks that the messages of each address come in order. A call takes
// some milliseconds.
type orderly struct {
	t    *testing.T
	open chan struct{} // closed when calls may end
	slow int

	mu   sync.Mutex
	next map[string]int
	n    int
}

func (f *orderly) Invoke(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
	select {
	case <-f.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	id, _ := strconv.Atoi(b.Target.ID)
	f.mu.Lock()
	took := time.Duration(1+(7*id+f.next[b.Target.ID])%5) * time.Millisecond
	f.mu.Unlock()
	if f.slow > 0 && id%f.slow == 0 {
		took *= 10
	}
	time.Sleep(took * time.Duration(1+len(b.Envelopes)/50))
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range b.Envelopes {
		if got, want := string(b.Envelopes[i].Value.Data), strconv.Itoa(f.next[b.Target.ID]); got != want {
			f.t.Errorf("%s got message %s where %s was due", b.Target, got, want)
		}
		f.next[b.Target.ID]++
	}
	f.n += len(b.Envelopes)
	return &actor.Effects{}, nil
}

func (f *orderly) handled() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// slowInbox takes five milliseconds for each message that is read again.
type slowInbox struct {
	actor.Inbox

	mu sync.Mutex
	n  int
}

func (i *slowInbox) Fetch(ctx context.Context, source actor.Source, seq uint64) (actor.Delivery, error) {
	i.mu.Lock()
	i.n++
	i.mu.Unlock()
	time.Sleep(5 * time.Millisecond)
	return i.Inbox.Fetch(ctx, source, seq)
}

func (i *slowInbox) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.n
}
