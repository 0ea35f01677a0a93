package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// helped is what jetfn prints for args, which end with --help.
func helped(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, console{out: &out, err: &out}); code != exitOK {
		t.Fatalf("jetfn %s = %d %s", strings.Join(args, " "), code, &out)
	}
	return out.String()
}

// visible are the flags of a node that help shows.
func visible(list []*kong.Flag) (out []*kong.Flag) {
	for _, f := range list {
		if f.Name != "help" && !f.Hidden {
			out = append(out, f)
		}
	}
	return out
}

// defaultOf is what holds without the flag, as the page says it; empty: nothing
// that could be written after the flag.
func defaultOf(f *kong.Flag) string {
	switch placeholder := f.PlaceHolder; {
	case f.IsBool() && f.Default != "true":
		return ""
	case f.Default == "0" && placeholder != "":
		return strings.Trim(placeholder, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	}
	return f.Default
}

// flagRow is a flag's line of the page.
func flagRow(f *kong.Flag) string {
	name := "--" + f.Name
	if f.Short != 0 {
		name = fmt.Sprintf("-%c, %s", f.Short, name)
	}
	switch {
	case f.Tag.Negatable != "":
		name = strings.Replace(name, "--", "--[no-]", 1)
	case !f.IsBool() && f.PlaceHolder != "" && strings.Trim(f.PlaceHolder, "0123456789") != "":
		name += "=" + f.PlaceHolder
	}
	value := defaultOf(f)
	if value != "" {
		value = "`" + value + "`"
	}
	about := strings.ReplaceAll(f.Help, "|", `\|`)
	if slices.Contains(f.Envs, "-") {
		about += " †"
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", name, value, about)
}

// commandLinePage is docs/command-line.md.
func commandLinePage(t *testing.T, model *kong.Application) string {
	t.Helper()
	var b strings.Builder
	const head = "\n| flag | default | |\n|---|---|---|\n"
	b.WriteString("# Command line\n\nAll commands and flags with their defaults, as `jetfn <command> --help` has them; a test holds this page to them. " +
		"[Reference](reference.md#command-line) says what commands print, the exit codes, and more of some flags.\n\n" +
		"Flags go before variables, `JETFN_` and the flag's name (`--nats-listen` is `JETFN_NATS_LISTEN`), and these before lines of `jetfn.yaml`. Flags marked † have no variable.\n\n" +
		"## Flags of all commands\n" + head)
	var all, server []string
	for _, f := range visible(model.Flags) {
		all = append(all, f.Name)
		b.WriteString(flagRow(f))
	}
	b.WriteString("\n## Flags of commands that talk to a running application\n" + head)
	lists := leafNamed(t, model, "fn ls") // it has no others
	for _, f := range visible(lists.Flags) {
		server = append(server, f.Name)
		b.WriteString(flagRow(f))
	}
	for _, leaf := range model.Leaves(true) {
		usage, _, _ := strings.Cut(helped(t, append(strings.Fields(commandName(leaf)), "--help")...), "\n")
		fmt.Fprintf(&b, "\n## jetfn %s\n\n`%s`\n\n%s\n", commandName(leaf), strings.TrimPrefix(usage, "Usage: "), leaf.Help)
		var names, rows []string
		for _, f := range visible(leaf.Flags) {
			names = append(names, f.Name)
			if !slices.Contains(server, f.Name) || !takesServer(leaf) {
				rows = append(rows, flagRow(f))
			}
		}
		if takesServer(leaf) {
			b.WriteString("\nIt talks to a running application, and has [those flags](#flags-of-commands-that-talk-to-a-running-application) too.\n")
		}
		if len(rows) > 0 {
			b.WriteString(head + strings.Join(rows, ""))
		}
		for _, name := range all {
			if slices.Contains(names, name) {
				t.Errorf("jetfn %s has a flag --%s as all commands do", commandName(leaf), name)
			}
		}
	}
	return b.String()
}

func leafNamed(t *testing.T, model *kong.Application, name string) *kong.Node {
	t.Helper()
	for _, leaf := range model.Leaves(true) {
		if commandName(leaf) == name {
			return leaf
		}
	}
	t.Fatalf("there is no jetfn %s", name)
	return nil
}

func takesServer(leaf *kong.Node) bool {
	return slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "server" })
}

// TestThePageOfTheCommandLineIsWhatHelpSays fails when a flag, its default or
// its text is changed without the page. UPDATE_DOCS=1 writes it anew; then look
// at what has changed, and mend docs/reference.md too.
func TestThePageOfTheCommandLineIsWhatHelpSays(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "command-line.md")
	want := commandLinePage(t, commands(t).Model)
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), want); diff != "" {
		t.Errorf("docs/command-line.md (-) and help (+) differ; write the page by UPDATE_DOCS=1 go test ./cmd/jetfn -run TestThePageOfTheCommandLine\n%s", diff)
	}
}

