package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jetfn/jetfn/sdk"
)

// kitFunctions are what StateFun's SDKs have no word for.
func kitFunctions() []sdk.Function {
	return []sdk.Function{cartFunction(), profileFunction(), workFunction(), failureFunction(), holdFunction()}
}

// cartFunction has a table and a buffer: "add <item> <n>" emits the item's
// sum, "remove <item>" its name, "list" what there is and how many messages
// there were.
func cartFunction() sdk.Function {
	items := sdk.NewTable("items", sdk.StringKey(), sdk.Int64())
	log := sdk.NewBuffer("log", sdk.String())
	return sdk.Function{Type: "kit/cart", States: []sdk.State{items, log}, Invoke: text(func(ctx sdk.Context, s string) error {
		words := strings.Fields(s)
		log.Append(ctx, s)
		switch words[0] {
		case "add":
			n, err := strconv.ParseInt(words[2], 10, 64)
			if err != nil {
				return sdk.Never(err)
			}
			sum := items.Get(ctx, words[1]) + n
			items.Set(ctx, words[1], sum)
			emit(ctx, fmt.Sprintf("%s %d", words[1], sum))
		case "remove":
			items.Remove(ctx, words[1])
			emit(ctx, words[1])
		case "list":
			var b strings.Builder
			for item, n := range items.All(ctx) {
				fmt.Fprintf(&b, "%s=%d ", item, n)
			}
			emit(ctx, fmt.Sprintf("%s%d messages", b.String(), log.Len(ctx)))
		}
		return nil
	})}
}

// profileFunction learns its states from messages: "<name> <value>".
func profileFunction() sdk.Function {
	facts := sdk.NewStateRegistry()
	return sdk.Function{Type: "kit/profile", States: []sdk.State{facts}, Invoke: text(func(ctx sdk.Context, s string) error {
		name, value, _ := strings.Cut(s, " ")
		fact, err := sdk.Register(ctx, facts, name, sdk.String())
		if err != nil {
			return sdk.Never(err)
		}
		before, _ := fact.Lookup(ctx)
		fact.Set(ctx, value)
		emit(ctx, fmt.Sprintf("%s: %q to %q", name, before, value))
		return nil
	})}
}

// workFunction starts work: "square <n>" may be repeated, "once <n>" may not.
// Both take $WORK (a duration), and tell on standard output how many are under
// way.
func workFunction() sdk.Function {
	var now atomic.Int64
	takes, err := time.ParseDuration(os.Getenv("WORK"))
	if err != nil {
		takes = 0
	}
	work := func(ctx context.Context, n int64) (int64, error) {
		fmt.Println("works at", now.Add(1))
		defer now.Add(-1)
		select {
		case <-time.After(takes):
			return n * n, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	then := func(ctx sdk.Context, r sdk.Result[int64, int64]) error {
		emit(ctx, fmt.Sprintf("%s %d %d", r.Status, r.In, r.Out))
		return nil
	}
	square := sdk.NewAsync(sdk.AsyncConfig[int64, int64]{Name: "square", In: sdk.Int64(), Out: sdk.Int64(), Work: work, Then: then, Idempotent: true})
	once := sdk.NewAsync(sdk.AsyncConfig[int64, int64]{Name: "once", In: sdk.Int64(), Out: sdk.Int64(), Work: work, Then: then})
	return sdk.Function{Type: "kit/work", Async: []sdk.Work{square, once}, Invoke: text(func(ctx sdk.Context, s string) error {
		verb, rest, _ := strings.Cut(s, " ")
		n, err := strconv.ParseInt(rest, 10, 64)
		switch {
		case err != nil:
			return sdk.Never(err)
		case verb == "once":
			once.Start(ctx, n)
		default:
			square.Start(ctx, n)
		}
		return nil
	})}
}

// failureFunction fails as it is told: "never"; "later", which succeeds when
// it is tried again; "panic", likewise.
func failureFunction() sdk.Function {
	return sdk.Function{Type: "kit/fails", Invoke: text(func(ctx sdk.Context, s string) error {
		again := ctx.Attempt() > 1
		switch {
		case s == "never":
			return sdk.Never(errors.New("this can't be"))
		case s == "later" && !again:
			return sdk.RetryAfter(time.Second, errors.New("not now"))
		case s == "panic" && !again:
			panic("out of luck")
		}
		emit(ctx, s)
		return nil
	})}
}

// holdFunction never comes back from its first attempt.
func holdFunction() sdk.Function {
	return sdk.Function{Type: "kit/hold", Invoke: text(func(ctx sdk.Context, s string) error {
		if ctx.Attempt() == 1 {
			fmt.Println("holds", s)
			<-ctx.Done()
			return ctx.Err()
		}
		emit(ctx, s)
		return nil
	})}
}
