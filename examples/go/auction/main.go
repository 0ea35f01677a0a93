// Command auction fans out: who bids is told to all who watch.
//
//	go run ./examples/go/auction
//	curl -H 'Jetfn-Type: auction/bid' -d '{"bidder":"ann","amount":10}' http://127.0.0.1:8080/v1/send/auction/lot/1
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

// open is how long a lot takes bids after the first.
const open = time.Hour

// Messages of the auction.
type (
	// Bid is an offer for a lot.
	Bid struct {
		Bidder string `json:"bidder"`
		Amount int64  `json:"amount"`
	}
	// News is what a bidder is told about a lot.
	News struct {
		Lot  string `json:"lot"`
		Best Bid    `json:"best"`
		Over bool   `json:"over,omitempty"`
	}
	// Hammer ends the bidding.
	Hammer struct{}
)

func bidType() sdk.Type[Bid]       { return sdk.JSON[Bid]("auction/bid") }
func newsType() sdk.Type[News]     { return sdk.JSON[News]("auction/news") }
func hammerType() sdk.Type[Hammer] { return sdk.JSON[Hammer]("auction/hammer") }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "auction:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	functions, err := Functions()
	if err != nil {
		return err
	}
	app, err := jetfn.New(jetfn.WithFunctions(functions), jetfn.WithEgress("auction/inbox"), jetfn.WithBanner(os.Stdout))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// Functions are the functions of the auction: its lots, and its bidders.
func Functions() (*sdk.Registry, error) {
	l := lot{
		best:    sdk.NewValue("best", bidType()),
		over:    sdk.NewValue("over", sdk.Bool()),
		bidders: sdk.NewTable("bidders", sdk.StringKey(), sdk.Int64()),
	}
	return sdk.NewRegistry([]sdk.Function{
		{
			Type: "auction/lot", States: []sdk.State{l.best, l.over, l.bidders},
			Invoke: sdk.Match(sdk.On(bidType(), l.bid), sdk.On(hammerType(), l.hammer)),
		},
		{Type: "auction/bidder", Invoke: sdk.Match(sdk.On(newsType(), tell))},
	})
}

type lot struct {
	best    sdk.Value[Bid]
	over    sdk.Value[bool]
	bidders sdk.Table[string, int64] // their highest bids
}

func (l lot) bid(ctx sdk.Context, b Bid) error {
	best, started := l.best.Lookup(ctx)
	if l.over.Get(ctx) || b.Amount <= best.Amount {
		return nil
	}
	if !started {
		ctx.SendAfter(open, ctx.Self(), hammerType().Of(Hammer{}))
	}
	l.best.Set(ctx, b)
	l.bidders.Set(ctx, b.Bidder, b.Amount)
	l.publish(ctx, News{Lot: ctx.Self().ID, Best: b})
	return nil
}

func (l lot) hammer(ctx sdk.Context, _ Hammer) error {
	l.over.Set(ctx, true)
	l.publish(ctx, News{Lot: ctx.Self().ID, Best: l.best.Get(ctx), Over: true})
	return nil
}

// publish tells all who have bid.
func (l lot) publish(ctx sdk.Context, n News) {
	for bidder := range l.bidders.All(ctx) {
		ctx.Send(sdk.To("auction/bidder", bidder), newsType().Of(n))
	}
}

// tell puts news into a bidder's inbox.
func tell(ctx sdk.Context, n News) error {
	text := fmt.Sprintf("lot %s: %s bids %d", n.Lot, n.Best.Bidder, n.Best.Amount)
	if n.Over {
		text = fmt.Sprintf("lot %s: sold to %s for %d", n.Lot, n.Best.Bidder, n.Best.Amount)
	}
	ctx.Egress(sdk.ToNATS("auction/inbox", ctx.Self().ID, []byte(text)))
	return nil
}
