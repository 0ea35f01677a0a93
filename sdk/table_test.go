package sdk_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/sdk"
)

// store is what a worker keeps for one address: states, and entries that it
// hands over when they are asked for.
type store struct {
	ctx    context.Context //nolint:containedctx // of the test
	tb     rapid.TB
	states map[string]sdk.TypedValue
	calls  int // made by the last invocation
	loaded int // entries handed over by the last invocation
}

func newStore(ctx context.Context, tb rapid.TB) *store {
	return &store{ctx: ctx, tb: tb, states: map[string]sdk.TypedValue{}}
}

// invoke calls fn, again and again while it asks for entries.
func (s *store) invoke(fn func(ctx sdk.Context), states ...sdk.State) {
	s.tb.Helper()
	r, err := sdk.NewRegistry([]sdk.Function{{Type: "a/f", States: states, Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		fn(ctx)
		return nil
	}}})
	if err != nil {
		s.tb.Fatal(err)
	}
	b := &sdk.Batch{Self: sdk.To("a/f", "1"), Complete: true, Messages: make([]sdk.Envelope, 1)}
	for _, name := range slices.Sorted(maps.Keys(s.states)) {
		if !strings.Contains(name, "/") {
			b.States = append(b.States, sdk.StoredState{Name: name, Value: s.states[name], Present: true})
		}
	}
	s.loaded = 0
	for s.calls = 1; ; s.calls++ {
		got, err := r.Invoke(s.ctx, b)
		if err != nil {
			s.tb.Fatal(err)
		}
		for _, spec := range got.Missing {
			v, ok := s.states[spec.Name]
			b.States = append(b.States, sdk.StoredState{Name: spec.Name, Value: v, Present: ok})
			s.loaded++
		}
		if len(got.Missing) > 0 {
			continue
		}
		for _, m := range got.Mutations {
			if m.Delete {
				delete(s.states, m.Spec.Name)
			} else {
				s.states[m.Spec.Name] = m.Value
			}
		}
		return
	}
}

func TestATableBehavesLikeASortedMap(t *testing.T) {
	t.Parallel()
	table := sdk.NewTable("items", sdk.StringKey(), sdk.Int64())
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		s, model := newStore(ctx, t), map[string]int64{}
		key := rapid.StringMatching("[a-c]{1,6}")
		for range rapid.IntRange(1, 10).Draw(t, "invocations") {
			sets := rapid.MapOfN(key, rapid.Int64(), 0, 150).Draw(t, "sets")
			removes := rapid.SliceOfN(key, 0, 60).Draw(t, "removes")
			from, to := key.Draw(t, "from"), key.Draw(t, "to")
			s.invoke(func(ctx sdk.Context) {
				for _, k := range slices.Sorted(maps.Keys(sets)) {
					table.Set(ctx, k, sets[k])
				}
				for _, k := range removes {
					table.Remove(ctx, k)
				}
			}, table)
			maps.Copy(model, sets)
			for _, k := range removes {
				delete(model, k)
			}
			s.invoke(func(ctx sdk.Context) {
				compare(t, "All", table.All(ctx), model, func(string) bool { return true })
			}, table)
			s.invoke(func(ctx sdk.Context) {
				compare(t, "Range", table.Range(ctx, from, to), model, func(k string) bool { return k >= from && k < to })
			}, table)
			s.invoke(func(ctx sdk.Context) {
				compare(t, "Prefix", table.Prefix(ctx, from), model, func(k string) bool { return strings.HasPrefix(k, from) })
			}, table)
		}
	})
}

