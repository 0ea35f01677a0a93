// Command approval waits for a human: a request is open until somebody
// approves or refuses it, or nobody did for two days. Who asked is told.
//
//	go run ./examples/go/approval
//	curl -H 'Jetfn-Type: approval/request' -d '{"what":"a new chair"}' 'http://127.0.0.1:8080/v1/call/approval/request/7?timeout=10m' &
//	curl -H 'Jetfn-Type: approval/decision' -d '{"by":"bob","yes":true}' http://127.0.0.1:8080/v1/send/approval/request/7
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

// patience is how long a request is open.
const patience = 48 * time.Hour

// Messages of the approval, and what is remembered of it.
type (
	// Request asks for something.
	Request struct {
		What string `json:"what"`
	}
	// Decision is a human's answer.
	Decision struct {
		By  string `json:"by"`
		Yes bool   `json:"yes"`
	}
	// Timeout comes when nobody has decided.
	Timeout struct{}
	// Open is a request that is not decided yet.
	Open struct {
		What  string      `json:"what"`
		Asker sdk.Address `json:"asker"`
	}
)

func requestType() sdk.Type[Request]   { return sdk.JSON[Request]("approval/request") }
func decisionType() sdk.Type[Decision] { return sdk.JSON[Decision]("approval/decision") }
func timeoutType() sdk.Type[Timeout]   { return sdk.JSON[Timeout]("approval/timeout") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "approval:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	functions, err := Functions()
	if err != nil {
		return err
	}
	app, err := jetfn.New(jetfn.WithFunctions(functions), jetfn.WithBanner(os.Stdout))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// Functions are the functions of the application.
func Functions() (*sdk.Registry, error) {
	a := approval{open: sdk.NewValue("open", sdk.JSON[Open]("approval/open"))}
	return sdk.NewRegistry([]sdk.Function{{
		Type: "approval/request", States: []sdk.State{a.open},
		Invoke: sdk.Match(sdk.On(requestType(), a.ask), sdk.On(decisionType(), a.decide), sdk.On(timeoutType(), a.expire)),
	}})
}

type approval struct{ open sdk.Value[Open] }

func (a approval) ask(ctx sdk.Context, r Request) error {
	if ctx.Caller().IsZero() {
		return sdk.Never(errors.New("a request needs somebody who waits for the answer: call it"))
	}
	if o, pending := a.open.Lookup(ctx); pending {
		return ctx.Reply(sdk.String().Of("another request is open: " + o.What))
	}
	a.open.Set(ctx, Open{What: r.What, Asker: ctx.Caller()})
	ctx.SendCancellable("timeout", patience, ctx.Self(), timeoutType().Of(Timeout{}))
	return nil
}

func (a approval) decide(ctx sdk.Context, d Decision) error {
	verdict := "refused"
	if d.Yes {
		verdict = "approved"
	}
	return a.end(ctx, fmt.Sprintf("%s by %s", verdict, d.By))
}

func (a approval) expire(ctx sdk.Context, _ Timeout) error { return a.end(ctx, "nobody has decided") }

// end tells who asked, once.
func (a approval) end(ctx sdk.Context, verdict string) error {
	o, pending := a.open.Lookup(ctx)
	if !pending {
		return nil
	}
	a.open.Remove(ctx)
	ctx.Cancel("timeout")
	ctx.Send(o.Asker, sdk.String().Of(o.What+": "+verdict))
	return nil
}
