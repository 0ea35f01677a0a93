package sdktest

import (
	"time"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/sdk"
)

// pendingPage is how many delayed messages are read together.
const pendingPage = 1000

// Pending is a delayed message that hasn't arrived yet.
type Pending struct {
	At    time.Time
	To    sdk.Address
	From  sdk.Address
	Value sdk.TypedValue
	Token string // empty: it can't be cancelled
}

// Pending returns the delayed messages that are still to come, in the order in
// which they will.
func (a *App) Pending() []Pending {
	a.tb.Helper()
	var out []Pending
	q := actor.TimerQuery{Limit: pendingPage}
	for {
		page := a.partition.Timers(q)
		for i := range page.Timers {
			t := &page.Timers[i]
			out = append(out, Pending{
				At: time.UnixMilli(t.DueAt).UTC(), To: outside(t.Envelope.Target), From: outside(t.Envelope.Caller),
				Value: sdk.TypedValue{Type: t.Envelope.Value.Type, Data: t.Envelope.Value.Data}, Token: t.Token,
			})
		}
		if !page.More {
			return out
		}
		q.After = page.Next
	}
}
