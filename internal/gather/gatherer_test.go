package gather_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/gather"
)

// stream notes what it is asked for, and answers when it is told to.
type stream struct {
	asked   []string
	pending []func(actor.WriteResult)
	cut     int // how many writes are stored of a batch that isn't
	alarms  []func()
	now     time.Duration
}

func (s *stream) Single(w string, done func(actor.WriteResult)) {
	s.asked, s.pending = append(s.asked, w), append(s.pending, done)
}

func (s *stream) Batch(ws []string, done func(gather.BatchResult)) {
	s.asked = append(s.asked, "["+strings.Join(ws, " ")+"]")
	s.pending = append(s.pending, func(r actor.WriteResult) {
		if r.Outcome == actor.Stored {
			done(gather.BatchResult{Stored: len(ws), Seq: r.Seq})
			return
		}
		done(gather.BatchResult{Stored: s.cut, Seq: r.Seq, Rest: r.Outcome, Err: r.Err})
	})
}

func (s *stream) Now() time.Duration { return s.now }

func (s *stream) After(d time.Duration, f func()) {
	s.asked, s.alarms = append(s.asked, "rest "+d.String()), append(s.alarms, f)
}

// answer gives the oldest request its outcome.
func (s *stream) answer(r actor.WriteResult) {
	done := s.pending[0]
	s.pending = s.pending[1:]
	done(r)
}

func (s *stream) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Errorf("asked of the stream %s (-want +got):\n%s", when, diff)
	}
	s.asked = nil
}

// outcomes are those of writes, in the order in which they came.
type outcomes []string

func (o *outcomes) of(name string) func(actor.WriteResult) {
	return func(r actor.WriteResult) {
		text := fmt.Sprintf("%s: %d at %d", name, r.Outcome, r.Seq)
		if errors.Is(r.Err, gather.ErrBehindUnknown) {
			text = name + ": not sent"
		}
		*o = append(*o, text)
	}
}

func (o *outcomes) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(outcomes(want), *o); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	*o = nil
}

func write(g *gather.Gatherer[string], o *outcomes, lane gather.Lane, names ...string) {
	for _, name := range names {
		g.Write(name, 10, lane, o.of(name))
	}
}

func stored(seq uint64) actor.WriteResult { return actor.WriteResult{Outcome: actor.Stored, Seq: seq} }

var errTest = errors.New("test")

func TestFewWritesGoSinglyAndWhatPilesUpGoesTogether(t *testing.T) {
	t.Parallel()
	s, o := &stream{}, &outcomes{}
	g := gather.New(s, gather.Limits{Singles: 2, Least: 3, Most: 4, Bytes: 1000})
	write(g, o, gather.Lane{}, "a", "b", "c", "d")
	s.want(t, "at first", "a", "b")
	write(g, o, gather.Lane{}, "e", "f", "g", "h", "i")
	s.want(t, "once there are three", "[c d e]")
	s.answer(stored(1))
	s.answer(stored(2))
	s.want(t, "behind a batch")
	s.answer(stored(5))
	s.want(t, "after the batch", "[f g h i]")
	o.want(t, "a: 0 at 1", "b: 0 at 2", "c: 0 at 3", "d: 0 at 4", "e: 0 at 5")
	write(g, o, gather.Lane{}, "j")
	s.answer(stored(9))
	s.want(t, "when one is left", "j")
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	s, o := &stream{}, &outcomes{}
	g := gather.New(s, gather.Limits{Singles: 1, Least: 2, Most: 100, Bytes: 30})
	write(g, o, gather.Lane{}, "a")
	g.Write("large", 1000, gather.Lane{}, o.of("large"))
	s.answer(stored(1))
	s.want(t, "with little behind it", "a", "large")
	for _, name := range []string{"b", "c", "d", "e", "f"} {
		write(g, o, gather.Lane{}, name)
	}
	s.want(t, "by the small ones", "[b c]")
	s.answer(stored(2))
	s.answer(stored(4))
	s.want(t, "for the rest", "[d e f]")
}

