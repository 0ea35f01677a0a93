package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/time/rate"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/gateway"
)

// dlqCommand is jetfn dlq.
type dlqCommand struct {
	Ls     dlqLsCommand     `cmd:"" help:"List dead letters, the oldest first."`
	Show   dlqShowCommand   `cmd:"" help:"Show all that is known of one."`
	Replay dlqReplayCommand `cmd:"" help:"Send messages once more, each one once."`
	Drop   dlqDropCommand   `cmd:"" help:"Remove dead letters for ever."`
}

// dlqLsCommand is jetfn dlq ls.
type dlqLsCommand struct {
	Function string `env:"-" placeholder:"NS/TYPE" help:"Those of this function only."`
	Replayed *bool  `env:"-" negatable:"" help:"Those that were replayed only, or were not."`
	After    string `env:"-" placeholder:"ID" help:"Begin behind this one."`
	Limit    int    `default:"0" help:"How many to list; 0: all."`
	serverFlags
}

// Run lists dead letters.
func (d *dlqLsCommand) Run(ctx context.Context, c console) error {
	query, err := functionQuery(d.Function)
	if err != nil {
		return err
	}
	if d.Replayed != nil {
		query.Set("replayed", strconv.FormatBool(*d.Replayed))
	}
	letters, err := list[gateway.DeadLetter](ctx, &d.serverFlags, "/v1/dlq", query, d.After, d.Limit)
	if err != nil {
		return err
	}
	if d.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(letters)
	}
	return writeLetters(c.out, letters)
}

// functionQuery selects a function, or none if text is empty.
func functionQuery(text string) (url.Values, error) {
	query := url.Values{}
	if text == "" {
		return query, nil
	}
	if _, err := actor.ParseTypeName(text); err != nil {
		return nil, usage{fmt.Errorf("--function: %w", err)}
	}
	query.Set("function", text)
	return query, nil
}

// writeLetters prints one line for each.
func writeLetters(w io.Writer, letters []gateway.DeadLetter) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(table, "ID\tADDRESS\tREASON\tATTEMPTS\tLAST\tREPLAYED\tERROR\n")
	for i := range letters {
		l := &letters[i]
		printf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", l.ID, l.Address, l.Reason, l.Attempts, l.LastAt, orDash(l.ReplayedAt), oneLine(l.Error))
	}
	return table.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine is the beginning of a text.
func oneLine(s string) string {
	const most = 80
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// dlqShowCommand is jetfn dlq show.
type dlqShowCommand struct {
	ID string `arg:"" help:"The dead letter's id."`
	serverFlags
}

// Run shows one dead letter.
func (d *dlqShowCommand) Run(ctx context.Context, c console) error {
	var letter gateway.DeadLetter
	if err := d.do(ctx, http.MethodGet, letterPath(d.ID), nil, nil, &letter); err != nil {
		return err
	}
	if d.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(letter)
	}
	return writeLetter(c.out, &letter)
}

func letterPath(id string) string { return "/v1/dlq/" + url.PathEscape(id) }

func writeLetter(w io.Writer, l *gateway.DeadLetter) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			printf(table, "%s\t%s\n", name, value)
		}
	}
	row("id", l.ID)
	row("address", l.Address)
	row("caller", l.Caller)
	row("type", l.Type)
	row("value", shown(gateway.NamedValue{Type: l.Type, Value: l.Value, Text: l.Text}))
	if l.ValueBytes > 0 {
		row("", fmt.Sprintf("(%d bytes, too many to be kept)", l.ValueBytes))
	}
	row("reason", l.Reason)
	row("error", strings.ReplaceAll(l.Error, "\n", "\n\t"))
	if l.HTTPStatus > 0 {
		row("status", strconv.Itoa(l.HTTPStatus))
	}
	row("endpoint", l.Endpoint)
	row("attempts", strconv.Itoa(l.Attempts))
	row("first", l.FirstAt)
	row("last", l.LastAt)
	row("trace", l.TraceID)
	row("replayed", orDash(l.ReplayedAt))
	return table.Flush()
}

// letterChoice says which dead letters a command is about.
type letterChoice struct {
	IDs      []string `arg:"" optional:"" name:"id" help:"Ids of dead letters."`
	Function string   `env:"-" placeholder:"NS/TYPE" help:"All of this function."`
	All      bool     `env:"-" help:"All there are."`
}

// query selects those that are not named one by one; nil: they are.
func (l *letterChoice) query() (url.Values, error) {
	said := 0
	for _, given := range []bool{len(l.IDs) > 0, l.Function != "", l.All} {
		if given {
			said++
		}
	}
	if said != 1 {
		return nil, usage{errors.New("say which dead letters: their ids, or --function NS/TYPE, or --all")}
	}
	if len(l.IDs) > 0 {
		return nil, nil
	}
	query, err := functionQuery(l.Function)
	if err == nil && l.All {
		query.Set("all", "true")
	}
	return query, err
}

// dlqReplayCommand is jetfn dlq replay.
type dlqReplayCommand struct {
	letterChoice
	Rate float64 `env:"-" help:"How many a second at most; 0: as fast as it goes."`
	serverFlags
}

