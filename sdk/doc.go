// Package sdk is for writing stateful functions in Go.
//
// A function is a Go func that is called with a message for one address. It
// remembers values there, and asks for effects: messages to other addresses,
// now or later, and records for an egress. State and effects of a call take
// effect together or not at all, once per message, whatever crashes.
//
//	seen := sdk.NewValue("seen", sdk.Int64())
//
//	greet := func(ctx sdk.Context, m sdk.Message) error {
//		seen.Set(ctx, seen.Get(ctx)+1)
//		return ctx.Reply(sdk.String().Of(fmt.Sprintf("hello number %d", seen.Get(ctx))))
//	}
//
//	registry, err := sdk.NewRegistry([]sdk.Function{{
//		Type: "example/greeter", Invoke: greet, States: []sdk.State{seen},
//	}})
//
// A [Registry] is served as it stands over HTTP by [Handler], over NATS by
// package sdknats, and in the worker's own process by the root package. The
// function doesn't know which. Values travel under StateFun's type names, so
// that functions of any StateFun SDK understand each other.
//
// The package has no state of its own and starts no goroutine. A function
// may run for many addresses at once, but never twice at a time for one; it
// may run again for a message whose call failed.
package sdk
