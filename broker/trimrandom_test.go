package broker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/broker"
)

var errFlaky = errors.New("no answer")

// flakyStream is a stream of messages of several partitions as a trimmer uses
// it. Some requests get no answer, and some of those have been carried out.
type flakyStream struct {
	jetstream.Stream

	messages []flakyMessage
	last     uint64
	fails    func() (before, after bool)
}

type flakyMessage struct {
	seq       uint64
	partition int
	subject   string
	size      int
}

// flakySubjects are those of a partition.
func flakySubjects(partition int) []string {
	p := strconv.Itoa(partition)
	return []string{"in." + p, "out." + p}
}

func (s *flakyStream) publish(partition, size int, subject int) {
	s.last++
	s.messages = append(s.messages, flakyMessage{s.last, partition, flakySubjects(partition)[subject], size})
}

func (s *flakyStream) Info(context.Context, ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	if before, after := s.fails(); before || after {
		return nil, errFlaky
	}
	info := &jetstream.StreamInfo{State: jetstream.StreamState{LastSeq: s.last, FirstSeq: s.last + 1, Msgs: uint64(len(s.messages))}}
	for i, m := range s.messages {
		if i == 0 {
			info.State.FirstSeq = m.seq
		}
		info.State.Bytes += uint64(m.size)
	}
	return info, nil
}

func (s *flakyStream) Purge(_ context.Context, opts ...jetstream.StreamPurgeOpt) error {
	before, after := s.fails()
	if before {
		return errFlaky
	}
	r := &jetstream.StreamPurgeRequest{}
	for _, opt := range opts {
		if err := opt(r); err != nil {
			return err
		}
	}
	s.messages = slices.DeleteFunc(s.messages, func(m flakyMessage) bool {
		return m.seq < r.Sequence && (r.Subject == "" || r.Subject == m.subject)
	})
	if after {
		return errFlaky
	}
	return nil
}

func TestTrimmingRemovesWhatPartitionsAreDoneWithAndNothingElse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be replayed
			s := &trimScene{t: t, r: r, seed: seed, done: make([]uint64, 1+r.IntN(4))}
			s.stream.fails = s.fails
			s.trim = broker.NewTrimmer(&s.stream, len(s.done), flakySubjects)
			for range 1 + r.IntN(60) {
				s.step()
			}
			s.calm = true
			for range 2 { // the second time all have said all
				for p := range s.done {
					time.Sleep(10 * time.Second)
					s.say(p, s.stream.last+1)
				}
			}
			if n := len(s.stream.messages); n > 0 {
				t.Fatalf("seed %d: %d messages are left when all partitions are done, the first %+v", seed, n, s.stream.messages[0])
			}
		})
		if t.Failed() {
			return
		}
	}
}

// trimScene is a stream that is filled and trimmed, and what partitions have
// said.
type trimScene struct {
	t      *testing.T
	r      *rand.Rand
	seed   uint64
	stream flakyStream
	trim   func(ctx context.Context, partition int, before uint64) error
	done   []uint64 // by partition: what is below may go
	calm   bool     // nothing fails any more
}

func (s *trimScene) fails() (before, after bool) {
	n := s.r.IntN(10)
	return n == 8 && !s.calm, n == 9 && !s.calm
}

func (s *trimScene) step() {
	switch s.r.IntN(5) {
	case 0, 1:
		size := []int{100, 100_000, 20 << 20}[s.r.IntN(3)]
		for range 1 + s.r.IntN(8) {
			s.stream.publish(s.r.IntN(len(s.done)), size, s.r.IntN(2))
		}
	case 2:
		time.Sleep(time.Duration(s.r.IntN(8000)) * time.Millisecond)
	default:
		// A new owner knows less than the one before, and says so.
		s.say(s.r.IntN(len(s.done)), s.r.Uint64N(s.stream.last+2))
	}
}

// say has a partition be done with what is below before, and finds what was
// removed that nobody was done with.
func (s *trimScene) say(partition int, before uint64) {
	s.done[partition] = max(s.done[partition], before)
	had := slices.Clone(s.stream.messages)
	err := s.trim(s.t.Context(), partition, before)
	if err != nil && (s.calm || !errors.Is(err, errFlaky)) {
		s.t.Fatalf("seed %d: trim(%d, %d) = %v", s.seed, partition, before, err)
	}
	for _, m := range had {
		gone := !slices.ContainsFunc(s.stream.messages, func(left flakyMessage) bool { return left.seq == m.seq })
		if gone && m.seq >= s.done[m.partition] {
			s.t.Fatalf("seed %d: message %+v is removed, its partition is done with what is below %d", s.seed, m, s.done[m.partition])
		}
	}
}
