package actortest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jetfn/jetfn/actor"
)

// answerLimit is how long a port may take to call done.
const answerLimit = 20 * time.Second

// Await calls start with a done callback and returns what it is told.
func Await(t *testing.T, start func(done func(actor.WriteResult))) actor.WriteResult {
	t.Helper()
	return AwaitAll(t, 1, func(_ int, done func(actor.WriteResult)) { start(done) })[0]
}

// AwaitAll calls start n times without waiting in between, and returns the
// outcomes in the order of the calls. It fails if done is called twice.
func AwaitAll(t *testing.T, n int, start func(i int, done func(actor.WriteResult))) []actor.WriteResult {
	t.Helper()
	type answer struct {
		i int
		r actor.WriteResult
	}
	answers := make(chan answer, 2*n)
	for i := range n {
		start(i, func(r actor.WriteResult) { answers <- answer{i, r} })
	}
	results := make([]actor.WriteResult, n)
	seen := make([]bool, n)
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	for range n {
		select {
		case a := <-answers:
			if seen[a.i] {
				t.Fatalf("done of write %d was called twice", a.i)
			}
			seen[a.i], results[a.i] = true, a.r
		case <-limit.C:
			t.Fatalf("done was not called within %v", answerLimit)
		}
	}
	return results
}

func wantStored(t *testing.T, what string, r actor.WriteResult) uint64 {
	t.Helper()
	if r.Outcome != actor.Stored || r.Seq == 0 || r.Err != nil {
		t.Fatalf("%s = %+v, want Stored with a sequence", what, r)
	}
	return r.Seq
}

func wantRejected(t *testing.T, what string, r actor.WriteResult, last uint64) {
	t.Helper()
	if r.Outcome != actor.Rejected || r.Err == nil || r.Seq != last {
		t.Fatalf("%s = %+v, want Rejected naming last sequence %d", what, r, last)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