// compare reads all that entries yields, and fails if that is not the part of
// the model that is within.
func compare(t *rapid.T, what string, entries iter.Seq2[string, int64], model map[string]int64, within func(string) bool) {
	type entry struct {
		Key   string
		Value int64
	}
	var got, want []entry
	for k, v := range entries {
		got = append(got, entry{k, v})
	}
	for _, k := range slices.Sorted(maps.Keys(model)) {
		if within(k) {
			want = append(want, entry{k, model[k]})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestATableLoadsOnlyWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	const n = 20_000
	table := sdk.NewTable("items", sdk.Int64Key(), sdk.String())
	s := newStore(t.Context(), t)
	for at := 0; at < n; at += 1000 {
		s.invoke(func(ctx sdk.Context) {
			for i := at; i < at+1000; i++ {
				table.Set(ctx, int64(i*7919%n), strconv.Itoa(i*7919%n))
			}
		}, table)
	}
	for name, c := range map[string]struct {
		do    func(ctx sdk.Context)
		calls int
		loads int
	}{
		"get": {func(ctx sdk.Context) {
			if got := table.Get(ctx, 4711); got != "4711" {
				t.Errorf("Get(4711) = %q", got)
			}
		}, 2, 1},
		"set": {func(ctx sdk.Context) { table.Set(ctx, 4712, "new") }, 2, 2},
		"add": {func(ctx sdk.Context) { table.Set(ctx, n+1, "new") }, 4, 4},
		"range": {func(ctx sdk.Context) {
			var got []int64
			for k := range table.Range(ctx, 100, 110) {
				got = append(got, k)
			}
			if len(got) != 10 || got[0] != 100 || got[9] != 109 {
				t.Errorf("Range(100, 110) = %v", got)
			}
		}, 6, 20},
	} {
		s.invoke(c.do, table)
		if s.calls > c.calls || s.loaded > c.loads {
			t.Errorf("%s took %d calls and %d entries, want %d and %d at most", name, s.calls, s.loaded, c.calls, c.loads)
		}
	}
}

func TestATableIsClearedWholly(t *testing.T) {
	t.Parallel()
	table := sdk.NewTable("items", sdk.Int64Key(), sdk.Int32())
	s := newStore(t.Context(), t)
	s.invoke(func(ctx sdk.Context) {
		for i := range 1000 {
			table.Set(ctx, int64(500-i), int32(i))
		}
	}, table)
	s.invoke(func(ctx sdk.Context) { table.Clear(ctx) }, table)
	for name := range s.states {
		if !strings.HasPrefix(name, "~items/") {
			t.Errorf("%s is left", name)
		}
	}
	if len(s.states) > 3 {
		t.Errorf("%d pages are left of an empty table", len(s.states))
	}
}

func TestKeysSortAsTheirTexts(t *testing.T) {
	t.Parallel()
	table := sdk.NewTable("n", sdk.Int64Key(), sdk.Bool())
	want := []int64{-1 << 63, -5, 0, 7, 1<<63 - 1}
	s := newStore(t.Context(), t)
	s.invoke(func(ctx sdk.Context) {
		for _, k := range []int64{7, -5, 1<<63 - 1, 0, -1 << 63} {
			table.Set(ctx, k, true)
		}
	}, table)
	s.invoke(func(ctx sdk.Context) {
		var got []int64
		for k := range table.All(ctx) {
			got = append(got, k)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	}, table)
}

func TestABufferAppendsWithoutReading(t *testing.T) {
	t.Parallel()
	log := sdk.NewBuffer("log", sdk.String())
	s := newStore(t.Context(), t)
	for _, line := range []string{"a", "b", "c"} {
		s.invoke(func(ctx sdk.Context) { log.Append(ctx, line) }, log)
		if s.calls != 1 {
			t.Errorf("Append took %d calls", s.calls)
		}
	}
	read := func() (out []string) {
		s.invoke(func(ctx sdk.Context) {
			out = slices.Collect(log.All(ctx))
			if log.Len(ctx) != len(out) {
				t.Errorf("Len = %d, want %d", log.Len(ctx), len(out))
			}
		}, log)
		return out
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, read()); diff != "" {
		t.Errorf("All (-want +got):\n%s", diff)
	}
	s.invoke(func(ctx sdk.Context) { log.Replace(ctx, "x") }, log)
	if diff := cmp.Diff([]string{"x"}, read()); diff != "" {
		t.Errorf("after Replace (-want +got):\n%s", diff)
	}
	s.invoke(func(ctx sdk.Context) { log.Clear(ctx) }, log)
	if len(s.states) != 0 {
		t.Errorf("after Clear there is still %v", s.states)
	}
}
