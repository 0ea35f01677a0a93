package module

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/internal/suggest"
)

// scalar is a value that is no mapping and no list.
type scalar[T any] struct {
	into     *T
	fallback T
	parse    func(l *loader, n *yaml.Node, path string) (T, bool)
	form     Schema // its Default is fallback, as it would be written
}

func (s scalar[T]) read(l *loader, n *yaml.Node, path string) {
	*s.into = s.fallback
	if l.broken[n] {
		return
	}
	if v, ok := s.parse(l, n, path); ok {
		*s.into = v
	}
}

func (s scalar[T]) absent() { *s.into = s.fallback }

func (s scalar[T]) schema() *Schema {
	form := s.form
	return &form
}

// text is any text but the empty one.
func text(into *string) value { return textLike(into, Schema{Type: typeText, MinLength: 1}, nil) }

// textLike is text that check has nothing against.
func textLike(into *string, form Schema, check func(s string) error) value {
	return scalar[string]{into: into, form: form, parse: func(l *loader, n *yaml.Node, path string) (string, bool) {
		s := l.text(n, path)
		if s == "" || check == nil {
			return s, s != ""
		}
		if err := check(s); err != nil {
			l.errorf(n, path, "", "%v", err)
			return "", false
		}
		return s, true
	}}
}

// secret is text that no message shows.
func secret(into *string) value {
	return scalar[string]{
		into: into, form: Schema{Type: typeText, MinLength: 1},
		parse: func(l *loader, n *yaml.Node, path string) (string, bool) {
			if n.Kind == yaml.ScalarNode && l.coerced(n, path, strTag) {
				l.conceal(n.Line, n.Value)
				return n.Value, true
			}
			if n.Kind != yaml.ScalarNode || n.Tag != strTag || n.Value == "" {
				l.errorf(n, path, "put it in quotes, or write ${NAME} and set that variable", "must be text")
				return "", false
			}
			l.conceal(n.Line, n.Value)
			return n.Value, true
		},
	}
}

// word is one of the texts that a choice takes.
type word[T any] struct {
	text  string
	value T
}

// choice is one of some words.
func choice[T any](into *T, fallback string, words ...word[T]) value {
	return choiceOf(into, fallback, false, words)
}

// choiceAnyCase is choice that doesn't mind capitals.
func choiceAnyCase[T any](into *T, fallback string, words ...word[T]) value {
	return choiceOf(into, fallback, true, words)
}

func choiceOf[T any](into *T, fallback string, fold bool, words []word[T]) value {
	texts := make([]string, len(words))
	s := scalar[T]{into: into}
	for i, w := range words {
		texts[i] = w.text
		if w.text == fallback {
			s.fallback = w.value
		}
	}
	s.form = Schema{Enum: texts, Default: jsonText(fallback)}
	if fold {
		s.form = Schema{Type: typeText, Pattern: anyCase(texts), Default: jsonText(fallback)}
	}
	s.parse = func(l *loader, n *yaml.Node, path string) (T, bool) {
		text := l.text(n, path)
		for _, w := range words {
			if w.text == text || fold && strings.EqualFold(w.text, text) {
				return w.value, true
			}
		}
		if text != "" {
			l.noneOf(n, path, text, texts)
		}
		return s.fallback, false
	}
	return s
}

// anyCase is a pattern of words in capitals or not.
func anyCase(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, c := range w {
			if upper := strings.ToUpper(string(c)); upper != string(c) {
				b.WriteString("[" + upper + string(c) + "]")
			} else {
				b.WriteRune(c)
			}
		}
	}
	return "^(" + b.String() + ")$"
}

// noneOf reports a word that isn't one of those possible.
func (l *loader) noneOf(n *yaml.Node, path, got string, words []string) {
	hint := ""
	if near := suggest.Nearest(got, words); near != "" {
		hint = "did you mean " + near + "?"
	}
	must := "must be " + words[0]
	if last := len(words) - 1; last > 0 {
		must = "must be " + strings.Join(words[:last], ", ") + " or " + words[last]
	}
	l.errorf(n, path, hint, "%s, is %q", must, got)
}

// integer is a whole number of at least least.
func integer(into *int, fallback, least int) value {
	const most = math.MaxInt32
	form := Schema{Type: typeInteger, Minimum: new(least), Maximum: new(most), Default: json.RawMessage(strconv.Itoa(fallback))}
	if least == math.MinInt32 {
		form.Minimum = nil
	}
	return scalar[int]{into: into, fallback: fallback, form: form, parse: func(l *loader, n *yaml.Node, path string) (int, bool) {
		i, ok := l.integer(n, path, int64(least), int64(most))
		return int(i), ok
	}}
}

// number is a whole number within bounds, without a default.
func number(into *int, least, most int) value {
	form := Schema{Type: typeInteger, Minimum: new(least), Maximum: new(most)}
	return scalar[int]{into: into, form: form, parse: func(l *loader, n *yaml.Node, path string) (int, bool) {
		i, ok := l.integer(n, path, int64(least), int64(most))
		return int(i), ok
	}}
}

// duration is a duration, zero included.
func duration(into *time.Duration, fallback time.Duration) value {
	return durationLike(into, fallback, func(*loader, *yaml.Node, string, time.Duration) bool { return true })
}

