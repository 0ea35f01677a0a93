package actor_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// staleJournal answers each question about its end as it did the first one,
// and reads nothing before it may.
type staleJournal struct {
	actor.Journal
	last    func() (actor.Entry, error)
	mayRead chan struct{}
}

func (j *staleJournal) Last(context.Context) (actor.Entry, error) { return j.last() }

func (j *staleJournal) Next(ctx context.Context, from uint64) (actor.Entry, error) {
	select {
	case <-j.mayRead:
		return j.Journal.Next(ctx, from)
	case <-ctx.Done():
		return actor.Entry{}, ctx.Err()
	}
}

// A gap in the journal is damage only if nobody has taken over: a new owner
// purges what an old one still reads.
func TestAGapInTheJournalIsDamageOnlyForItsOwner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takenOver bool
		want      error
	}{
		"owned":      {false, actor.ErrCorrupt},
		"taken over": {true, actor.ErrFenced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				functions := catalog{"count": {Function: function(counter)}}
				memory := actortest.NewMemory()
				first := start(t, memory, functions)
				for range 3 {
					first.send(to("count", "a"), "x")
					time.Sleep(10 * time.Millisecond)
				}
				first.end()

				ports := memory.Ports(0)
				journal := ports.Journal
				stale := &staleJournal{Journal: journal, mayRead: make(chan struct{})}
				stale.last = sync.OnceValues(func() (actor.Entry, error) { return journal.Last(t.Context()) })
				ports.Journal = stale
				ended := make(chan error, 1)
				go func() {
					ended <- actor.NewProcessor(actor.Config{Partitions: 1}, ports, functions, actor.NewCalls(0), zerolog.Nop()).Run(t.Context())
				}()
				synctest.Wait() // it has written its Open
				if c.takenOver {
					second := start(t, memory, functions)
					defer second.end()
				}
				last, err := journal.Last(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := journal.Purge(t.Context(), last.Seq); err != nil {
					t.Fatal(err)
				}
				close(stale.mayRead)
				if err := <-ended; !errors.Is(err, c.want) || c.takenOver && errors.Is(err, actor.ErrCorrupt) {
					t.Errorf("Run = %v, want %v", err, c.want)
				}
			})
		})
	}
}

// A state that knows more than the journal stops its partition, also when it
// is read while a record is on its way, which proves nothing.
func TestAStateBehindTheEndOfTheJournalIsDamage(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"the journal rests": false, "a record is on its way": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				functions := catalog{"count": {Function: function(counter)}}
				memory := actortest.NewMemory()
				first := start(t, memory, functions)
				for range 3 {
					first.send(to("count", "a"), "x")
					time.Sleep(time.Minute) // for the state and a checkpoint
				}
				first.end()

				ports := memory.Ports(0)
				ports.Journal = slowJournal{actortest.NewMemory().Ports(0).Journal, 10 * time.Millisecond}
				second := run(t, memory, actor.NewProcessor(actor.Config{Partitions: 1}, ports, functions, actor.NewCalls(0), zerolog.Nop()))
				time.Sleep(time.Second)
				if busy {
					second.send(to("count", "b"), "x")
					time.Sleep(time.Millisecond)
				}
				second.send(to("count", "a"), "x")
				select {
				case err := <-second.ended:
					if !errors.Is(err, actor.ErrCorrupt) {
						t.Errorf("Run = %v, want ErrCorrupt", err)
					}
				case <-time.After(time.Minute):
					t.Error("the partition goes on")
					second.end()
				}
			})
		})
	}
}
