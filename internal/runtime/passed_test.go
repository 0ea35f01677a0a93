package runtime_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/internal/runtime"
)

// vouchers note below what each partition says that it is done with all.
type vouchers struct {
	mu    sync.Mutex
	below map[int]uint64
}

// inbox is that of a partition.
func (v *vouchers) inbox(partition int, inner actor.Inbox) actor.Inbox {
	return notedInbox{inner, func(before uint64) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.below[partition] = max(v.below[partition], before)
	}}
}

func (v *vouchers) want(t *testing.T, when string, want map[int]uint64) {
	t.Helper()
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if diff := cmp.Diff(want, v.below); diff != "" {
		t.Errorf("%s partitions vouch for what is below (-want +got):\n%s", when, diff)
	}
}

type notedInbox struct {
	actor.Inbox

	note func(before uint64)
}

func (i notedInbox) Trim(ctx context.Context, source actor.Source, before uint64) error {
	i.note(before)
	return i.Inbox.Trim(ctx, source, before)
}

// sinkhole serves every type but those called "away", which may come back.
type sinkhole struct{}

func (sinkhole) Lookup(t actor.TypeName) (actor.FunctionSpec, bool) {
	if t.Name == "away" {
		return actor.FunctionSpec{AwaitedUntil: time.Now().Add(24 * time.Hour).UnixMilli()}, true
	}
	return actor.FunctionSpec{Function: goFunction(func(context.Context, *actor.Batch) (*actor.Effects, error) { return &actor.Effects{}, nil })}, true
}

func TestAllPartitionsAreToldHowFarAFeedIsAndNoFurther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, vouched := actortest.NewMemory(), &vouchers{below: map[int]uint64{}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var owners sync.WaitGroup
		defer owners.Wait()
		const partitions, ended, stuck = 5, 3, 4
		processors := make([]*actor.Processor, partitions)
		for p := range partitions {
			if p == ended {
				continue
			}
			ports := memory.Ports(p)
			ports.Inbox = vouched.inbox(p, ports.Inbox)
			cfg := actor.Config{Partition: p, Partitions: partitions, TrimDelay: 10 * time.Second}
			processors[p] = actor.NewProcessor(cfg, ports, sinkhole{}, actor.NewCalls(0), zerolog.Nop())
			if p == stuck {
				continue
			}
			owners.Go(func() {
				if err := processors[p].Run(ctx); err != nil {
					t.Error(err)
				}
			})
			<-processors[p].Opened()
		}
		// Partition 0 gets messages, 1 one that waits, 2 nothing; 3 has ended, and
		// 4 does not run, so that it takes some and then holds up the feed.
		steps := make(chan func(context.Context, broker.Deliver) error)
		wait, failed := runtime.Feed(ctx, actor.SourceMailbox, processors, 1, func(ctx context.Context, _ uint64, deliver broker.Deliver) error {
			for {
				select {
				case step := <-steps:
					if err := step(ctx, deliver); err != nil {
						return err
					}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
		defer cancel()
		defer wait()
		message := func(seq uint64, name string) actor.Delivery {
			target := actor.Address{Type: actor.TypeName{Namespace: "test", Name: name}, ID: "a"}
			return actor.Delivery{Source: actor.SourceMailbox, Seq: seq, Time: time.Now().UnixMilli(), Inputs: []actor.Input{{Envelope: actor.Envelope{Target: target}}}}
		}
		deliver := func(partition int, seq uint64, name string) {
			steps <- func(ctx context.Context, deliver broker.Deliver) error {
				return deliver(ctx, partition, message(seq, name))
			}
		}
		time.Sleep(time.Minute)
		vouched.want(t, "before anything was read", map[int]uint64{})

		deliver(0, 3, "here")
		deliver(0, 7, "here")
		time.Sleep(5 * time.Minute) // for deduplication, what was there before the owners stays for a while
		vouched.want(t, "after the message 7", map[int]uint64{0: 8, 1: 8, 2: 8})

		deliver(1, 9, "away")
		deliver(0, 12, "here")
		deliver(ended, 15, "here") // stays in the stream: nobody but its owner may vouch for it
		time.Sleep(time.Minute)
		vouched.want(t, "with the message 9 open", map[int]uint64{0: 16, 1: 8, 2: 16})

		var delivering atomic.Uint64
		steps <- func(ctx context.Context, deliver broker.Deliver) (err error) {
			for seq := uint64(20); err == nil; seq++ { // until the processor takes no more
				delivering.Store(seq)
				err = deliver(ctx, stuck, message(seq, "here"))
			}
			return err
		}
		time.Sleep(time.Minute)
		at := delivering.Load()
		vouched.want(t, "while a message can't be delivered", map[int]uint64{0: at, 1: 8, 2: at})

		wait()
		if err := failed(); err != nil {
			t.Errorf("the feed ended its generation: %v", err)
		}
		time.Sleep(time.Hour)
		vouched.want(t, "an hour after the feed ended", map[int]uint64{0: at, 1: 8, 2: at})
	})
}
