package main

import (
	_ "embed"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand is jetfn completion.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

//go:embed completion/jetfn.bash
var bashCompletion string

//go:embed completion/jetfn.zsh
var zshCompletion string

//go:embed completion/jetfn.fish
var fishCompletion string

// Run prints the script that makes the shell complete jetfn's commands.
func (s *completionCommand) Run(c console) error {
	script := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[s.Shell]
	_, err := io.WriteString(c.out, script)
	return err
}

const (
	// completeCommand is what the scripts call, with the words so far.
	completeCommand = "__complete"
	// completeFiles is the answer that leaves it to the shell.
	completeFiles = ":files"
)

// complete prints what the last of the words could become: a word a line,
// with its meaning behind a tab.
func complete(app *kong.Application, words []string, out io.Writer) {
	words, split := joinAssignments(words)
	if len(words) == 0 {
		words = []string{""}
	}
	node, flag, position := follow(app.Node, words[:len(words)-1])
	last := words[len(words)-1]
	for _, s := range suggestions(node, flag, position, last, split) {
		printf(out, "%s\n", s)
	}
}

// joinAssignments puts --flag = value together again, which bash takes apart,
// and reports whether the last word was among them.
func joinAssignments(words []string) (joined []string, split bool) {
	for i := 0; i < len(words); i++ {
		split = false
		if words[i] == "=" && len(joined) > 0 && strings.HasPrefix(joined[len(joined)-1], "--") {
			joined[len(joined)-1] += "="
			split = true
			if i++; i < len(words) {
				joined[len(joined)-1] += words[i]
			}
			continue
		}
		joined = append(joined, words[i])
	}
	return joined, split
}

// follow goes down the commands that words name. flag is set if the next word
// is its value; position counts the arguments so far.
func follow(node *kong.Node, words []string) (at *kong.Node, flag *kong.Flag, position int) {
	for _, w := range words {
		switch {
		case flag != nil:
			flag = nil
		case strings.HasPrefix(w, "-") && w != "-":
			name, _, assigned := strings.Cut(w, "=")
			if f := findFlag(node, name); f != nil && !f.IsBool() && !assigned {
				flag = f
			}
		default:
			i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == w })
			if i < 0 {
				position++
				continue
			}
			node, position = node.Children[i], 0
		}
	}
	return node, flag, position
}

func findFlag(node *kong.Node, name string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if "--"+f.Name == name || f.Short != 0 && "-"+string(f.Short) == name {
				return f
			}
		}
	}
	return nil
}

func suggestions(node *kong.Node, flag *kong.Flag, position int, last string, split bool) []string {
	if name, value, assigned := strings.Cut(last, "="); assigned && strings.HasPrefix(last, "--") {
		f := findFlag(node, name)
		if f == nil {
			return nil
		}
		prefix := name + "="
		if split {
			prefix = ""
		}
		return values(f.Value, prefix, value)
	}
	switch {
	case flag != nil:
		return values(flag.Value, "", last)
	case strings.HasPrefix(last, "-"):
		return flagNames(node, last)
	case len(node.Children) > 0:
		return commandNames(node, last)
	case position < len(node.Positional):
		return values(node.Positional[position], "", last)
	case len(node.Positional) > 0 && node.Positional[len(node.Positional)-1].IsSlice():
		return values(node.Positional[len(node.Positional)-1], "", last)
	}
	return nil
}

// values are what a flag or an argument may be.
func values(v *kong.Value, prefix, begun string) []string {
	if v.Enum == "" {
		switch v.Name {
		case "file", "data":
			return []string{completeFiles}
		}
		if strings.Contains(strings.ToLower(v.Help), "file") || strings.Contains(strings.ToLower(v.Help), "directory") {
			return []string{completeFiles}
		}
		return nil
	}
	var out []string
	for _, one := range v.EnumSlice() {
		if strings.HasPrefix(one, begun) {
			out = append(out, prefix+one)
		}
	}
	return out
}

func flagNames(node *kong.Node, begun string) []string {
	var out []string
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			if name := "--" + f.Name; strings.HasPrefix(name, begun) {
				out = append(out, name+"\t"+firstSentence(f.Help))
			}
		}
	}
	return out
}

func commandNames(node *kong.Node, begun string) []string {
	var out []string
	for _, n := range node.Children {
		if !n.Hidden && strings.HasPrefix(n.Name, begun) {
			out = append(out, n.Name+"\t"+firstSentence(n.Help))
		}
	}
	return out
}

// firstSentence is how a help text begins.
func firstSentence(s string) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if i := strings.IndexAny(s, ".;:"); i > 0 {
		return s[:i]
	}
	return s
}