// replaying is what came of a replay.
type replaying struct {
	Replayed int                     `json:"replayed"`
	Skipped  int                     `json:"skipped"`
	Failed   []gateway.UnreplayedOne `json:"failed"`
}

// Run replays dead letters.
func (d *dlqReplayCommand) Run(ctx context.Context, c console) error {
	query, err := d.query()
	if err != nil {
		return err
	}
	if d.Rate < 0 {
		return usage{errors.New("--rate can't be negative")}
	}
	if len(d.IDs) == 1 {
		return d.one(ctx, c)
	}
	sum := replaying{Failed: []gateway.UnreplayedOne{}}
	if query == nil {
		err = d.each(ctx, &sum)
	} else {
		err = d.pages(ctx, c, query, &sum)
	}
	if err != nil {
		printf(c.err, "replayed %d so far\n", sum.Replayed)
		return err
	}
	return d.tell(c, &sum)
}

func (d *dlqReplayCommand) tell(c console, sum *replaying) error {
	if d.Output == outputJSON {
		if err := json.NewEncoder(c.out).Encode(sum); err != nil {
			return err
		}
	} else {
		for _, f := range sum.Failed {
			printf(c.err, "jetfn: %s is not replayed: %s (%s)\n", f.ID, f.Error, f.Reason)
		}
		printf(c.out, "replayed %d, %d were before, %d can't be\n", sum.Replayed, sum.Skipped, len(sum.Failed))
	}
	if len(sum.Failed) > 0 {
		return reported{exitFailure}
	}
	return nil
}

func (d *dlqReplayCommand) one(ctx context.Context, c console) error {
	var letter gateway.DeadLetter
	if err := d.do(ctx, http.MethodPost, letterPath(d.IDs[0])+"/replay", nil, nil, &letter); err != nil {
		return err
	}
	if d.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(letter)
	}
	printf(c.out, "replayed %s to %s\n", letter.ID, letter.Address)
	return nil
}

// each replays those that are named.
func (d *dlqReplayCommand) each(ctx context.Context, sum *replaying) error {
	limiter := d.limiter(1)
	for _, id := range d.IDs {
		if err := limiter.Wait(ctx); err != nil {
			return err
		}
		var refused *answerError
		err := d.do(ctx, http.MethodPost, letterPath(id)+"/replay", nil, nil, &gateway.DeadLetter{})
		switch {
		case err == nil:
			sum.Replayed++
		case errors.As(err, &refused) && refused.slug() == "already-replayed":
			sum.Skipped++
		case errors.As(err, &refused) && refused.err == nil && refused.problem.Status < http.StatusInternalServerError:
			sum.Failed = append(sum.Failed, gateway.UnreplayedOne{ID: id, Reason: refused.slug(), Error: refused.problem.Detail})
		default:
			return err
		}
	}
	return nil
}

// pages replays all that the server selects.
func (d *dlqReplayCommand) pages(ctx context.Context, c console, query url.Values, sum *replaying) error {
	const most, news = 100, 5 * time.Second
	size := most
	if d.Rate > 0 {
		size = min(max(int(d.Rate), 1), most)
	}
	query.Set("limit", strconv.Itoa(size))
	limiter, told := d.limiter(size), time.Now()
	for {
		if err := limiter.WaitN(ctx, size); err != nil {
			return err
		}
		var page gateway.ReplayedPage
		if err := d.do(ctx, http.MethodPost, "/v1/dlq/replay?"+query.Encode(), nil, nil, &page); err != nil {
			return err
		}
		sum.Replayed, sum.Skipped = sum.Replayed+page.Replayed, sum.Skipped+page.Skipped
		sum.Failed = append(sum.Failed, page.Failed...)
		if page.Next == "" {
			return nil
		}
		query.Set("after", page.Next)
		query.Set("until", page.Until)
		if time.Since(told) > news {
			told = time.Now()
			printf(c.err, "replayed %d so far\n", sum.Replayed)
		}
	}
}

func (d *dlqReplayCommand) limiter(burst int) *rate.Limiter {
	if d.Rate == 0 {
		return rate.NewLimiter(rate.Inf, burst)
	}
	return rate.NewLimiter(rate.Limit(d.Rate), burst)
}

// dlqDropCommand is jetfn dlq drop.
type dlqDropCommand struct {
	letterChoice
	serverFlags
}

// Run removes dead letters.
func (d *dlqDropCommand) Run(ctx context.Context, c console) error {
	query, err := d.query()
	if err != nil {
		return err
	}
	paths := []string{"/v1/dlq?" + query.Encode()}
	if query == nil {
		paths = nil
		for _, id := range d.IDs {
			paths = append(paths, letterPath(id))
		}
	}
	var sum struct {
		Dropped int `json:"dropped"`
	}
	for _, path := range paths {
		now := sum
		if err := d.do(ctx, http.MethodDelete, path, nil, nil, &now); err != nil {
			return err
		}
		sum.Dropped += now.Dropped
	}
	if d.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(sum)
	}
	printf(c.out, "dropped %d\n", sum.Dropped)
	return nil
}
