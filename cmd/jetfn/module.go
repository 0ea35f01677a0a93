package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/jetfn/jetfn/gateway"
)

// moduleCommand is jetfn module.
type moduleCommand struct {
	Ls       moduleLsCommand       `cmd:"" help:"List the revisions of the module."`
	Show     moduleShowCommand     `cmd:"" help:"Show a revision, without secrets."`
	Diff     moduleDiffCommand     `cmd:"" help:"Show what differs between two revisions, or what files would change."`
	Apply    moduleApplyCommand    `cmd:"" help:"Make files the module of all workers."`
	Rollback moduleRollbackCommand `cmd:"" help:"Make the module what it was."`
}

// moduleLsCommand is jetfn module ls.
type moduleLsCommand struct {
	serverFlags
}

// Run lists the revisions, the newest first.
func (m *moduleLsCommand) Run(ctx context.Context, c console) error {
	list, err := m.revisions(ctx)
	if err != nil {
		return err
	}
	if m.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(list)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	printf(table, "REVISION\tAPPLIED\tORIGIN\tSTATE\tHAS\tBY\n")
	for i, r := range list {
		origin, state := r.Origin, "replaced"
		if r.Of > 0 {
			origin = fmt.Sprintf("%s to %d", r.Origin, r.Of)
		}
		switch {
		case r.InPlace:
			state = "in place"
		case r.Problem != "":
			state = "not usable: " + r.Problem
		case i == 0:
			state = "not yet"
		}
		printf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Revision, r.AppliedAt, origin, state, r.Summary, r.By)
	}
	return table.Flush()
}

func (s *serverFlags) revisions(ctx context.Context) ([]gateway.ModuleInfo, error) {
	var page struct {
		Items []gateway.ModuleInfo `json:"items"`
	}
	err := s.do(ctx, http.MethodGet, "/v1/modules", nil, nil, &page)
	return page.Items, err
}

// revision is one of them; the newest one for zero.
func (s *serverFlags) revision(ctx context.Context, number uint64) (gateway.ModuleRevision, error) {
	name := "newest"
	if number > 0 {
		name = strconv.FormatUint(number, 10)
	}
	var r gateway.ModuleRevision
	err := s.do(ctx, http.MethodGet, "/v1/modules/"+name, nil, nil, &r)
	return r, err
}

// moduleShowCommand is jetfn module show.
type moduleShowCommand struct {
	Revision uint64 `arg:"" optional:"" help:"Its number; the newest one without it."`
	serverFlags
}

// Run prints the files of a revision as one YAML text.
func (m *moduleShowCommand) Run(ctx context.Context, c console) error {
	r, err := m.revision(ctx, m.Revision)
	if err != nil {
		return err
	}
	if m.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(r)
	}
	printf(c.out, "# revision %d, %s by %s\n", r.Revision, r.AppliedAt, r.By)
	for _, f := range r.Removed {
		printf(c.out, "# removed: %s; its messages wait until %s\n", f.Functions, f.Until)
	}
	printf(c.out, "%s", wholeText(r.Files))
	return nil
}

// wholeText is all files as one.
func wholeText(files []gateway.ModuleFile) string {
	var b strings.Builder
	for i, f := range files {
		if i > 0 && !strings.HasPrefix(f.Text, "---") {
			b.WriteString("---\n")
		}
		b.WriteString("# " + f.Name + "\n" + strings.TrimRight(f.Text, "\n") + "\n")
	}
	return b.String()
}

// moduleDiffCommand is jetfn module diff.
type moduleDiffCommand struct {
	Revisions []uint64 `arg:"" optional:"" help:"None: the newest revision and the one before. One: that and the newest. Two: these."`
	File      []string `help:"Compare the revision with files instead: what would applying them change?"`
	serverFlags
}

// moduleDiff is what -o json prints.
type moduleDiff struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Lines []string `json:"lines"`
}

// Run prints the lines that differ. Secrets are not compared.
func (m *moduleDiffCommand) Run(ctx context.Context, c console) error {
	from, to, err := m.sides(ctx)
	if err != nil {
		return err
	}
	out := moduleDiff{From: from.name, To: to.name, Lines: diffLines(from.lines(), to.lines())}
	if m.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(out)
	}
	if len(out.Lines) == 0 {
		printf(c.out, "%s and %s are the same\n", out.From, out.To)
		return nil
	}
	printf(c.out, "--- %s\n+++ %s\n%s\n", out.From, out.To, strings.Join(out.Lines, "\n"))
	return nil
}

// side is one of two modules that are compared.
type side struct {
	name  string
	files []gateway.ModuleFile
}

// lines are those of the files, whose names say nothing.
func (s *side) lines() (out []string) {
	for _, f := range s.files {
		out = append(out, strings.Split(strings.TrimRight(f.Text, "\n"), "\n")...)
	}
	return out
}

