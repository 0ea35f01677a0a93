package actor_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/actor/actortest"
)

func TestABatchIsCappedByCountAndBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec actor.FunctionSpec
		most int
	}{
		"count":                                {actor.FunctionSpec{MaxBatch: 3}, 3},
		"bytes":                                {actor.FunctionSpec{MaxBatchBytes: 160}, 2},
		"one is let through whatever its size": {actor.FunctionSpec{MaxBatchBytes: 1}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c.spec.Function = function(func(ctx context.Context, b *actor.Batch) (*actor.Effects, error) {
					select { // the rest comes meanwhile
					case <-time.After(time.Second):
						return emit(strconv.Itoa(len(b.Envelopes))), nil
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				})
				a := start(t, actortest.NewMemory(), catalog{"hot": c.spec})
				a.send(to("hot", "a"), "1", "2", "3", "4", "5", "6", "7", "8")
				time.Sleep(time.Minute)
				sum, most := 0, 0
				for _, text := range a.emitted() {
					n, _ := strconv.Atoi(text)
					sum, most = sum+n, max(most, n)
				}
				if sum != 8 || most != c.most {
					t.Errorf("the calls had %v messages, want 8 in all and %d at most", a.emitted(), c.most)
				}
				a.end()
			})
		})
	}
}