func TestABatchThatIsRefusedIsWrittenSinglyBeforeAllElse(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]actor.Outcome{"rejected": actor.Rejected, "refused": actor.Refused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o := &stream{}, &outcomes{}
			g := gather.New(s, gather.Limits{Singles: 2, Least: 3, Most: 4, Bytes: 1000})
			write(g, o, gather.Lane{Key: 1, Generation: 7}, "a", "b", "c", "d", "e", "f")
			s.answer(stored(1))
			s.answer(stored(2))
			s.want(t, "at first", "a", "b", "[c d e]")
			s.answer(actor.WriteResult{Outcome: refusal, Err: errTest})
			s.want(t, "after the refusal", "c", "d")
			o.want(t, "a: 0 at 1", "b: 0 at 2")
			s.answer(stored(3))
			s.answer(actor.WriteResult{Outcome: actor.Rejected, Seq: 9, Err: errTest})
			s.want(t, "after two of them", "e", "f")
			o.want(t, "c: 0 at 3", "d: 1 at 9")
		})
	}
}

func TestNothingOfALaneIsWrittenBehindABatchOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	s, o := &stream{}, &outcomes{}
	g := gather.New(s, gather.Limits{Singles: 1, Least: 2, Most: 2, Bytes: 1000})
	one, two := gather.Lane{Key: 1, Generation: 7}, gather.Lane{Key: 2, Generation: 8}
	write(g, o, one, "a", "b", "c", "d")
	write(g, o, two, "x", "y")
	s.answer(stored(1))
	s.want(t, "at first", "a", "[b c]")
	o.want(t, "a: 0 at 1")
	s.answer(actor.WriteResult{Outcome: actor.Unknown, Err: errTest})
	s.want(t, "behind the unknown", "[x y]")
	o.want(t, "b: 3 at 0", "c: 3 at 0", "d: not sent")
	s.answer(stored(5))
	write(g, o, one, "e")
	write(g, o, gather.Lane{Key: 1, Generation: 9}, "f")
	write(g, o, gather.Lane{}, "free")
	s.want(t, "under the next generation", "f")
	s.answer(stored(6))
	s.want(t, "without a lane", "free")
	o.want(t, "x: 0 at 4", "y: 0 at 5", "e: not sent", "f: 0 at 6")
}

func TestOfABatchThatEndsHalfWayOnlyTheRestIsWrittenAgain(t *testing.T) {
	t.Parallel()
	s, o := &stream{cut: 2}, &outcomes{}
	g := gather.New(s, gather.Limits{Singles: 1, Least: 3, Most: 4, Bytes: 1000})
	write(g, o, gather.Lane{Key: 1, Generation: 7}, "a", "b", "c", "d", "e", "f", "g", "h")
	s.answer(stored(1))
	s.want(t, "at first", "a", "[b c d]")
	o.want(t, "a: 0 at 1")
	s.answer(actor.WriteResult{Outcome: actor.Refused, Seq: 3, Err: errTest})
	s.want(t, "after the end", "d", "[e f g h]")
	o.want(t, "b: 0 at 2", "c: 0 at 3")
	s.answer(stored(4))
	s.answer(actor.WriteResult{Outcome: actor.Unknown, Seq: 6, Err: errTest})
	write(g, o, gather.Lane{Key: 1, Generation: 7}, "i")
	s.want(t, "behind the unknown")
	o.want(t, "d: 0 at 4", "e: 0 at 5", "f: 0 at 6", "g: 3 at 0", "h: 3 at 0", "i: not sent")
}

