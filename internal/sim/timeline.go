package sim

import (
	"fmt"
	"io"
)

// Line is one line of a world's history.
type Line struct {
	At    int64 // milliseconds from the start
	Owner string
	What  string
	Text  string
}

func (w *World) log(o *owner, what, format string, args ...any) {
	if w.timeline == nil {
		return
	}
	name := ""
	if o != nil {
		name = o.name
	}
	*w.timeline = append(*w.timeline, Line{w.now - startTime, name, what, fmt.Sprintf(format, args...)})
}

// WriteTimeline prints a history: when, which owner of which partition, what.
func WriteTimeline(out io.Writer, lines []Line) error {
	for _, l := range lines {
		if _, err := fmt.Fprintf(out, "%8d  %-7s %-10s %s\n", l.At, l.Owner, l.What, l.Text); err != nil {
			return err
		}
	}
	return nil
}
