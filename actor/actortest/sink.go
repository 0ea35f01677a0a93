package actortest

import (
	"errors"
	"testing"

	"github.com/jetfn/jetfn/actor"
)

// TestSink runs the suite of actor.Sink. Open is called once a test and
// returns the sink of a partition; message makes one for it.
func TestSink(t *testing.T, open func(t *testing.T) func(partition int) actor.Sink, message func(id actor.SinkID) actor.SinkMessage) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(int) actor.Sink, func(actor.SinkID) actor.SinkMessage){
		"there is no marker at first":                         noMarker,
		"a marker must follow the last one":                   markerFollows,
		"a marker fences pipelined messages of a stale owner": markerFences,
		"markers of partitions are independent":               markersIndependent,
		"a stale partition keeps none of the others back":     staleAmongMany,
		"a scan finds what was stored between":                scanFinds,
		"a scan beyond the stream's end is an error":          scanBeyond,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t), message)
		})
	}
}

// Egress makes an egress message, for TestSink.
func Egress(id actor.SinkID) actor.SinkMessage {
	return actor.SinkMessage{
		ID: id, Source: address("source"), Time: 1700000000123,
		Egress: &actor.EgressMessage{ID: actor.TypeName{Namespace: "ns", Name: "out"}, Key: "key 1", Value: actor.Value{Type: "a/b", Data: []byte("x")}},
	}
}

// DeadLetter makes a dead letter, for TestSink.
func DeadLetter(id actor.SinkID) actor.SinkMessage {
	return actor.SinkMessage{
		ID: id, Source: address("source"), Time: 1700000000123,
		DeadLetter: &actor.DeadLetter{
			Envelope: actor.Envelope{Target: address("source"), Value: actor.Value{Type: "a/b", Data: []byte("x")}},
			Reason:   actor.ReasonStatus, Error: "no luck", HTTPStatus: 500, Attempts: 10, FirstAt: 1700000000000, LastAt: 1700000000100,
		},
	}
}

// staleAmongMany has several partitions publish at the same time, which may
// then go together, one of them under a marker that isn't the last.
func staleAmongMany(t *testing.T, open func(int) actor.Sink, message func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	const partitions, each, stale = 4, 150, 2
	sinks, marks := make([]actor.Sink, partitions), make([]uint64, partitions)
	for p := range partitions {
		sinks[p] = open(p)
		marks[p] = wantStored(t, "Mark", mark(t, sinks[p], "owner", 0))
	}
	last := wantStored(t, "Mark of another owner", mark(t, sinks[stale], "other", marks[stale]))
	results := AwaitAll(t, partitions*each, func(i int, done func(actor.WriteResult)) {
		p := i % partitions
		sinks[p].Publish(message(sinkID(p, 1, i/partitions)), marks[p], done)
	})
	end := uint64(0)
	for p := range partitions {
		before := marks[p]
		for i := range each {
			r := results[i*partitions+p]
			if p == stale {
				wantRejected(t, "Publish of the stale partition", r, last)
				continue
			}
			if at := wantStored(t, "Publish beside it", r); at <= before {
				t.Fatalf("message %d of partition %d is at %d, behind one at %d", i, p, at, before)
			}
			before = r.Seq
		}
		end = max(end, before)
	}
	for p := range partitions {
		ids, err := sinks[p].Scan(t.Context(), 0, end)
		if want := each; err != nil || p != stale && len(ids) != want || p == stale && len(ids) != 0 {
			t.Fatalf("Scan of partition %d finds %d messages, %v", p, len(ids), err)
		}
		for i, id := range ids {
			equal(t, "Scan", id, sinkID(p, 1, i))
		}
	}
}

func sinkID(partition int, commit uint64, index int) actor.SinkID {
	return actor.SinkID{Partition: partition, Epoch: 4, Commit: commit, Index: index}
}

func mark(t *testing.T, s actor.Sink, body string, after uint64) actor.WriteResult {
	t.Helper()
	return Await(t, func(done func(actor.WriteResult)) { s.Mark([]byte(body), after, done) })
}

