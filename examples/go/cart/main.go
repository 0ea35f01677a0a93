// Command cart is a shopping cart: a table of items, a checkout that comes by
// itself when the customer has gone, and its cancellation.
//
//	go run ./examples/go/cart
//	curl -H 'Jetfn-Type: shop/add' -d '{"item":"tea","count":2}' http://127.0.0.1:8080/v1/call/shop/cart/ann
//	curl -H 'Jetfn-Type: shop/checkout' -d '{}' http://127.0.0.1:8080/v1/call/shop/cart/ann
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

// patience is how long a cart waits for its customer.
const patience = 30 * time.Minute

// Messages of the shop, and the receipt.
type (
	// Add puts items into the cart.
	Add struct {
		Item  string `json:"item"`
		Count int64  `json:"count"`
	}
	// Checkout buys what is in the cart.
	Checkout struct{}
	// Receipt is what was bought.
	Receipt struct {
		Customer string           `json:"customer"`
		Items    map[string]int64 `json:"items"`
	}
)

func addType() sdk.Type[Add]           { return sdk.JSON[Add]("shop/add") }
func checkoutType() sdk.Type[Checkout] { return sdk.JSON[Checkout]("shop/checkout") }
func receiptType() sdk.Type[Receipt]   { return sdk.JSON[Receipt]("shop/receipt") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	functions, err := Functions()
	if err != nil {
		return err
	}
	app, err := jetfn.New(jetfn.WithFunctions(functions), jetfn.WithEgress("shop/receipts"), jetfn.WithBanner(os.Stdout))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// Functions are the functions of the shop.
func Functions() (*sdk.Registry, error) {
	c := cart{items: sdk.NewTable("items", sdk.StringKey(), sdk.Int64())}
	return sdk.NewRegistry([]sdk.Function{{
		Type:   "shop/cart",
		States: []sdk.State{c.items},
		Invoke: sdk.Match(sdk.On(addType(), c.add), sdk.On(checkoutType(), c.checkout)),
	}})
}

type cart struct{ items sdk.Table[string, int64] }

// add puts items in, and gives the customer some more time.
func (c cart) add(ctx sdk.Context, a Add) error {
	if a.Count <= 0 {
		return sdk.Never(fmt.Errorf("%d pieces of %q can't be added", a.Count, a.Item))
	}
	n := c.items.Get(ctx, a.Item) + a.Count
	c.items.Set(ctx, a.Item, n)
	ctx.Cancel("checkout")
	ctx.SendCancellable("checkout", patience, ctx.Self(), checkoutType().Of(Checkout{}))
	return answer(ctx, sdk.Int64().Of(n))
}

// checkout buys everything, and leaves the cart empty.
func (c cart) checkout(ctx sdk.Context, _ Checkout) error {
	r := Receipt{Customer: ctx.Self().ID, Items: map[string]int64{}}
	for item, n := range c.items.All(ctx) {
		r.Items[item] = n
	}
	if len(r.Items) > 0 {
		ctx.Egress(sdk.ToEgress("shop/receipts", receiptType().Of(r)))
	}
	c.items.Clear(ctx)
	ctx.Cancel("checkout")
	return answer(ctx, receiptType().Of(r))
}

// answer replies to whoever waits, if anybody does.
func answer(ctx sdk.Context, v sdk.TypedValue) error {
	if err := ctx.Reply(v); err != nil && !errors.Is(err, sdk.ErrNoCaller) {
		return err
	}
	return nil
}
