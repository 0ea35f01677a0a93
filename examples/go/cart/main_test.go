package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/sdk"
	"github.com/jetfn/jetfn/sdk/sdktest"
)

func shop(t *testing.T) *sdktest.App {
	t.Helper()
	functions, err := Functions()
	if err != nil {
		t.Fatal(err)
	}
	return sdktest.New(t, functions)
}

func receipts(t *testing.T, app *sdktest.App) (out []Receipt) {
	t.Helper()
	for _, r := range app.Egress("shop/receipts") {
		receipt, err := receiptType().From(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, receipt)
	}
	return out
}

func TestACartIsBoughtWhenItsCustomerAsks(t *testing.T) {
	t.Parallel()
	app := shop(t)
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", 2}))
	app.Send("shop/cart", "ann", addType().Of(Add{"rum", 1}))
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", 3}))
	app.Send("shop/cart", "ann", checkoutType().Of(Checkout{}))
	app.Advance(24 * time.Hour) // the checkout that would come by itself is cancelled
	want := []Receipt{{Customer: "ann", Items: map[string]int64{"tea": 5, "rum": 1}}}
	if diff := cmp.Diff(want, receipts(t, app)); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

func TestACartThatIsLeftAloneIsBoughtByItself(t *testing.T) {
	t.Parallel()
	app := shop(t)
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", 1}))
	app.Advance(patience - time.Minute)
	app.Send("shop/cart", "ann", addType().Of(Add{"rum", 1})) // still there
	app.Advance(patience - time.Minute)
	if got := receipts(t, app); len(got) != 0 {
		t.Errorf("bought too early: %v", got)
	}
	app.Restart()
	app.Advance(2 * time.Minute)
	want := []Receipt{{Customer: "ann", Items: map[string]int64{"tea": 1, "rum": 1}}}
	if diff := cmp.Diff(want, receipts(t, app)); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
}

func TestNonsenseIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	app := shop(t)
	app.Send("shop/cart", "ann", addType().Of(Add{"tea", -1}))
	app.Send("shop/cart", "ann", sdk.String().Of("hello"))
	app.Advance(time.Hour)
	letters := app.DeadLetters()
	if len(letters) != 2 || letters[0].Attempts != 1 || letters[1].Attempts != 1 {
		t.Errorf("dead letters = %+v", letters)
	}
}
