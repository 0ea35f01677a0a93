package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// timersCommand is jetfn timers.
type timersCommand struct {
	Ls     timersLsCommand     `cmd:"" help:"List delayed messages that are pending, those that are due first before the others."`
	Cancel timersCancelCommand `cmd:"" help:"Cancel delayed messages."`
}

// timerChoice says which timers a command is about.
type timerChoice struct {
	Function string `env:"-" placeholder:"NS/TYPE" help:"Those to this function."`
	Address  string `env:"-" placeholder:"NS/TYPE/ID" help:"Those to this address."`
	Caller   string `env:"-" placeholder:"NS/TYPE/ID" help:"Those that this address has set."`
	Token    string `env:"-" help:"Those with this cancellation token."`
	Before   string `env:"-" placeholder:"TIME" help:"Those that are due before this time, 2006-01-02T15:04:05Z, or within this time from now, 1h30m."`
}

// query selects timers; it is empty if nothing was said.
func (t *timerChoice) query(now time.Time) (url.Values, error) {
	query, err := functionQuery(t.Function)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"address": t.Address, "caller": t.Caller} {
		if text == "" {
			continue
		}
		if _, err := actor.ParseAddress(text); err != nil {
			return nil, usage{fmt.Errorf("--%s: %w", name, err)}
		}
		query.Set(name, text)
	}
	if t.Token != "" {
		query.Set("token", t.Token)
	}
	if t.Before != "" {
		at, err := time.Parse(time.RFC3339Nano, t.Before)
		if d, bad := time.ParseDuration(t.Before); bad == nil {
			at, err = now.Add(d), nil
		}
		if err != nil {
			return nil, usage{fmt.Errorf("--before %q is neither a time, 2006-01-02T15:04:05Z, nor a duration, 1h30m", t.Before)}
		}
		query.Set("before", at.UTC().Format(time.RFC3339Nano))
	}
	return query, nil
}

// timersLsCommand is jetfn timers ls.
type timersLsCommand struct {
	timerChoice
	After string `env:"-" placeholder:"CURSOR" help:"Begin behind this place: next of a page over HTTP."`
	Limit int    `default:"0" help:"How many to list; 0: all."`
	serverFlags
}

// Run lists timers.
func (t *timersLsCommand) Run(ctx context.Context, c console) error {
	query, err := t.query(time.Now())
	if err != nil {
		return err
	}
	timers, err := list[gateway.Timer](ctx, &t.serverFlags, "/v1/timers", query, t.After, t.Limit)
	if err != nil {
		return err
	}
	if t.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(timers)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	printf(table, "ID\tDUE\tADDRESS\tCALLER\tTOKEN\tTYPE\tVALUE\n")
	for i := range timers {
		l := &timers[i]
		value := shown(gateway.NamedValue{Type: l.Type, Value: l.Value, Text: l.Text})
		printf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.DueAt, l.Address, orDash(l.Caller), orDash(l.Token), l.Type, oneLine(value))
	}
	return table.Flush()
}

// timersCancelCommand is jetfn timers cancel.
type timersCancelCommand struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of delayed messages."`
	timerChoice
	All bool `env:"-" help:"All there are."`
	serverFlags
}

// cancelled is what came of a cancellation of several.
type cancelled struct {
	Cancelled int `json:"cancelled"`
	Gone      int `json:"gone"` // fired or cancelled meanwhile
}

// Run cancels timers.
func (t *timersCancelCommand) Run(ctx context.Context, c console) error {
	query, err := t.query(time.Now())
	if err != nil {
		return err
	}
	switch named := len(t.IDs) > 0; {
	case named && (len(query) > 0 || t.All), !named && (len(query) > 0) == t.All:
		return usage{errors.New("say which delayed messages: their ids, or --function, --address, --caller, --token, --before, or --all")}
	case len(t.IDs) == 1:
		return t.one(ctx, c)
	case named:
		return t.several(ctx, c, t.IDs)
	}
	timers, err := list[gateway.Timer](ctx, &t.serverFlags, "/v1/timers", query, "", 0)
	if err != nil {
		return err
	}
	ids := make([]string, len(timers))
	for i := range timers {
		ids[i] = timers[i].ID
	}
	return t.several(ctx, c, ids)
}

func (t *timersCancelCommand) one(ctx context.Context, c console) error {
	var timer gateway.Timer
	if err := t.do(ctx, http.MethodDelete, timerPath(t.IDs[0]), nil, nil, &timer); err != nil {
		return err
	}
	if t.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(timer)
	}
	printf(c.out, "cancelled %s to %s, due at %s\n", timer.ID, timer.Address, timer.DueAt)
	return nil
}

// several cancels those called ids; it is no error that one has fired.
func (t *timersCancelCommand) several(ctx context.Context, c console, ids []string) error {
	const atOnce = 16
	var done, gone atomic.Int64
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, id := range ids {
		group.Go(func() error {
			err := t.do(each, http.MethodDelete, timerPath(id), nil, nil, &gateway.Timer{})
			var refused *answerError
			switch {
			case err == nil:
				done.Add(1)
			case errors.As(err, &refused) && refused.err == nil && refused.problem.Status == http.StatusNotFound:
				gone.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	sum := cancelled{int(done.Load()), int(gone.Load())}
	switch {
	case err != nil:
		printf(c.err, "cancelled %d so far\n", sum.Cancelled)
		return err
	case t.Output == outputJSON:
		return json.NewEncoder(c.out).Encode(sum)
	}
	printf(c.out, "cancelled %d, %d were gone\n", sum.Cancelled, sum.Gone)
	return nil
}

func timerPath(id string) string { return "/v1/timers/" + url.PathEscape(id) }
