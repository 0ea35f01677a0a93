package actor_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

// trimmedInbox notes below what a partition says that it may be trimmed.
type trimmedInbox struct {
	actor.Inbox

	mu     sync.Mutex
	before uint64
}

func (i *trimmedInbox) Trim(ctx context.Context, source actor.Source, before uint64) error {
	i.mu.Lock()
	if source == actor.SourceMailbox {
		i.before = max(i.before, before)
	}
	i.mu.Unlock()
	return i.Inbox.Trim(ctx, source, before)
}

func (i *trimmedInbox) trimmed() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.before
}

func TestAPartitionVouchesForWhatItGetsNothingOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		waits bool // a message is there, and not decided
		want  uint64
	}{
		"it got nothing":                      {want: 100},
		"it has a message that isn't decided": {waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := actortest.NewMemory()
				ports := m.Ports(0)
				inbox := &trimmedInbox{Inbox: ports.Inbox}
				ports.Inbox = inbox
				functions := removed(time.Hour) // what is for it waits
				proc := actor.NewProcessor(actor.Config{Partitions: 1}, ports, functions, actor.NewCalls(0), zerolog.Nop())
				a := run(t, m, proc)
				defer a.end()
				if c.waits {
					a.send(to("fn", "a"), "x")
				}
				time.Sleep(time.Second)
				proc.Passed(actor.SourceMailbox, 100)
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := inbox.trimmed(); got != 0 {
					t.Errorf("within the deduplication window it is trimmed below %d, want nothing", got)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if got := inbox.trimmed(); got != c.want {
					t.Errorf("it is trimmed below %d, want %d", got, c.want)
				}
			})
		})
	}
}
