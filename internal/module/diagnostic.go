package module

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity of a Diagnostic.
type Severity uint8

const (
	// Warning says that the module works, though perhaps not as it was meant.
	Warning Severity = iota
	// Error says that the module can't be used.
	Error
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Diagnostic is one problem of a module file.
type Diagnostic struct {
	File     string   `json:"file"`
	Line     int      `json:"line"` // from 1; zero: the file as a whole
	Column   int      `json:"column"`
	Severity Severity `json:"severity"`
	Key      string   `json:"key,omitempty"` // such as spec.transport.call
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"` // what to do
}

// String is one line in the form that editors know: file:line:col: severity:
// message.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s: %s: %s", d.Pos(), d.Severity, d.Text())
}

// Pos is where the problem is.
func (d Diagnostic) Pos() Pos { return Pos{File: d.File, Line: d.Line, Column: d.Column} }

// Text is what the problem is, without where.
func (d Diagnostic) Text() string {
	var b strings.Builder
	if d.Key != "" {
		b.WriteString(d.Key + ": ")
	}
	b.WriteString(d.Message)
	if d.Hint != "" {
		b.WriteString(" (" + d.Hint + ")")
	}
	return b.String()
}

// Diagnostics are the problems of all files, in their order.
type Diagnostics []Diagnostic

// Errors are those that keep the module from being used.
func (d Diagnostics) Errors() Diagnostics { return d.only(Error) }

// Warnings are those that don't.
func (d Diagnostics) Warnings() Diagnostics { return d.only(Warning) }

func (d Diagnostics) only(s Severity) Diagnostics {
	var out Diagnostics
	for _, x := range d {
		if x.Severity == s {
			out = append(out, x)
		}
	}
	return out
}

// Error lists the problems, one a line.
func (d Diagnostics) Error() string {
	lines := make([]string, len(d))
	for i, x := range d {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts d into the order of files, lines and columns.
func (d Diagnostics) sort(files []string) {
	rank := make(map[string]int, len(files))
	for i, f := range files {
		rank[f] = i
	}
	slices.SortStableFunc(d, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(rank[a.File], rank[b.File]),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
}