func TestHelpShowsEachFlagWithItsDefault(t *testing.T) {
	t.Parallel()
	for _, leaf := range commands(t).Model.Leaves(true) {
		name := commandName(leaf)
		text := helped(t, append(strings.Fields(name), "--help")...)
		for _, f := range visible(leaf.Flags) {
			shown := "--" + f.Name
			value := defaultOf(f)
			switch {
			case f.Tag.Negatable != "":
				shown = "--[no-]" + f.Name
			case value != "" && f.PlaceHolder != "":
				shown += "=" + value
			case value != "" && f.Target.Kind().String() == "string":
				shown += fmt.Sprintf("=%q", value)
			case value != "":
				shown += "=" + value
			}
			if !regexp.MustCompile(regexp.QuoteMeta(shown) + `(\s|,|=|$)`).MatchString(text) {
				t.Errorf("jetfn %s --help has no %s:\n%s", name, shown, text)
			}
		}
	}
}

// referenceRow is what docs/reference.md says of flags of jetfn run.
type referenceRow struct{ line, value string }

// runRows are the rows of its table, by flag.
func runRows(t *testing.T) map[string]referenceRow {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "`jetfn run FILE…`\n\n| flag | default | |\n|---|---|---|\n")
	if !ok {
		t.Fatal("docs/reference.md has no table of the flags of jetfn run")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	rows, flag := map[string]referenceRow{}, regexp.MustCompile("--([a-z-]+)")
	for line := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "/"), "|")
		if len(cells) != 5 {
			t.Fatalf("the row %s has %d cells, want 3", line, len(cells)-2)
		}
		names := flag.FindAllStringSubmatch(cells[1], -1)
		values := strings.Split(cells[2], ", ")
		for i, name := range names {
			row := referenceRow{line, strings.Trim(cells[2], "` ")}
			if len(values) == len(names) {
				row.value = strings.Trim(values[i], "` ")
			}
			if _, twice := rows[name[1]]; twice {
				t.Errorf("docs/reference.md has --%s twice", name[1])
			}
			rows[name[1]] = row
		}
	}
	return rows
}

// agrees reports whether the reference says that value is the default.
func (r referenceRow) agrees(value string) bool {
	if days, ok := strings.CutSuffix(r.value, " days"); ok {
		r.value = days + "d"
	}
	span := func(text string) (time.Duration, bool) {
		if days, ok := strings.CutSuffix(text, "d"); ok {
			d, err := time.ParseDuration(days + "h")
			return 24 * d, err == nil
		}
		d, err := time.ParseDuration(text)
		return d, err == nil
	}
	said, saysTime := span(r.value)
	is, isTime := span(value)
	switch {
	case value == "" || value == "0": // words, if any
		return strings.Trim(r.value, "0123456789") != "" || r.value == ""
	case saysTime && isTime:
		return said == is
	}
	return r.value == value
}

func TestTheReferenceHasEachFlagOfRunWithItsDefault(t *testing.T) {
	t.Parallel()
	rows := runRows(t)
	for _, f := range visible(leafNamed(t, commands(t).Model, "run").Flags) {
		name, value := f.Name, defaultOf(f)
		if value == "true" {
			name, value = "no-"+name, ""
		}
		row, ok := rows[name]
		if !ok {
			t.Errorf("docs/reference.md has no row for jetfn run --%s, whose default is %q", name, value)
		} else if !row.agrees(value) {
			t.Errorf("docs/reference.md says %q of the default %q of jetfn run --%s: %s", row.value, value, name, row.line)
		}
		delete(rows, name)
	}
	for name, row := range rows {
		t.Errorf("jetfn run has no flag --%s, of which docs/reference.md says: %s", name, row.line)
	}
}

func TestTheReferenceIsFoundWrongWhenADefaultChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says, is string
		want     bool
	}{
		{"1024", "1024", true},
		{"1024", "1025", false},
		{"7 days", "168h", true},
		{"7 days", "169h", false},
		{"0", "0s", true},
		{"0", "1s", false},
		{"none", "", true},
		{"none", "0", true},
		{"none", "5", false},
		{"5", "0", false},
		{"", "", true},
		{"", "x", false},
		{"always", "interval", false},
	} {
		if got := (referenceRow{value: c.says}).agrees(c.is); got != c.want {
			t.Errorf("%q agrees with %q = %t, want %t", c.says, c.is, got, c.want)
		}
	}
}
