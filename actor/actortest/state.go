package actortest

import (
	"bytes"
	"testing"

	"github.com/jetfn/jetfn/actor"
)

// TestStateStore runs the suite of actor.StateStore. The store must be that of
// partition 0 of one.
func TestStateStore(t *testing.T, open func(t *testing.T) actor.StateStore) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, actor.StateStore){
		"what was never written has revision zero":  neverWritten,
		"a record is read back as it was":           readsRecord,
		"a write must expect the last revision":     writeExpects,
		"a removal leaves a marker with its commit": removalMarker,
		"a state of the largest size is stored":     largestState,
		"addresses that look alike are kept apart":  alikeAddresses,
		"an entry is a record of its own":           entriesApart,
		"writes to different keys can be pipelined": pipelinedWrites,
		"a stale write keeps no other one back":     staleAmongWrites,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func address(id string) actor.Address {
	return actor.Address{Type: actor.TypeName{Namespace: "ns", Name: "fn"}, ID: id}
}

func stateOf(commit uint64, values ...actor.StateValue) actor.StateRecord {
	var s actor.State
	for _, v := range values {
		s = s.With(v)
	}
	return actor.StateRecord{State: s, Epoch: 3, Commit: commit}
}

func textState(text string) actor.StateValue {
	return actor.StateValue{Name: "x", Value: actor.Value{Type: "t/text", Data: []byte(text)}, WrittenAt: 1700000000123}
}

func write(t *testing.T, s actor.StateStore, id string, r actor.StateRecord, revision uint64) actor.WriteResult {
	t.Helper()
	return Await(t, func(done func(actor.WriteResult)) { s.Write(record(id), r, revision, done) })
}

func record(id string) actor.StateKey { return actor.StateKey{Address: address(id)} }

func load(t *testing.T, s actor.StateStore, id string) actor.LoadedState {
	t.Helper()
	loaded, err := s.Load(t.Context(), record(id))
	if err != nil {
		t.Fatalf("Load(%q) = %v", id, err)
	}
	return loaded
}

func neverWritten(t *testing.T, s actor.StateStore) {
	t.Helper()
	equal(t, "Load", load(t, s, "a"), actor.LoadedState{})
	wantRejected(t, "Write that expects revision 5", write(t, s, "a", stateOf(1, textState("1")), 5), 0)
	equal(t, "Load after a rejected write", load(t, s, "a"), actor.LoadedState{})
}

func readsRecord(t *testing.T, s actor.StateStore) {
	t.Helper()
	r := stateOf(18446744073709551615,
		actor.StateValue{Name: "", Value: actor.Value{}},
		actor.StateValue{Name: "grüße \"<&>\" \n", Value: actor.Value{Type: "no slash", Data: []byte{0, 255, 10}}, WrittenAt: 1, ExpiresAt: 2},
		actor.StateValue{Name: "z", Value: actor.Value{Type: "a/b", Data: bytes.Repeat([]byte("ab"), 1000)}, WrittenAt: 9007199254740993},
	)
	seq := wantStored(t, "Write", write(t, s, "a.b/c *", r, 0))
	equal(t, "Load", load(t, s, "a.b/c *"), actor.LoadedState{Record: &r, Revision: seq})
}

func writeExpects(t *testing.T, s actor.StateStore) {
	t.Helper()
	one, two := stateOf(1, textState("1")), stateOf(2, textState("2"))
	rev1 := wantStored(t, "first Write", write(t, s, "a", one, 0))
	wantRejected(t, "Write of one who saw nothing", write(t, s, "a", two, 0), rev1)
	rev2 := wantStored(t, "second Write", write(t, s, "a", two, rev1))
	wantRejected(t, "Write of one who saw the first", write(t, s, "a", one, rev1), rev2)
	equal(t, "Load", load(t, s, "a"), actor.LoadedState{Record: &two, Revision: rev2})
}

func removalMarker(t *testing.T, s actor.StateStore) {
	t.Helper()
	rev1 := wantStored(t, "Write", write(t, s, "a", stateOf(1, textState("1")), 0))
	removed := stateOf(2)
	rev2 := wantStored(t, "removal", write(t, s, "a", removed, rev1))
	equal(t, "Load", load(t, s, "a"), actor.LoadedState{Record: &removed, Revision: rev2})
	wantRejected(t, "Write of one who saw nothing", write(t, s, "a", stateOf(1, textState("1")), 0), rev2)
	again := stateOf(3, textState("3"))
	rev3 := wantStored(t, "Write after the removal", write(t, s, "a", again, rev2))
	equal(t, "Load after it", load(t, s, "a"), actor.LoadedState{Record: &again, Revision: rev3})
}

func largestState(t *testing.T, s actor.StateStore) {
	t.Helper()
	v := actor.StateValue{Name: "x", Value: actor.Value{Type: "t", Data: nil}}
	v.Value.Data = bytes.Repeat([]byte{0xFF}, s.MaxState()-2)
	r := stateOf(1, v)
	if got := r.State.Size(); got != s.MaxState() {
		t.Fatalf("size = %d, want %d", got, s.MaxState())
	}
	wantStored(t, "Write of MaxState bytes", write(t, s, "a", r, 0))
}

func alikeAddresses(t *testing.T, s actor.StateStore) {
	t.Helper()
	ids := []string{"a", "A", "a.", "a ", "a=", "a=2E", "*", ">", "ä"}
	for i, id := range ids {
		wantStored(t, "Write", write(t, s, id, stateOf(uint64(i+1), textState(id)), 0))
	}
	for i, id := range ids {
		loaded := load(t, s, id)
		if loaded.Record == nil || loaded.Record.Commit != uint64(i+1) {
			t.Errorf("Load(%q) = %+v, want commit %d", id, loaded.Record, i+1)
		}
	}
}

// entriesApart checks that an entry of a table is a record of its own, however
// much its names look like those of others.
func entriesApart(t *testing.T, s actor.StateStore) {
	t.Helper()
	keys := []actor.StateKey{
		record("a"),
		{Address: address("a"), Entry: "t/x"},
		{Address: address("a"), Entry: "t/x/y"},
		{Address: address("a"), Entry: "t.x/y"},
		{Address: address("a.t"), Entry: "x/y"},
		{Address: address("a"), Entry: "t/ *>ä"},
	}
	for i, k := range keys {
		v := textState(k.String())
		v.Name = k.Entry
		wantStored(t, "Write", Await(t, func(done func(actor.WriteResult)) { s.Write(k, stateOf(uint64(i+1), v), 0, done) }))
	}
	for i, k := range keys {
		loaded, err := s.Load(t.Context(), k)
		if err != nil || loaded.Record == nil || loaded.Record.Commit != uint64(i+1) || loaded.Record.State[0].Name != k.Entry {
			t.Errorf("Load(%s) = %+v, %v, want commit %d", k, loaded.Record, err, i+1)
		}
	}
}

func pipelinedWrites(t *testing.T, s actor.StateStore) {
	t.Helper()
	const n = 200
	results := AwaitAll(t, n, func(i int, done func(actor.WriteResult)) {
		s.Write(record(string(rune('a'+i%26))+string(rune('a'+i/26))), stateOf(1, textState("1")), 0, done)
	})
	for _, r := range results {
		wantStored(t, "pipelined Write", r)
	}
}

// staleAmongWrites has writes and removals of many keys made at the same time,
// which may then go together, one of them with a wrong revision.
func staleAmongWrites(t *testing.T, s actor.StateStore) {
	t.Helper()
	const keys, stale, removed = 200, 123, 150
	id := func(i int) string { return "k" + itoa(i) }
	all := func(commit uint64, revision func(i int) uint64) []actor.WriteResult {
		return AwaitAll(t, keys, func(i int, done func(actor.WriteResult)) {
			r := stateOf(commit, textState(id(i)))
			if commit > 1 && i >= removed {
				r = stateOf(commit)
			}
			s.Write(record(id(i)), r, revision(i), done)
		})
	}
	first := all(1, func(int) uint64 { return 0 })
	second := all(2, func(i int) uint64 {
		if i == stale {
			return 0
		}
		return first[i].Seq
	})
	for i := range keys {
		at := wantStored(t, "first Write", first[i])
		want := stateOf(2, textState(id(i)))
		switch {
		case i == stale:
			wantRejected(t, "stale Write", second[i], at)
			want = stateOf(1, textState(id(i)))
		case i >= removed:
			want = stateOf(2)
			fallthrough
		default:
			at = wantStored(t, "second Write", second[i])
		}
		equal(t, "Load", load(t, s, id(i)), actor.LoadedState{Record: &want, Revision: at})
	}
}
