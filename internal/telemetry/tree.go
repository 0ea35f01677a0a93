package telemetry

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// SpanView is a span as Tree shows it. Ids are in hex.
type SpanView struct {
	Trace, ID, Parent string // an empty Parent: it has none
	Name              string
	Start, End        time.Time
	Error             string
	Notes             []string // what is shown behind the name
	Links             []Link
}

// Link is another span that a span has to do with.
type Link struct{ Trace, ID, Why string }

// Recorder keeps the spans that have ended.
type Recorder struct {
	mu    sync.Mutex
	spans []SpanView
}

var _ sdktrace.SpanExporter = (*Recorder)(nil)

// ExportSpans implements sdktrace.SpanExporter.
func (r *Recorder) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range spans {
		v := SpanView{
			Trace: s.SpanContext().TraceID().String(), ID: s.SpanContext().SpanID().String(), Name: s.Name(),
			Start: s.StartTime(), End: s.EndTime(), Error: s.Status().Description,
		}
		if s.Parent().IsValid() {
			v.Parent = s.Parent().SpanID().String()
		}
		for _, a := range s.Attributes() {
			switch a.Key {
			case "jetfn.id", "jetfn.attempt", "jetfn.partition":
				v.Notes = append(v.Notes, strings.TrimPrefix(string(a.Key), "jetfn.")+" "+a.Value.String())
			case "http.response.status_code":
				v.Notes = append(v.Notes, "status "+a.Value.String())
			}
		}
		for _, l := range s.Links() {
			link := Link{Trace: l.SpanContext.TraceID().String(), ID: l.SpanContext.SpanID().String()}
			for _, a := range l.Attributes {
				link.Why = a.Value.String()
			}
			v.Links = append(v.Links, link)
		}
		r.spans = append(r.spans, v)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (r *Recorder) Shutdown(context.Context) error { return nil }

// Spans are all so far.
func (r *Recorder) Spans() []SpanView {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// WriteTree draws a trace: what began first comes first. A span whose parent
// is missing, since a crash took it or another program has it, stands at the
// root. Detail is what is written behind a span's name.
func WriteTree(w io.Writer, spans []SpanView, trace string, detail func(*SpanView) string) error {
	byID, children := map[string]bool{}, map[string][]*SpanView{}
	var own []*SpanView
	for i := range spans {
		if s := &spans[i]; s.Trace == trace && !byID[s.ID] { // a span may come twice
			byID[s.ID] = true
			own = append(own, s)
		}
	}
	slices.SortStableFunc(own, func(a, b *SpanView) int {
		if n := a.Start.Truncate(time.Millisecond).Compare(b.Start.Truncate(time.Millisecond)); n != 0 {
			return n
		}
		return rank(a) - rank(b)
	})
	for _, s := range own {
		parent := s.Parent
		if !byID[parent] {
			parent = ""
		}
		children[parent] = append(children[parent], s)
	}
	var draw func(id, indent string) error
	draw = func(id, indent string) error {
		for i, s := range children[id] {
			branch, below := "├─ ", "│  "
			if i == len(children[id])-1 {
				branch, below = "└─ ", "   "
			}
			if id == "" {
				branch, below = "", ""
			}
			line := strings.TrimRight(indent+branch+s.Name+detail(s), " ")
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
			if err := draw(s.ID, indent+below); err != nil {
				return err
			}
		}
		return nil
	}
	return draw("", "")
}

// rank orders what began in the same millisecond, as messages and calls go.
func rank(s *SpanView) int {
	for i, prefix := range []string{spanAccept, spanCall, spanWait, spanInvoke, spanPost, spanCommit, spanApply, spanSend, spanDead, spanProcess} {
		if strings.HasPrefix(s.Name, prefix) {
			return i
		}
	}
	return -1
}

// Timing is a detail for people: how long a span took, its notes and its
// failure.
func Timing(s *SpanView) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "  %.1f ms", float64(s.End.Sub(s.Start))/float64(time.Millisecond))
	if len(s.Notes) > 0 {
		b.WriteString("  (" + strings.Join(s.Notes, ", ") + ")")
	}
	for _, l := range s.Links {
		b.WriteString("  ↔ " + l.Why + " " + l.Trace[:8])
	}
	if s.Error != "" {
		b.WriteString("  failed: " + s.Error)
	}
	return b.String()
}
