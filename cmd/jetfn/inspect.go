package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jetfn/jetfn/gateway"
)

// inspectCommand is jetfn inspect.
type inspectCommand struct {
	Address string `arg:"" help:"namespace/type/id."`
	serverFlags
}

// Run shows all that is known of an address.
func (i *inspectCommand) Run(ctx context.Context, c console) error {
	path, err := addressPath(i.Address)
	if err != nil {
		return err
	}
	var page gateway.Inspection
	if err := i.do(ctx, http.MethodGet, "/v1/inspect/"+path, nil, nil, &page); err != nil {
		return err
	}
	if i.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(page)
	}
	return showInspection(c.out, &page)
}

func showInspection(w io.Writer, p *gateway.Inspection) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(label, format string, args ...any) {
		printf(table, "%s\t%s\n", label, fmt.Sprintf(format, args...))
	}
	row("address", "%s", p.Address)
	row("partition", "%d, owned by %s", p.Partition, p.Owner)
	switch f := p.Function; {
	case f == nil:
		row("function", "no module binds one")
	case f.Endpoint == "":
		row("function", "%s, in the worker's process", f.Type)
	default:
		row("function", "%s at %s", f.Type, f.Endpoint)
	}
	row("does", "%s", doing(p))
	if p.InCall > 0 {
		row("call", "%s in attempt %d, the first %s, this one %s", amount(p.InCall, "message"), p.Attempts, since(p.FirstAt), since(p.CalledAt))
	}
	row("waiting", "%s", amount(p.Waiting, "message"))
	if e := p.LastError; e != nil {
		row("last error", "%s: %s: %s", since(e.At), e.Reason, e.Error)
	}
	if l := p.DeadLetter; l != nil {
		row("dead letter", "%s at %s: %s: %s", l.ID, l.LastAt, l.Reason, l.Error)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return showParts(w, p)
}

// showParts shows the lists of an address.
func showParts(w io.Writer, p *gateway.Inspection) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printf(table, "\nSTATE\tTYPE\tWRITTEN\tEXPIRES\tVALUE\n")
	for _, name := range slices.Sorted(maps.Keys(p.State.Values)) {
		v := p.State.Values[name]
		expires := "-"
		if v.ExpiresAt != 0 {
			expires = time.UnixMilli(v.ExpiresAt).Format(time.RFC3339)
		}
		printf(table, "%s\t%s\t%s\t%s\t%s\n", name, v.Type, since(v.WrittenAt), expires, brief(v.Text, len(v.Value)))
	}
	if len(p.Messages) > 0 {
		printf(table, "\nMESSAGE\tFROM\tSTORED\tTYPE\tVALUE\n")
		for _, m := range p.Messages {
			id := m.ID
			if m.InCall {
				id += " *"
			}
			printf(table, "%s\t%s\t%s\t%s\t%s\n", id, orOutside(m.Caller), since(m.StoredAt), m.Type, brief(m.Text, m.Bytes))
		}
		if rest := p.Waiting + p.InCall - len(p.Messages); rest > 0 {
			printf(table, "and %d more\n", rest)
		}
	}
	if len(p.Timers) > 0 {
		printf(table, "\nTIMER\tFROM\tDUE\tTYPE\tVALUE\n")
		for i := range p.Timers {
			t := &p.Timers[i]
			printf(table, "%s\t%s\t%s\t%s\t%s\n", t.ID, orOutside(t.Caller), t.DueAt, t.Type, brief(t.Text, len(t.Value)))
		}
	}
	return table.Flush()
}

// doing says what an address does.
func doing(p *gateway.Inspection) string {
	does := map[string]string{
		"idle": "nothing", "loading": "loads its state", "stalled": "waits until effects of others are in place: see jetfn partitions",
		"ready": "waits for a place among the calls in flight: see jetfn top", "running": "is being called",
		"retrying": "waits to be called again",
	}[p.Phase]
	if does == "" {
		does = p.Phase
	}
	if p.Paused {
		does += "; gets no calls, it is paused"
	}
	return does
}

// brief is a value on one line.
func brief(text *string, size int) string {
	if text == nil {
		return fmt.Sprintf("%d bytes", size)
	}
	return fmt.Sprintf("%q", *text)
}

func orOutside(caller string) string {
	if caller == "" {
		return "outside"
	}
	return caller
}

func since(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.Since(time.UnixMilli(ms)).Round(time.Millisecond).String() + " ago"
}

func amount(n int, word string) string { return fmt.Sprintf("%d %s", n, plural(n, word)) }
