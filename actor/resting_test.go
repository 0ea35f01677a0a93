package actor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func restingKey(i int) StateKey {
	k := StateKey{Address: Address{Type: TypeName{Namespace: "n", Name: "t"}, ID: fmt.Sprint("id", i)}}
	if i%3 == 0 {
		k.Entry = "table/key"
	}
	return k
}

// back takes what rests of a key.
func (r *resting) back(k StateKey) (*entry, bool) {
	e := &entry{key: k}
	return e, r.take(e)
}

func TestWhatRestsComesBackAsItWas(t *testing.T) {
	t.Parallel()
	states := map[string]State{
		"nothing": nil,
		"one":     {{Name: "count", Value: Value{Type: "t/n", Data: []byte("\x00\xff7")}, WrittenAt: 12, ExpiresAt: math.MaxInt64}},
		"many": {
			{Name: "", Value: Value{Type: "", Data: []byte{}}, WrittenAt: -1},
			{Name: "ü", Value: Value{Type: "t", Data: make([]byte, 100_000)}},
		},
	}
	for name, s := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResting(10, 1<<20)
			want := &entry{
				key: restingKey(3), loaded: true, durable: s, current: s, base: 1, revision: math.MaxUint64, stored: 300, epoch: 4, commit: 500,
				changed: 1_700_000_000_000, absent: len(s) == 0,
			}
			r.put(&entry{key: restingKey(1)})
			r.put(want)
			r.put(&entry{key: restingKey(2)})
			got, ok := r.back(want.key)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{}, applying{})); !ok || diff != "" {
				t.Errorf("it comes back (%t) otherwise (-rested +back):\n%s", ok, diff)
			}
			if _, again := r.back(want.key); again || r.has(want.key) || !r.has(restingKey(2)) {
				t.Error("what has come back still rests, or another one doesn't")
			}
		})
	}
}

func TestTheLongestUnusedOnesGo(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*resting{
		"too many":  newResting(20, math.MaxInt),
		"too large": newResting(math.MaxInt, 20*(restingOverhead+1000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2))
			var order []int // those that rest, longest unused first
			for step := range 20_000 {
				i := random.IntN(40)
				e, there := r.back(restingKey(i))
				if want := slices.Contains(order, i); there != want {
					t.Fatalf("step %d: %d rests: %t, want %t", step, i, there, want)
				}
				if order = slices.DeleteFunc(order, func(j int) bool { return j == i }); random.IntN(4) == 0 {
					continue // it stays in use
				}
				size := 1000 - len(packEntry(packKey(nil, e.key), &entry{revision: 1, durable: State{{Value: Value{Data: make([]byte, 200)}}}})) + 200
				e.durable, e.revision = State{{Value: Value{Data: make([]byte, size)}}}, 1
				r.put(e)
				order = append(order, i)
				order = order[max(0, len(order)-20):]
			}
			if len(r.slots) > 41 {
				t.Errorf("%d places for 20 states", len(r.slots))
			}
		})
	}
}

func TestWhatIsTooLargeDoesNotRest(t *testing.T) {
	t.Parallel()
	r := newResting(10, 1000)
	r.put(&entry{key: restingKey(1)})
	r.put(&entry{key: restingKey(2), durable: State{{Value: Value{Data: make([]byte, 2000)}}}})
	if n := len(r.index); n != 0 || r.bytes != 0 {
		t.Errorf("%d states with %d bytes rest, want none", n, r.bytes)
	}
	r.put(&entry{key: restingKey(3)})
	if !r.has(restingKey(3)) {
		t.Error("nothing can rest any more")
	}
}
