package kvstate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/jetfn/jetfn/actor"
)

const (
	// headerExpires holds when the first value of a record expires, in Unix
	// milliseconds; 0: none does.
	headerExpires = "Jetfn-Expires"

	sweepRate   = 20_000 // records a second, headers only
	sweepFetch  = 500    // records of one pull
	sweepAtOnce = 64     // records that owners are asked about at the same time
	sweepWait   = 5 * time.Second
	sweepLeast  = time.Second // between two passes
	sweepShare  = 20          // a pass is followed by so many times its length of rest
	maxStale    = 100_000     // keys whose older revisions are known to say nothing
)

// never is a deadline that never comes.
const never = math.MaxInt64

// Sweep asks due about every record that holds something expired, again and
// again, until ctx ends (nil) or the bucket can't be read. Due is called by
// several goroutines; it removes what has expired, or says why not. An error of
// it ends a pass.
//
// A pass reads the headers of all revisions in the bucket, in the order they
// were written, so that it takes little memory, and at a bounded rate. The next
// one begins after a long rest, and not before something expires.
func (s *Store) Sweep(ctx context.Context, due func(ctx context.Context, k actor.StateKey) (actor.Swept, error)) error {
	w := &sweeper{Store: s, due: due, limit: rate.NewLimiter(sweepRate, sweepFetch), seed: maphash.MakeSeed()}
	for {
		s.soonest.Store(never)
		began := time.Now()
		next, err := w.pass(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it ends because it was told to
		}
		if err != nil {
			return fmt.Errorf("sweep expired state: %w", err)
		}
		if !s.rest(ctx, max(sweepLeast, sweepShare*time.Since(began)), next) {
			return nil
		}
	}
}

// rest waits for at least a time, and until something expires that the bucket
// held before, or that was written since. It is false when ctx has ended.
func (s *Store) rest(ctx context.Context, least time.Duration, next int64) bool {
	earliest := time.Now().Add(least)
	for {
		var alarm <-chan time.Time
		if at := min(next, s.soonest.Load()); at != never {
			wait := max(time.Until(time.UnixMilli(at)), time.Until(earliest))
			if wait <= 0 {
				return true
			}
			alarm = time.After(min(wait, time.Hour)) // and look at the clock again
		}
		select {
		case <-ctx.Done():
			return false
		case <-alarm:
		case <-s.sooner:
		}
	}
}

// expires notes when the first value of a record that is being written
// expires.
func (s *Store) expires(at int64) {
	for {
		before := s.soonest.Load()
		if at >= before {
			return
		}
		if s.soonest.CompareAndSwap(before, at) {
			select {
			case s.sooner <- struct{}{}:
			default:
			}
			return
		}
	}
}

// deadline is when the first value of a state expires; zero if none does.
func deadline(list actor.State) (at int64) {
	for i := range list {
		if e := list[i].ExpiresAt; e != 0 && (at == 0 || e < at) {
			at = e
		}
	}
	return at
}

// sweeper makes the passes of one Sweep.
type sweeper struct {
	*Store
	due   func(ctx context.Context, k actor.StateKey) (actor.Swept, error)
	limit *rate.Limiter
	seed  maphash.Seed
	next  atomic.Int64 // of this pass: the first deadline to come

	mu sync.Mutex
	// stale are the revisions of records that owners have told, by a hash of
	// the key: what is stored below says nothing of the record any more.
	stale map[uint64]uint64
}

// pass reads all headers once and returns the first deadline to come.
func (w *sweeper) pass(ctx context.Context) (next int64, err error) {
	w.next.Store(never)
	info, err := w.stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	last := info.State.LastSeq
	if info.State.Msgs == 0 {
		return never, nil
	}
	c, err := w.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return 0, err
	}
	defer w.forget(ctx, c)
	group, limited := errgroup.WithContext(ctx)
	group.SetLimit(sweepAtOnce)
	err = w.read(limited, c, last, func(k actor.StateKey, seq uint64) {
		group.Go(func() error { return w.ask(limited, k, seq) })
	})
	if asked := group.Wait(); asked != nil {
		err = asked
	}
	return w.next.Load(), err
}

// forget removes a consumer, which would go by itself.
func (w *sweeper) forget(ctx context.Context, c jetstream.Consumer) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if info := c.CachedInfo(); info != nil {
		_ = w.stream.DeleteConsumer(limited, info.Name)
	}
}

// read calls found with each record through last that may hold something
// expired.
func (w *sweeper) read(ctx context.Context, c jetstream.Consumer, last uint64, found func(actor.StateKey, uint64)) error {
	for {
		if err := w.limit.WaitN(ctx, sweepFetch); err != nil {
			return err
		}
		end, err := w.pull(ctx, c, last, found)
		if end || err != nil {
			return err
		}
	}
}

// pull is one pull of read; end says that there is no more.
func (w *sweeper) pull(ctx context.Context, c jetstream.Consumer, last uint64, found func(actor.StateKey, uint64)) (end bool, err error) {
	limited, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	batch, err := c.Fetch(sweepFetch, jetstream.FetchContext(limited))
	if err != nil {
		return false, err
	}
	n := 0
	for m := range batch.Messages() {
		n++
		md, err := m.Metadata()
		if err != nil {
			return false, err
		}
		w.look(m.Subject(), m.Headers(), md.Sequence.Stream, found)
		if md.Sequence.Stream >= last || md.NumPending == 0 {
			return true, nil
		}
	}
	if err := batch.Error(); err != nil {
		return false, err
	}
	if n == 0 {
		return false, errors.New("the bucket's stream delivers nothing")
	}
	return false, nil
}

// look judges a revision by its headers.
func (w *sweeper) look(subject string, h nats.Header, seq uint64, found func(actor.StateKey, uint64)) {
	if h.Get(headerCommit) == "" || h.Get(headerOperation) != "" {
		return // somebody else's, or a removal
	}
	key := strings.TrimPrefix(subject, w.prefix)
	at, err := strconv.ParseInt(h.Get(headerExpires), 10, 64)
	switch known := err == nil; { // an older jetfn didn't say
	case known && at == 0:
		return
	case known && at > time.Now().UnixMilli():
		w.later(at)
		return
	case w.past(key, seq):
		return
	}
	if k, err := actor.ParseStateKey(key); err == nil {
		found(k, seq)
	}
}

// ask has the owner of k look at the record.
func (w *sweeper) ask(ctx context.Context, k actor.StateKey, seq uint64) error {
	if w.past(k.Key(), seq) {
		return nil
	}
	swept, err := w.due(ctx, k)
	switch {
	case err != nil:
		return err
	case swept.Busy:
		w.later(time.Now().UnixMilli())
		return nil
	case swept.Next != 0:
		w.later(swept.Next)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.stale) >= maxStale || w.stale == nil {
		w.stale = map[uint64]uint64{}
	}
	w.stale[maphash.String(w.seed, k.Key())] = max(swept.Revision, seq)
	return nil
}

// past reports whether a revision of a key says nothing any more.
func (w *sweeper) past(key string, seq uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return seq < w.stale[maphash.String(w.seed, key)]
}

func (w *sweeper) later(at int64) {
	for {
		before := w.next.Load()
		if at >= before || w.next.CompareAndSwap(before, at) {
			return
		}
	}
}
