package inprocess_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/inprocess"
	"github.com/jetfn/jetfn/sdk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStatesThatExpireAfterTheLastInvocationAreRenewedByEachOne(t *testing.T) {
	t.Parallel()
	last := sdk.NewValue("last", sdk.String(), sdk.AfterInvoke(time.Hour))
	once := sdk.NewValue("once", sdk.String(), sdk.AfterWrite(time.Minute))
	registry, err := sdk.NewRegistry([]sdk.Function{{
		Type: "demo/note", States: []sdk.State{last, once},
		Invoke: func(ctx sdk.Context, m sdk.Message) error {
			text, err := sdk.String().From(m)
			if err == nil && text != "" {
				once.Set(ctx, text)
			}
			return err
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	note := actor.TypeName{Namespace: "demo", Name: "note"}
	function := inprocess.New(registry)[note].Function
	call := func(text string) []actor.Mutation {
		t.Helper()
		value, bad := actor.TextValue([]byte(text))
		if bad != nil {
			t.Fatal(bad.Detail)
		}
		effects, err := function.Invoke(t.Context(), &actor.Batch{
			Target: actor.Address{Type: note, ID: "a"}, Envelopes: []actor.Envelope{{Value: value}}, Attempt: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		return effects.Mutations
	}
	renewal := actor.Mutation{Name: "last", Renew: true, ExpireAfter: time.Hour}
	if diff := cmp.Diff([]actor.Mutation{renewal}, call("")); diff != "" {
		t.Errorf("changes of a call that changes nothing (-want +got):\n%s", diff)
	}
	got := call("x")
	if len(got) != 2 || !cmp.Equal(got[0], renewal) || got[1].Name != "once" || got[1].ExpireAfter != time.Minute {
		t.Errorf("changes of a call that sets once are %+v, want the renewal of last first", got)
	}
}
