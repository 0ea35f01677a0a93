package main

import (
	"io"
	"os"

	"github.com/mattn/go-isatty"

	"github.com/jetfn/jetfn/internal/module"
)

// style is how a word looks on a terminal.
type style string

const (
	bold   style = "\x1b[1m"
	red    style = "\x1b[31m"
	yellow style = "\x1b[33m"
	faint  style = "\x1b[2m"
	normal       = "\x1b[0m"
)

// paint puts s in a style if w is a terminal and its user wants colours.
func paint(w io.Writer, with style, s string) string {
	f, ok := w.(*os.File)
	if !ok || s == "" || !wantsColour(isatty.IsTerminal(f.Fd()), os.Getenv) {
		return s
	}
	return string(with) + s + normal
}

// wantsColour follows https://no-color.org.
func wantsColour(terminal bool, getenv func(string) string) bool {
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// diagnostic is d as w shows it.
func diagnostic(w io.Writer, d module.Diagnostic) string {
	kind := yellow
	if d.Severity == module.Error {
		kind = red
	}
	return paint(w, bold, d.Pos().String()+":") + " " + paint(w, kind, d.Severity.String()+":") + " " + d.Text()
}
