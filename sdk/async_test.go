package sdk_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jetfn/jetfn/sdk"
)

// quoting is a function that asks for a price and replies to nobody.
func quoting(t *testing.T, work func(ctx context.Context, item string) (int64, error), idempotent bool) (*sdk.Registry, *[]sdk.Result[string, int64]) {
	t.Helper()
	results := &[]sdk.Result[string, int64]{}
	quote := sdk.NewAsync(sdk.AsyncConfig[string, int64]{
		Name: "quote", In: sdk.String(), Out: sdk.Int64(), Work: work, Idempotent: idempotent,
		Then: func(_ sdk.Context, r sdk.Result[string, int64]) error {
			*results = append(*results, r)
			return nil
		},
	})
	return registry(t, sdk.Function{Type: "shop/cart", Async: []sdk.Work{quote}, Invoke: func(ctx sdk.Context, m sdk.Message) error {
		item, err := sdk.String().From(m)
		if err == nil {
			quote.Start(ctx, item)
		}
		return err
	}}), results
}

// deliver answers one message as the worker would.
func deliver(t *testing.T, r *sdk.Registry, to, from sdk.Address, v sdk.TypedValue, attempt int) (*sdk.Effects, error) {
	t.Helper()
	return r.Invoke(t.Context(), &sdk.Batch{
		Self: to, Complete: true, Attempt: attempt, Messages: []sdk.Envelope{{Caller: from, Value: v}},
	})
}

func TestAsynchronousWorkComesBackAsAMessage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		attempt    int
		idempotent bool
		want       sdk.Status
		out        int64
		text       string
	}{
		"success":              {nil, 1, false, sdk.Success, 42, ""},
		"failure":              {errors.New("no price"), 1, false, sdk.Failed, 0, "no price"},
		"tried before":         {nil, 2, false, sdk.Unknown, 0, "earlier attempt"},
		"tried before, can be": {nil, 2, true, sdk.Success, 42, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, results := quoting(t, func(context.Context, string) (int64, error) { return 42, c.err }, c.idempotent)
			cart := sdk.To("shop/cart", "ann")
			started, err := deliver(t, r, cart, sdk.Address{}, sdk.String().Of("tea"), 1)
			if err != nil || len(started.Sends) != 1 {
				t.Fatalf("start = %+v, %v", started, err)
			}
			ask := started.Sends[0]
			if ask.To.Type != cart.Type || ask.To == cart {
				t.Errorf("the work happens at %s, want an address of its own", ask.To)
			}
			done, err := deliver(t, r, ask.To, cart, ask.Value, c.attempt)
			if err != nil || len(done.Sends) != 1 || done.Sends[0].To != cart {
				t.Fatalf("work = %+v, %v", done, err)
			}
			if _, err := deliver(t, r, cart, ask.To, done.Sends[0].Value, 1); err != nil {
				t.Fatal(err)
			}
			if len(*results) != 1 {
				t.Fatalf("Then was called %d times", len(*results))
			}
			got := (*results)[0]
			if got.In != "tea" || got.Status != c.want || got.Out != c.out {
				t.Errorf("result = %+v", got)
			}
			if (got.Err == nil) != (c.text == "") || got.Err != nil && !strings.Contains(got.Err.Error(), c.text) {
				t.Errorf("result's error = %v, want %q", got.Err, c.text)
			}
		})
	}
}

func TestIdempotentWorkIsTriedAgainWhereItAsksForItOrItsTimeIsUp(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx        context.Context //nolint:containedctx // of the call
		err        error
		idempotent bool
		again      bool
	}{
		"it asks for it":                  {t.Context(), sdk.RetryAfter(1, errors.New("busy")), true, true},
		"it asks for none":                {t.Context(), sdk.Never(errors.New("sold out")), true, false},
		"it just fails":                   {t.Context(), errors.New("no price"), true, false},
		"its time is up":                  {ended, context.Canceled, true, true},
		"it asks, and may not be done so": {t.Context(), sdk.RetryAfter(1, errors.New("busy")), false, false},
		"its time is up, and it may not":  {ended, context.Canceled, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := quoting(t, func(context.Context, string) (int64, error) { return 0, c.err }, c.idempotent)
			cart := sdk.To("shop/cart", "ann")
			started, err := deliver(t, r, cart, sdk.Address{}, sdk.String().Of("tea"), 1)
			if err != nil {
				t.Fatal(err)
			}
			ask := started.Sends[0]
			done, err := r.Invoke(c.ctx, &sdk.Batch{Self: ask.To, Complete: true, Attempt: 1, Messages: []sdk.Envelope{{Caller: cart, Value: ask.Value}}})
			if c.again {
				if !errors.Is(err, c.err) {
					t.Errorf("work = %v, want its error, so that the worker tries again", err)
				}
				return
			}
			if err != nil || len(done.Sends) != 1 || !strings.Contains(string(done.Sends[0].Value.Data), `"failure"`) {
				t.Errorf("work = %+v, %v, want a result that says failure", done, err)
			}
		})
	}
}

func TestNobodyElseStartsOrEndsAsynchronousWork(t *testing.T) {
	t.Parallel()
	r, results := quoting(t, func(context.Context, string) (int64, error) {
		t.Error("the work was done for a stranger")
		return 0, nil
	}, false)
	cart, stranger := sdk.To("shop/cart", "ann"), sdk.To("other/f", "x")
	started, err := deliver(t, r, cart, sdk.Address{}, sdk.String().Of("tea"), 1)
	if err != nil {
		t.Fatal(err)
	}
	ask := started.Sends[0]
	result := sdk.Bytes("io.jetfn.types/async-result").Of([]byte(
		`{"work":"quote","status":"success","in":{"type":"io.statefun.types/string","value":"CgN0ZWE="},"out":{"type":"io.statefun.types/long","value":"CQEAAAAAAAAA"}}`))
	for _, from := range []sdk.Address{{}, stranger} {
		if _, err := deliver(t, r, ask.To, from, ask.Value, 1); err == nil {
			t.Errorf("a call of work from %q was done", from)
		}
		if _, err := deliver(t, r, cart, from, result, 1); err == nil {
			t.Errorf("a result of work from %q was taken", from)
		}
	}
	if len(*results) != 0 {
		t.Errorf("Then got %+v", *results)
	}
	if _, err := deliver(t, r, cart, ask.To, result, 1); err != nil || len(*results) != 1 {
		t.Errorf("the same result from the address of the work = %v, Then got %+v", err, *results)
	}
}