func (m *moduleDiffCommand) sides(ctx context.Context) (from, to side, err error) {
	if len(m.Revisions) > 2 || len(m.File) > 0 && len(m.Revisions) > 1 {
		return from, to, usage{fmt.Errorf("two modules are compared, not %d", len(m.Revisions)+min(len(m.File), 1))}
	}
	numbers := append(append([]uint64{}, m.Revisions...), 0, 0)
	if len(m.File) > 0 {
		if to.files, err = readFiles(m.File); err != nil {
			return from, to, err
		}
		to.name = strings.Join(m.File, ", ")
		from, err = m.side(ctx, numbers[0])
		return from, to, err
	}
	if len(m.Revisions) == 0 {
		list, err := m.revisions(ctx)
		if err != nil {
			return from, to, err
		}
		if len(list) < 2 {
			return from, to, &answerError{problem: gateway.Problem{
				Type: "urn:jetfn:problem:not-found", Title: "There is nothing here", Status: http.StatusNotFound, Detail: "there is only one revision",
			}}
		}
		numbers = []uint64{list[1].Revision, list[0].Revision}
	}
	if from, err = m.side(ctx, numbers[0]); err == nil {
		to, err = m.side(ctx, numbers[1])
	}
	return from, to, err
}

func (m *moduleDiffCommand) side(ctx context.Context, number uint64) (side, error) {
	r, err := m.revision(ctx, number)
	return side{fmt.Sprintf("revision %d", r.Revision), r.Files}, err
}

func readFiles(names []string) ([]gateway.ModuleFile, error) {
	var files []gateway.ModuleFile
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, usage{err}
		}
		files = append(files, gateway.ModuleFile{Name: name, Text: string(text)})
	}
	return files, nil
}

// changeFlags are those of commands that change the module.
type changeFlags struct {
	IfRevision uint64 `placeholder:"N" help:"Only if this is the newest revision."`
	By         string `help:"Who asks, for the list of revisions; your login without it."`
	serverFlags
}

// change sends a wish and tells what became of it.
func (f *changeFlags) change(ctx context.Context, c console, wish map[string]any) error {
	wish["by"] = f.By
	if f.By == "" {
		wish["by"] = login()
	}
	body, err := json.Marshal(wish)
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if f.IfRevision > 0 {
		header.Set("If-Match", strconv.Quote(strconv.FormatUint(f.IfRevision, 10)))
	}
	var applied gateway.ModuleApplied
	if err := f.do(ctx, http.MethodPut, "/v1/modules", header, body, &applied); err != nil {
		return err
	}
	if f.Output == outputJSON {
		return json.NewEncoder(c.out).Encode(applied)
	}
	for _, d := range applied.Warnings {
		printf(c.err, "%s\n", problemLine(d))
	}
	if !applied.Changed {
		printf(c.out, "nothing to change: revision %d says the same\n", applied.Revision)
		return nil
	}
	printf(c.out, "revision %d is in place: %s\n", applied.Revision, applied.Summary)
	return nil
}

// problemLine is a diagnostic as validate shows it.
func problemLine(d gateway.Diagnostic) string {
	text := d.Severity + ": "
	switch {
	case d.Line > 0:
		text = fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, d.Column, text)
	case d.File != "":
		text = d.File + ": " + text
	}
	if d.Key != "" {
		text += d.Key + ": "
	}
	text += d.Message
	if d.Hint != "" {
		text += " (" + d.Hint + ")"
	}
	return text
}

// login is the user and the machine, as far as they are known.
func login() string {
	name := "somebody"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// moduleApplyCommand is jetfn module apply.
type moduleApplyCommand struct {
	Files []string `arg:"" name:"file" help:"Module files, which take the place of all there were."`
	changeFlags
}

// Run applies files.
func (m *moduleApplyCommand) Run(ctx context.Context, c console) error {
	files, err := readFiles(m.Files)
	if err != nil {
		return err
	}
	return m.change(ctx, c, map[string]any{"files": files})
}

// moduleRollbackCommand is jetfn module rollback.
type moduleRollbackCommand struct {
	Revision uint64 `arg:"" optional:"" help:"What to go back to; without it, the revision before the newest one."`
	changeFlags
}

// Run applies an old revision.
func (m *moduleRollbackCommand) Run(ctx context.Context, c console) error {
	if m.Revision == 0 {
		list, err := m.revisions(ctx)
		if err != nil {
			return err
		}
		if len(list) < 2 {
			return &answerError{problem: gateway.Problem{
				Type: "urn:jetfn:problem:not-found", Title: "There is nothing here", Status: http.StatusNotFound, Detail: "there is only one revision",
			}}
		}
		m.Revision = list[1].Revision
		if m.IfRevision == 0 {
			m.IfRevision = list[0].Revision // else it would go back from what was applied meanwhile
		}
	}
	return m.change(ctx, c, map[string]any{"rollback": m.Revision})
}
