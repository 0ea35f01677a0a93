package actortest

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/jetfn/jetfn/actor"
)

// TestTimerStore runs the suite of actor.TimerStore. Open is called once a
// test and returns the store of a partition.
func TestTimerStore(t *testing.T, open func(t *testing.T) func(partition int) actor.TimerStore) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func(int) actor.TimerStore){
		"timers are read back as they were":               readsTimers,
		"a late put can't bring a deleted timer back":     latePut,
		"a delete before the put wins":                    deleteFirst,
		"putting a timer again changes nothing":           putTwice,
		"a partition reads its own timers only":           ownTimers,
		"many timers are all read, deleted ones left out": manyTimers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func timer(commit uint64, index int) actor.Timer {
	return actor.Timer{
		ID:    actor.TimerID{Epoch: 2, Commit: commit, Index: index},
		DueAt: 1700000000000 + int64(index), Token: "token \x00",
		Envelope: actor.Envelope{
			Target: address("target.1"), Caller: address("caller"),
			Value: actor.Value{Type: "a/b", Data: []byte{0, 1, 255}},
			Trace: actor.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"},
		},
	}
}

func put(t *testing.T, s actor.TimerStore, timer actor.Timer) {
	t.Helper()
	r := Await(t, func(done func(actor.WriteResult)) { s.Put(timer, done) })
	if r.Outcome != actor.Stored || r.Err != nil {
		t.Fatalf("Put(%v) = %+v, want Stored", timer.ID, r)
	}
}

func remove(t *testing.T, s actor.TimerStore, id actor.TimerID) {
	t.Helper()
	r := Await(t, func(done func(actor.WriteResult)) { s.Delete(id, done) })
	if r.Outcome != actor.Stored || r.Err != nil {
		t.Fatalf("Delete(%v) = %+v, want Stored", id, r)
	}
}

// Timers returns all that s holds.
func Timers(ctx context.Context, s actor.TimerStore) (all []actor.Timer, err error) {
	err = s.LoadAll(ctx, func(list []actor.Timer) { all = append(all, list...) })
	return all, err
}

func wantTimers(t *testing.T, s actor.TimerStore, want ...actor.Timer) {
	t.Helper()
	got, err := Timers(t.Context(), s)
	if err != nil {
		t.Fatalf("LoadAll = %v", err)
	}
	slices.SortFunc(got, func(a, b actor.Timer) int {
		return cmp.Or(cmp.Compare(a.ID.Epoch, b.ID.Epoch), cmp.Compare(a.ID.Commit, b.ID.Commit), cmp.Compare(a.ID.Index, b.ID.Index))
	})
	equal(t, "LoadAll", got, want)
}

func readsTimers(t *testing.T, open func(int) actor.TimerStore) {
	t.Helper()
	s := open(1)
	wantTimers(t, s)
	plain := actor.Timer{ID: actor.TimerID{Epoch: 1, Commit: 1}, DueAt: 0, Envelope: actor.Envelope{Target: address("x")}}
	put(t, s, timer(1, 0))
	put(t, s, timer(1, 1))
	put(t, s, plain)
	wantTimers(t, s, plain, timer(1, 0), timer(1, 1))
	wantTimers(t, s, plain, timer(1, 0), timer(1, 1))
}

func latePut(t *testing.T, open func(int) actor.TimerStore) {
	t.Helper()
	s := open(1)
	put(t, s, timer(1, 0))
	remove(t, s, timer(1, 0).ID)
	put(t, s, timer(1, 0))
	wantTimers(t, s)
}

func deleteFirst(t *testing.T, open func(int) actor.TimerStore) {
	t.Helper()
	s := open(1)
	remove(t, s, timer(1, 0).ID)
	remove(t, s, timer(1, 0).ID)
	put(t, s, timer(1, 0))
	wantTimers(t, s)
}

func putTwice(t *testing.T, open func(int) actor.TimerStore) {
	t.Helper()
	s := open(1)
	put(t, s, timer(1, 0))
	other := timer(1, 0)
	other.DueAt = 5
	put(t, s, other)
	wantTimers(t, s, timer(1, 0))
}

func ownTimers(t *testing.T, open func(int) actor.TimerStore) {
	t.Helper()
	one, eleven := open(1), open(11)
	put(t, one, timer(1, 0))
	put(t, eleven, timer(2, 0))
	wantTimers(t, one, timer(1, 0))
	wantTimers(t, eleven, timer(2, 0))
}

func manyTimers(t *testing.T, open func(int) actor.TimerStore) {
	t.Helper()
	const n = 300
	s := open(1)
	AwaitAll(t, n, func(i int, done func(actor.WriteResult)) { s.Put(timer(1, i), done) })
	AwaitAll(t, n/2, func(i int, done func(actor.WriteResult)) { s.Delete(timer(1, 2*i).ID, done) })
	var want []actor.Timer
	for i := 1; i < n; i += 2 {
		want = append(want, timer(1, i))
	}
	wantTimers(t, s, want...)
}
