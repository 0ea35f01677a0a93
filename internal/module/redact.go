package module

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const (
	// redaction takes the place of a secret.
	redaction = "***"
	// unknownValue stands for a variable while secrets are looked for.
	unknownValue = "jetfn-unknown-value"
)

// secretName is what keys are called that hold secrets.
var secretName = regexp.MustCompile(`(?i)password|secret|token|jaas|credential|authorization|cookie|api-?key`)

// withDefault is a variable with its default.
var withDefault = regexp.MustCompile(`\$\{\w+:-([^}\n]*)\}`)

// secretPlace is where a secret stands.
type secretPlace struct {
	file string
	line int
	text string
}

// Redact returns the sources without the secrets that stand in them literally:
// passwords and parameters in URLs, and the values of keys that are secret.
// What is a variable stays.
func Redact(sources []Source) []Source {
	out := slices.Clone(sources)
	secrets := append(secretsIn(sources, false), secretsIn(sources, true)...)
	for i := range out {
		lines := strings.Split(string(out[i].Data), "\n")
		for _, s := range secrets {
			if s.file == out[i].Name {
				s.redact(lines)
			}
		}
		out[i].Data = []byte(strings.Join(lines, "\n"))
	}
	return out
}

// secretsIn finds secrets, with the variables' defaults taken or not.
func secretsIn(sources []Source, defaults bool) []secretPlace {
	l := newLoader(Options{
		Lookup:   func(string) (string, bool) { return unknownValue, true },
		ReadFile: func(string) ([]byte, error) { return nil, nil },
	})
	read := slices.Clone(sources)
	for i := range read {
		if defaults {
			read[i].Data = withDefault.ReplaceAll(read[i].Data, []byte("$1"))
		}
	}
	l.readAll(read)
	return l.secrets
}

// redact takes the secret out of the lines of its file.
func (s *secretPlace) redact(lines []string) {
	first := max(s.line-1, 0)
	last := min(first+strings.Count(s.text, "\n")+2, len(lines)) // a block begins on the next line
	for _, part := range strings.Split(strings.ReplaceAll(s.text, unknownValue, "\n"), "\n") {
		if part = strings.TrimSpace(part); part == "" || part == redaction {
			continue
		}
		for i := first; i < last; i++ {
			lines[i] = strings.ReplaceAll(lines[i], part, redaction)
		}
	}
}

// conceal notes that a text is a secret.
func (l *loader) conceal(line int, text string) {
	if text != "" {
		l.secrets = append(l.secrets, secretPlace{l.file, line, text})
	}
}

// concealIn notes the secrets of a URL.
func (l *loader) concealIn(line int, u *url.URL) {
	if _, rest, ok := strings.Cut(u.User.String(), ":"); ok {
		l.conceal(line, rest)
	}
	if password, ok := u.User.Password(); ok {
		l.conceal(line, password)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if _, value, ok := strings.Cut(pair, "="); ok {
			l.conceal(line, value)
		}
	}
}
