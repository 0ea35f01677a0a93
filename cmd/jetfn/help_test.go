package main

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// commands is the model of all commands.
func commands(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := kong.New(&commandLine{}, kong.Name("jetfn"), kong.Exit(func(int) {}),
		kong.BindTo(t.Context(), (*context.Context)(nil)), kong.Bind(console{}))
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// planned are commands whose examples come with them.
func planned() []string {
	return []string{
		"call", "state set", "state rm", "state export", "state import", "fn ls", "fn pause", "fn resume", "timers ls", "timers cancel", "top", "inspect", "tail", "partitions",
		"module ls", "module show", "module diff", "module apply", "module rollback", "partitions", "partitions move", "history", "inspect",
		"top", "tail", "doctor", "verify", "backup", "restore", "repair",
	}
}

func TestEveryCommandHasExamplesThatParse(t *testing.T) {
	t.Parallel()
	all := examples()
	for _, leaf := range commands(t).Model.Leaves(true) {
		name := commandName(leaf)
		lines := all[name]
		if len(lines) == 0 && leaf.Detail == "" && !slices.Contains(planned(), name) {
			t.Errorf("jetfn %s has no examples; write some in examples.go", name)
		}
		for _, line := range lines {
			words := shellWords(line)
			if words == nil {
				continue
			}
			got, err := commands(t).Parse(words)
			if err != nil {
				t.Errorf("example %q: %v", line, err)
				continue
			}
			if at := commandName(got.Selected()); at != name {
				t.Errorf("example %q of jetfn %s is one of jetfn %s", line, name, at)
			}
		}
	}
}

// shellWords are the arguments of a line that begins with jetfn.
func shellWords(line string) []string {
	line, ok := strings.CutPrefix(line, "jetfn ")
	if !ok {
		return nil
	}
	var words []string
	var word strings.Builder
	quoted := false
	for _, c := range line + " " {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ' ' && !quoted:
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteRune(c)
		}
	}
	if i := slices.IndexFunc(words, func(w string) bool { return w == "<" || w == "|" }); i >= 0 {
		words = words[:i]
	}
	return words
}

func TestCompletionKnowsCommandsFlagsAndValues(t *testing.T) {
	t.Parallel()
	model := commands(t).Model
	for words, want := range map[string]string{
		"va":                     "validate\tCheck module files",
		"state ":                 "get\tShow the state of one address",
		"run --st":               "--strict\tRefuse unknown keys in modules",
		"run --strict --sync ":   "always",
		"run --sync in":          "interval",
		"run --sync=in":          "--sync=interval",
		"run --sync = in":        "interval", // as bash takes it apart
		"run m":                  completeFiles,
		"run a.yaml --strict m":  completeFiles,
		"run --data ":            completeFiles,
		"completion f":           "fish",
		"--log-level wa":         "warn",
		"send a/b/c -o ":         "json",
		"send --header K=V --af": "--after\tDeliver after this time",
	} {
		var out bytes.Buffer
		complete(model, strings.Split(words, " "), &out)
		if !slices.Contains(strings.Split(out.String(), "\n"), want) {
			t.Errorf("completion of %q:\n%s\nwant a line %q", words, out.String(), want)
		}
	}
	for _, words := range []string{"bench-", "nope x", "run --nope=", "version x", ""} {
		var out bytes.Buffer
		complete(model, strings.Split(words, " "), &out)
		if got := out.String(); strings.Contains(got, "bench-worker") || words != "" && got != "" {
			t.Errorf("completion of %q = %q, want nothing", words, got)
		}
	}
}

func TestTheScriptsAreValid(t *testing.T) {
	t.Parallel()
	for shell, c := range map[string]struct{ script, check string }{
		"bash": {bashCompletion, "-n"}, "zsh": {zshCompletion, "-n"}, "fish": {fishCompletion, "--no-execute"},
	} {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("no %s here", shell)
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, c.check)
		cmd.Stdin = strings.NewReader(c.script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", shell, c.check, err, out)
		}
	}
}