// positive is a duration longer than zero. A fallback of zero stands for none.
func positive(into *time.Duration, fallback time.Duration) value {
	return durationLike(into, fallback, func(l *loader, n *yaml.Node, path string, d time.Duration) bool {
		if d == 0 {
			l.errorf(n, path, "", "must be longer than zero")
		}
		return d > 0
	})
}

func durationLike(into *time.Duration, fallback time.Duration, check func(l *loader, n *yaml.Node, path string, d time.Duration) bool) value {
	form := Schema{Ref: refDuration}
	if fallback > 0 {
		form.Default = jsonText(FormatDuration(fallback))
	}
	return scalar[time.Duration]{into: into, fallback: fallback, form: form, parse: func(l *loader, n *yaml.Node, path string) (time.Duration, bool) {
		if n.Kind != yaml.ScalarNode || n.Tag != strTag && n.Tag != intTag {
			l.errorf(n, path, "", "must be a duration such as 30s, is %s", describe(n))
			return 0, false
		}
		d, err := ParseDuration(n.Value)
		if err != nil {
			l.errorf(n, path, "", "%v", err)
			return 0, false
		}
		return d, check(l, n, path, d)
	}}
}

// millis is a duration that is a bare number of milliseconds.
func millis(into *time.Duration) value {
	return scalar[time.Duration]{
		into: into, form: Schema{Type: typeInteger, Minimum: new(1)},
		parse: func(l *loader, n *yaml.Node, path string) (time.Duration, bool) {
			i, ok := l.integer(n, path, 1, math.MaxInt64/int64(time.Millisecond))
			return time.Duration(i) * time.Millisecond, ok
		},
	}
}

// text reads a scalar that is text; what is empty or something else is
// reported.
func (l *loader) text(n *yaml.Node, path string) string {
	switch {
	case l.broken[n]:
		return ""
	case l.coerced(n, path, strTag):
	case n.Kind != yaml.ScalarNode || n.Tag != strTag:
		hint := ""
		if n.Kind == yaml.ScalarNode {
			hint = "put it in quotes"
		}
		l.errorf(n, path, hint, "must be text, is %s", describe(n))
		return ""
	case n.Value == "":
		l.errorf(n, path, "", "must not be empty")
	}
	return n.Value
}

func (l *loader) integer(n *yaml.Node, path string, least, most int64) (int64, bool) {
	number := n.Kind == yaml.ScalarNode && (n.Tag == intTag || l.expanded[n]) || l.coerced(n, path, intTag)
	if !number {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.Tag == strTag {
			hint = "write it without quotes"
		}
		l.errorf(n, path, hint, "must be a whole number, is %s", describe(n))
		return 0, false
	}
	i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
	if err == nil && i >= least && i <= most {
		return i, true
	}
	switch {
	case most < math.MaxInt32:
		l.errorf(n, path, "", "must be a whole number from %d to %d, is %s", least, most, n.Value)
	case least > math.MinInt32:
		l.errorf(n, path, "", "must be a whole number of at least %d, is %s", least, n.Value)
	default:
		l.errorf(n, path, "", "must be a whole number, is %s", n.Value)
	}
	return 0, false
}

// coerced reports whether n is of another type than it should be, and one
// that StateFun reads all the same: numbers as text, and text as numbers.
func (l *loader) coerced(n *yaml.Node, path, want string) bool {
	if _, variable := l.expanded[n]; variable || !l.coerces || n.Kind != yaml.ScalarNode || n.Tag == want {
		return false
	}
	must, hint := "should be text", "put it in quotes"
	switch {
	case want == strTag && (n.Tag == intTag || n.Tag == floatTag || n.Tag == boolTag):
	case want == intTag && n.Tag == strTag && decimal(n.Value):
		must, hint = "should be a whole number", "write it without quotes"
	default:
		return false
	}
	l.report(Warning, n, path, hint, "%s", must)
	return true
}

func decimal(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// list is a list of values of one kind.
type list[T any] struct {
	into *[]T
	item func(into *T) value
	// least is how many there must be, 0 or 1.
	least int
	// name tells items apart where none may occur twice; nil: they may.
	name func(T) string
}

func (s list[T]) read(l *loader, n *yaml.Node, path string) {
	*s.into = nil
	if l.broken[n] {
		return
	}
	if n.Kind != yaml.SequenceNode {
		l.errorf(n, path, "write it as [a, b] or one item a line with a dash", "must be a list, is %s", describe(n))
		return
	}
	if len(n.Content) < s.least {
		l.errorf(n, path, "", "must have at least one item")
	}
	var seen []string
	for i, c := range n.Content {
		c, at := deref(c), fmt.Sprintf("%s[%d]", path, i)
		before := l.errors
		var one T
		s.item(&one).read(l, c, at)
		if l.errors > before {
			continue
		}
		if s.name != nil {
			name := s.name(one)
			if slices.Contains(seen, name) {
				l.errorf(c, at, "", "%s occurs twice", name)
				continue
			}
			seen = append(seen, name)
		}
		*s.into = append(*s.into, one)
	}
}

func (s list[T]) absent() { *s.into = nil }

func (s list[T]) schema() *Schema {
	return &Schema{Type: typeList, Items: s.item(new(T)).schema(), MinItems: s.least}
}
