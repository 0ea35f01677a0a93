package runtime

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/jetfn/jetfn/actor"
)

// summary is the block that a worker prints when it starts.
func (w *worker) summary(b *backbone) string {
	var out strings.Builder
	printf(&out, "jetfn %s, application %q\n", w.cfg.Version, w.cfg.App)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(label, name, what string) {
		printf(table, "  %s\t%s\t%s\n", label, name, what)
	}
	printf(table, "  state\t%s\n", w.where(b))
	printf(table, "  durability\t%s\n", w.durability())
	printf(table, "  http\t%s://%s\n", w.security.scheme(), w.listener.Addr())
	printf(table, "  nats\t%s\n", b.url)
	if w.cfg.NATSForKafka {
		printf(table, "  kafka\t%s\n", "NATS subjects in its place (--nats-for-kafka)")
	}
	w.functionRows(row)
	w.ingressRows(row)
	w.egressRows(row)
	flush(table)
	return trimLines(out.String())
}

func (w *worker) where(b *backbone) string {
	if b.dir != nil {
		return fmt.Sprintf("%s, %d partitions", b.dir.path, b.app.Partitions())
	}
	return fmt.Sprintf("in the NATS servers, %d partitions, 1 replica", b.app.Partitions())
}

func (w *worker) durability() string {
	switch {
	case !w.cfg.embedded():
		return "as the NATS servers sync: with their default they may lose the last 2 minutes at a power failure"
	case w.cfg.Sync == SyncGroup:
		return "on disk before anything is acknowledged or rests on it: a power failure or a crash loses nothing (see --sync group for readers and for your own streams)"
	case w.cfg.Sync == SyncInterval:
		return "on disk within a second: a power failure may lose the last moments, a crash of jetfn loses nothing"
	}
	return "on disk before anything is acknowledged: a power failure or a crash loses nothing"
}

type rowFunc func(label, name, what string)

// section writes rows of which only the first has the label.
func section(row rowFunc, label string) func(name, what string) {
	return func(name, what string) {
		row(label, name, what)
		label = ""
	}
}

func (w *worker) functionRows(row rowFunc) {
	add := section(row, "functions")
	functions := w.catalog.List()
	for _, f := range functions {
		add(f.Type, cmp.Or(f.Endpoint, "in this process"))
	}
	if len(functions) == 0 {
		add("none", "")
	}
}

func (w *worker) ingressRows(row rowFunc) {
	add := section(row, "ingresses")
	for _, in := range w.modules.module().PlaygroundIngresses {
		add("playground", fmt.Sprintf("PUT %s://%s:%d/<namespace>/<type>/<id>", w.security.scheme(), w.cfg.PlaygroundHost, in.Port))
	}
	for _, in := range w.modules.module().Ingresses {
		names := make([]string, 0, len(in.Targets)+len(in.Routers))
		for _, t := range in.Targets {
			names = append(names, t.String())
		}
		for _, r := range in.Routers {
			names = append(names, r.Route.String())
		}
		from := fmt.Sprintf("%s.ingress.%s.<id>", w.cfg.App, tokens(in.ID))
		if in.Stream != "" {
			from = strings.TrimSpace("stream " + in.Stream + " " + in.Subject)
		}
		add(in.ID.String(), fmt.Sprintf("%s to %s", from, strings.Join(names, ", ")))
	}
	for i := range w.modules.module().CronIngresses {
		in := &w.modules.module().CronIngresses[i]
		names := make([]string, len(in.Targets))
		for i, t := range in.Targets {
			names[i] = t.String()
		}
		add(in.ID.String(), fmt.Sprintf("%s to %s", in.Schedule, strings.Join(names, ", ")))
	}
	add("any function", w.cfg.App+".fn.<namespace>.<type>.<id>")
}

func (w *worker) egressRows(row rowFunc) {
	add := section(row, "egresses")
	for _, e := range w.modules.module().PlaygroundEgresses {
		for _, topic := range e.Topics {
			add("playground", fmt.Sprintf("GET %s://%s:%d/%s", w.security.scheme(), w.cfg.PlaygroundHost, e.Port, topic))
		}
	}
	for _, e := range w.modules.module().Egresses {
		prefix := e.Subject
		if prefix == "" {
			prefix = w.cfg.App + ".egress." + actor.Escape(e.ID.Namespace)
		}
		switch id, exact := e.ID.Exact(); {
		case !exact:
			prefix += ".<name>"
		case e.Subject == "":
			prefix = w.cfg.App + ".egress." + tokens(id)
		}
		add(e.ID.String(), prefix+"[.<key>]")
	}
	records := recordEgresses(w.modules.module())
	for _, id := range slices.SortedFunc(maps.Keys(records), func(a, b actor.TypeName) int { return strings.Compare(a.String(), b.String()) }) {
		add(id.String(), w.cfg.App+".egress."+records[id].namespace+".<topic>[.<key>]")
	}
	if len(records)+len(w.modules.module().Egresses)+len(w.modules.module().PlaygroundEgresses) == 0 {
		add("none", "")
	}
}

func tokens(t actor.TypeName) string { return actor.Escape(t.Namespace) + "." + actor.Escape(t.Name) }

// printf writes into memory, which can't fail.
func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

func flush(t *tabwriter.Writer) { _ = t.Flush() } // into memory

func trimLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