func noMarker(t *testing.T, open func(int) actor.Sink, message func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	s := open(1)
	if m, err := s.LastMark(t.Context()); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("LastMark = %v, %v, want ErrNotFound", m, err)
	}
	r := Await(t, func(done func(actor.WriteResult)) { s.Publish(message(sinkID(1, 1, 0)), 9, done) })
	wantRejected(t, "Publish under a marker that never was", r, 0)
}

func markerFollows(t *testing.T, open func(int) actor.Sink, _ func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	s := open(1)
	one := wantStored(t, "first Mark", mark(t, s, "one", 0))
	wantRejected(t, "Mark of one who saw none", mark(t, s, "other", 0), one)
	two := wantStored(t, "second Mark", mark(t, s, "two", one))
	wantRejected(t, "Mark of one who saw the first", mark(t, s, "other", one), two)
	last, err := s.LastMark(t.Context())
	if err != nil {
		t.Fatalf("LastMark = %v", err)
	}
	equal(t, "LastMark", last, actor.Mark{Seq: two, Body: []byte("two")})
}

func markerFences(t *testing.T, open func(int) actor.Sink, message func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	s := open(1)
	one := wantStored(t, "Mark", mark(t, s, "old owner", 0))
	stale := func(base, n int) []actor.WriteResult {
		return AwaitAll(t, n, func(i int, done func(actor.WriteResult)) {
			s.Publish(message(sinkID(1, 1, base+i)), one, done)
		})
	}
	for _, r := range stale(0, 5) {
		wantStored(t, "Publish of the owner", r)
	}
	two := wantStored(t, "Mark of the new owner", mark(t, s, "new owner", one))
	for _, r := range stale(5, 5) {
		wantRejected(t, "pipelined Publish of the old owner", r, two)
	}
	r := Await(t, func(done func(actor.WriteResult)) { s.Publish(message(sinkID(1, 1, 5)), two, done) })
	wantStored(t, "Publish of the new owner", r)
}

func markersIndependent(t *testing.T, open func(int) actor.Sink, message func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	one, two := open(1), open(2)
	mark1 := wantStored(t, "Mark of partition 1", mark(t, one, "one", 0))
	wantStored(t, "Mark of partition 2", mark(t, two, "two", 0))
	r := Await(t, func(done func(actor.WriteResult)) { one.Publish(message(sinkID(1, 1, 0)), mark1, done) })
	wantStored(t, "Publish of partition 1", r)
}

func scanFinds(t *testing.T, open func(int) actor.Sink, message func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	one, two := open(1), open(2)
	mark1 := wantStored(t, "Mark", mark(t, one, "", 0))
	mark2 := wantStored(t, "Mark", mark(t, two, "", 0))
	var want []actor.SinkID
	var seqs []uint64
	for i := range 10 {
		id := sinkID(1, uint64(100+i), i)
		r := Await(t, func(done func(actor.WriteResult)) { one.Publish(message(id), mark1, done) })
		want, seqs = append(want, id), append(seqs, wantStored(t, "Publish", r))
		r = Await(t, func(done func(actor.WriteResult)) { two.Publish(message(sinkID(2, 1, i)), mark2, done) })
		wantStored(t, "Publish of partition 2", r)
	}
	fence := wantStored(t, "Mark", mark(t, one, "", mark1))
	for name, c := range map[string]struct {
		after, through uint64
		want           []actor.SinkID
	}{
		"all":            {0, fence, want},
		"from the fifth": {seqs[4], fence, want[5:]},
		"to the fifth":   {0, seqs[4], want[:5]},
		"nothing":        {fence, fence, nil},
		"one":            {seqs[7] - 1, seqs[7], want[7:8]},
	} {
		got, err := one.Scan(t.Context(), c.after, c.through)
		if err != nil {
			t.Fatalf("Scan(%d, %d) = %v", c.after, c.through, err)
		}
		equal(t, "Scan of "+name, got, c.want)
	}
}

func scanBeyond(t *testing.T, open func(int) actor.Sink, _ func(actor.SinkID) actor.SinkMessage) {
	t.Helper()
	s := open(1)
	seq := wantStored(t, "Mark", mark(t, s, "", 0))
	if ids, err := s.Scan(t.Context(), 0, seq+1); err == nil {
		t.Errorf("Scan through a message that is not there = %v, nil, want an error", ids)
	}
}
