package sdk_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jetfn/jetfn/sdk"
)

// show calls a function with one message, by an address that remembers
// nothing, and prints what it asks for.
func show(f sdk.Function, m sdk.Message) {
	r, err := sdk.NewRegistry([]sdk.Function{f})
	if err != nil {
		fmt.Println(err)
		return
	}
	effects, err := r.Invoke(context.Background(), &sdk.Batch{
		Self: sdk.To(f.Type, "ann"), Complete: true,
		Messages: []sdk.Envelope{{Caller: sdk.To("example/caller", "c"), Value: m}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range effects.Sends {
		fmt.Printf("to %s: %s\n", s.To, s.Value.Type)
	}
	for _, d := range effects.Delayed {
		fmt.Printf("after %s to %s\n", d.After, d.To)
	}
	for _, r := range effects.Records {
		fmt.Printf("record for %s\n", r.Egress)
	}
	for _, m := range effects.Mutations {
		fmt.Printf("%s is set\n", m.Spec.Name)
	}
}

func Example() {
	seen := sdk.NewValue("seen", sdk.Int64())
	show(sdk.Function{
		Type: "example/greeter", States: []sdk.State{seen},
		Invoke: func(ctx sdk.Context, _ sdk.Message) error {
			seen.Set(ctx, seen.Get(ctx)+1)
			return ctx.Reply(sdk.String().Of("hello"))
		},
	}, sdk.String().Of("hi"))
	// Output:
	// to example/caller/c: io.statefun.types/string
	// seen is set
}

func ExampleMatch() {
	type order struct{ Item string }
	orders := sdk.JSON[order]("shop/order")
	show(sdk.Function{Type: "shop/desk", Invoke: sdk.Match(
		sdk.On(orders, func(ctx sdk.Context, o order) error {
			ctx.Send(sdk.To("shop/store", o.Item), orders.Of(o))
			return nil
		}),
	)}, sdk.Bool().Of(true))
	// Output:
	// shop/desk takes no message of type io.statefun.types/bool, only shop/order
}

func ExampleContext() {
	show(sdk.Function{Type: "shop/cart", Invoke: func(ctx sdk.Context, m sdk.Message) error {
		ctx.SendCancellable("reminder", time.Hour, ctx.Self(), m)
		ctx.Egress(sdk.ToKafka("shop/events", "carts", ctx.Self().ID, []byte("opened")))
		return nil
	}}, sdk.String().Of("tea"))
	// Output:
	// after 1h0m0s to shop/cart/ann
	// record for shop/events
}

func ExampleRegister() {
	facts := sdk.NewStateRegistry()
	show(sdk.Function{Type: "example/profile", States: []sdk.State{facts}, Invoke: sdk.Match(
		sdk.On(sdk.String(), func(ctx sdk.Context, name string) error {
			fact, err := sdk.Register(ctx, facts, name, sdk.Bool())
			if err == nil {
				fact.Set(ctx, true)
			}
			return err
		}),
	)}, sdk.String().Of("likes-tea"))
	// Output:
	// likes-tea is set
}

func ExampleTable() {
	items := sdk.NewTable("items", sdk.StringKey(), sdk.Int64(), sdk.AfterWrite(time.Hour))
	log := sdk.NewBuffer("log", sdk.String())
	show(sdk.Function{Type: "shop/cart", States: []sdk.State{items, log}, Invoke: func(ctx sdk.Context, _ sdk.Message) error {
		log.Append(ctx, "opened") // without a look at what is there
		return nil
	}}, sdk.String().Of("tea"))
	// Output:
	// log/0 is set
	// log is set
}
