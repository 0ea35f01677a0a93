package runtime_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/runtime"
)

// guest leaves values that expire soon, and those of the id "resident" never.
type guest struct {
	mu   sync.Mutex
	seen []string // states that calls were shown
}

func (g *guest) Invoke(_ context.Context, b *actor.Batch) (*actor.Effects, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range b.State {
		g.seen = append(g.seen, b.Target.ID+" "+v.Name)
	}
	life := 300 * time.Millisecond
	if b.Target.ID == "resident" {
		life = 0
	}
	value := actor.Value{Type: "test/text", Data: []byte("x")}
	return &actor.Effects{Mutations: []actor.Mutation{
		{Name: "name", Value: value, ExpireAfter: life}, {Name: "rooms/12", Value: value, ExpireAfter: life},
	}}, nil
}

func TestWhatHasExpiredLeavesTheBucketThoughNobodyCallsItsAddress(t *testing.T) {
	t.Parallel()
	g := &guest{}
	cfg := runtime.Config{Module: greeter(t), DataDir: t.TempDir(), Functions: map[actor.TypeName]actor.FunctionSpec{typeName("hotel/guest"): {Function: g}}}
	w := start(t, cfg)
	w.send("hotel/guest/resident")
	for i := range 30 {
		w.send("hotel/guest/" + itoa(i))
	}
	js, err := jetstream.New(dial(t, w.NATS))
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(t.Context(), "jetfn_state")
	if err != nil {
		t.Fatal(err)
	}
	keys := func() []string {
		list, err := kv.Keys(t.Context())
		if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
			t.Fatal(err)
		}
		slices.Sort(list)
		return list
	}
	// A sweep rests twenty times as long as it took, and it may take seconds.
	within(t, 6*patience, "all are stored, and gone but for those that stay", func() bool {
		return slices.Equal(keys(), []string{"hotel.guest.resident", "hotel.guest.resident.rooms.12"})
	})
	w.stop()
	w = start(t, cfg)
	w.send("hotel/guest/0")
	w.send("hotel/guest/resident")
	eventually(t, "both are called again", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return slices.Contains(g.seen, "resident name")
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.Contains(g.seen, "0 name") {
		t.Errorf("calls saw %v, want nothing that has expired", g.seen)
	}
}
