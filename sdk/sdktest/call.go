package sdktest

import "github.com/jetfn/jetfn/sdk"

// CallOption changes what Call hands to the function.
type CallOption func(*sdk.Batch)

// From makes an address the message's caller. The default is that it comes
// from outside.
func From(functionType, id string) CallOption {
	return func(b *sdk.Batch) { b.Messages[0].Caller = sdk.To(functionType, id) }
}

// At is the address that is called. The default is the id "test" of the
// function's type.
func At(id string) CallOption { return func(b *sdk.Batch) { b.Self.ID = id } }

// Attempt is which attempt the call is. The default is the first.
func Attempt(n int) CallOption { return func(b *sdk.Batch) { b.Attempt = n } }

// With gives the address a value of a state. The default is none.
func With[T any](state sdk.Value[T], v T) CallOption {
	return func(b *sdk.Batch) {
		b.States = append(b.States, sdk.StoredState{Name: state.Name(), Value: state.Type().Of(v), Present: true})
	}
}

// Call calls one function of r with one message, and returns what it asks for
// or its error.
func Call(tb TB, r *sdk.Registry, functionType string, m sdk.Message, opts ...CallOption) (*sdk.Effects, error) {
	tb.Helper()
	b := &sdk.Batch{Self: sdk.To(functionType, "test"), Complete: true, Messages: []sdk.Envelope{{Value: m}}}
	for _, opt := range opts {
		opt(b)
	}
	return r.Invoke(tb.Context(), b) //nolint:wrapcheck // the test wants the function's own error
}
