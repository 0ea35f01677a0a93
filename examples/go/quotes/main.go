// Command quotes asks another system, which takes its time, without holding
// up the address that wants to know: asynchronous work.
//
//	go run ./examples/go/quotes
//	curl -H 'Content-Type: text/plain' -d https://example.com http://127.0.0.1:8080/v1/send/example/watch/site
//	curl http://127.0.0.1:8080/v1/state/example/watch/site
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/jetfn/jetfn"
	"github.com/jetfn/jetfn/sdk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quotes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	functions, err := Functions(fetch)
	if err != nil {
		return err
	}
	app, err := jetfn.New(jetfn.WithFunctions(functions), jetfn.WithBanner(os.Stdout))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// Functions are the functions of the application; look asks the other system.
func Functions(look func(ctx context.Context, url string) (string, error)) (*sdk.Registry, error) {
	last := sdk.NewValue("last", sdk.String())
	check := sdk.NewAsync(sdk.AsyncConfig[string, string]{
		Name: "check", In: sdk.String(), Out: sdk.String(), Work: look,
		Then: func(ctx sdk.Context, r sdk.Result[string, string]) error {
			switch r.Status {
			case sdk.Success:
				last.Set(ctx, r.In+": "+r.Out)
			case sdk.Failed, sdk.Unknown:
				last.Set(ctx, r.In+": "+r.Err.Error())
			}
			return nil
		},
	})
	return sdk.NewRegistry([]sdk.Function{{
		Type: "example/watch", States: []sdk.State{last}, Async: []sdk.Work{check},
		Invoke: sdk.Match(sdk.On(sdk.String(), func(ctx sdk.Context, url string) error {
			last.Set(ctx, url+": asked")
			check.Start(ctx, url)
			return nil
		})),
	}})
}

// fetch asks a web server.
func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	return resp.Status, errors.Join(nil, resp.Body.Close())
}