func TestAfterABatchNoneBeginsForAWhile(t *testing.T) {
	t.Parallel()
	s, o := &stream{}, &outcomes{}
	g := gather.New(s, gather.Limits{Singles: 1, Least: 2, Most: 9, Bytes: 1000, Rest: 2, RestMost: 30})
	write(g, o, gather.Lane{}, "a", "b", "c")
	s.want(t, "at first", "a", "[b c]")
	write(g, o, gather.Lane{}, "d")
	s.now += 10
	s.answer(stored(1))
	s.answer(stored(3))
	s.want(t, "after the batch", "rest 20ns", "d")
	write(g, o, gather.Lane{}, "e", "f", "g")
	s.want(t, "while it rests")
	s.alarms[0]()
	s.want(t, "after the rest", "[e f g]")
	s.now += 100
	s.answer(stored(4))
	s.answer(stored(7))
	s.want(t, "after a slow batch", "rest 30ns")
}

func TestAFullBatchDoesNotWait(t *testing.T) {
	t.Parallel()
	s, o := &stream{}, &outcomes{}
	g := gather.New(s, gather.Limits{Singles: 1, Least: 2, Most: 3, Bytes: 1000, Rest: 2, RestMost: 30})
	write(g, o, gather.Lane{}, "a", "b", "c", "d", "e", "f", "g")
	s.want(t, "at first", "a", "[b c]")
	s.now += 10
	s.answer(stored(1))
	s.answer(stored(3))
	s.want(t, "after a batch, with a full one waiting", "rest 20ns", "[d e f]")
	s.now += 10
	s.answer(stored(6))
	s.want(t, "after that", "rest 20ns", "g")
	write(g, o, gather.Lane{}, "h", "i")
	s.alarms[0]()
	s.want(t, "once the first rest would be over")
	write(g, o, gather.Lane{}, "j")
	s.want(t, "once three wait", "[h i j]")
}

// instant stores everything at once, sometimes not all of it.
type instant struct {
	mu   sync.Mutex
	list []string
	n    int
}

func (s *instant) Single(w string, done func(actor.WriteResult)) {
	s.mu.Lock()
	s.list = append(s.list, w)
	seq := len(s.list)
	s.mu.Unlock()
	done(stored(uint64(seq)))
}

func (s *instant) Batch(ws []string, done func(gather.BatchResult)) {
	s.mu.Lock()
	s.n++
	n := len(ws)
	switch s.n % 4 {
	case 0:
		n = 0
	case 2:
		n /= 2
	}
	s.list = append(s.list, ws[:n]...)
	r := gather.BatchResult{Stored: n, Seq: uint64(len(s.list))}
	s.mu.Unlock()
	if n < len(ws) {
		r.Rest, r.Err = actor.Refused, errTest
		done(r)
		return
	}
	go done(r)
}

func (s *instant) Now() time.Duration { return 0 }

func (s *instant) After(time.Duration, func()) { panic("no rest was asked for") }

func TestManyGoroutinesKeepTheirOrderAndLearnWhereTheirWritesAre(t *testing.T) {
	t.Parallel()
	s := &instant{}
	g := gather.New(s, gather.Limits{Singles: 3, Least: 4, Most: 50, Bytes: 1 << 20})
	const writers, each = 8, 500
	var answered sync.WaitGroup
	answered.Add(writers * each)
	at := make([][]uint64, writers)
	var group sync.WaitGroup
	for i := range writers {
		at[i] = make([]uint64, each)
		group.Go(func() {
			for n := range each {
				g.Write(fmt.Sprintf("%d-%d", i, n), 1, gather.Lane{}, func(r actor.WriteResult) {
					at[i][n] = r.Seq
					answered.Done()
				})
			}
		})
	}
	group.Wait()
	answered.Wait()
	for i := range writers {
		if !slices.IsSorted(at[i]) {
			t.Errorf("the writes of goroutine %d are stored at %v", i, at[i])
		}
		for n, seq := range at[i] {
			if want := fmt.Sprintf("%d-%d", i, n); s.list[seq-1] != want {
				t.Fatalf("at %d there is %s, want %s", seq, s.list[seq-1], want)
			}
		}
	}
}
