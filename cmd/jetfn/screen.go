package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
	"golang.org/x/term"
)

// screen is a terminal that shows one page after the other.
type screen struct{ file *os.File }

// screenOf is nil unless w is a terminal that can move its cursor.
func screenOf(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &screen{f}
}

// size is how much there is room for now: the window may have changed.
func (s *screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.file.Fd()))
	if err != nil || width < 1 || height < 1 {
		return 80, 24
	}
	return width, height
}

// show puts a page in the place of the one before, cut to what there is room
// for: a line that wraps, or one too many, would move all that is above. It
// writes over what is there, so that nothing flickers.
func (s *screen) show(page string) {
	width, height := s.size()
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	if room := max(height-1, 1); len(lines) > room { // the cursor stands on the last one
		rest := len(lines) - room + 1
		lines = append(lines[:room-1:room-1], fmt.Sprintf("… %d more %s, which a higher window would show", rest, plural(rest, "line")))
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, line := range lines {
		b.WriteString(cut(line, width))
		b.WriteString("\x1b[K\n") // and clear what stood behind it
	}
	b.WriteString("\x1b[J")
	printf(s.file, "%s", b.String())
}

// cut is the beginning of a line that has width characters at most.
func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:max(width-1, 0)]) + "…"
}

// columns is a table that does without some of its columns where there is no
// room for them.
type columns struct{ rows [][]string } // the first one has their names

func (t *columns) row(cells ...string) { t.rows = append(t.rows, cells) }

const gap = 2 // between two columns

// write writes the table. It leaves spare columns out, in their order, until
// a line has width characters at most; zero: as many as it takes.
func (t *columns) write(w io.Writer, width int, spare ...string) {
	widths := t.widths()
	total := -gap
	for _, n := range widths {
		total += n + gap
	}
	for _, name := range spare {
		for i, title := range t.rows[0] {
			if width > 0 && total > width && title == name {
				total -= widths[i] + gap
				widths[i] = 0
			}
		}
	}
	for _, cells := range t.rows {
		var b strings.Builder
		for i, cell := range cells {
			if widths[i] > 0 {
				b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+gap))
			}
		}
		printf(w, "%s\n", strings.TrimRight(b.String(), " "))
	}
}

// widths are those of the columns, each at least 1.
func (t *columns) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for _, cells := range t.rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 1)
		}
	}
	return widths
}
