package actor_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"google.golang.org/protobuf/proto"

	"github.com/jetfn/jetfn/actor"
)

func TestValueFromBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typ, contentType, body string
		want                   actor.Value
		problem                string
	}{
		"named type":               {"a/b", "text/plain", "\xff", actor.Value{Type: "a/b", Data: []byte("\xff")}, ""},
		"named type without slash": {"x", "", "1", actor.Value{Type: "x", Data: []byte("1")}, ""},
		"vendor type":              {"", "application/vnd.my.ns/My Type; q=1", "1", actor.Value{Type: "my.ns/My Type; q=1", Data: []byte("1")}, ""},
		"vendor type, no slash":    {"", "application/vnd.x", "1", actor.Value{Data: []byte("1")}, "application/vnd.<namespace>/<name>"},
		"nothing said":             {"", "", "hi", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02hi")}, ""},
		"text with charset":        {"", "Text/Plain; charset=utf-8", "ü", actor.Value{Type: actor.StringType, Data: []byte("\x0a\x02ü")}, ""},
		"empty text":               {"", "text/plain", "", actor.Value{Type: actor.StringType}, ""},
		"invalid UTF-8":            {"", "text/plain", "\xff", actor.Value{Data: []byte("\xff")}, "UTF-8"},
		"JSON":                     {"", "application/json", "{}", actor.Value{Data: []byte("{}")}, "application/json"},
		"bytes":                    {"", "application/octet-stream", "x", actor.Value{Data: []byte("x")}, "octet-stream"},
	} {
		got, problem := actor.ValueFrom(c.typ, c.contentType, []byte(c.body))
		if got.Type != c.want.Type || !bytes.Equal(got.Data, c.want.Data) {
			t.Errorf("%s: ValueFrom = %+v, want %+v", name, got, c.want)
		}
		switch {
		case (problem == nil) != (c.problem == ""):
			t.Errorf("%s: problem = %+v, want %q", name, problem, c.problem)
		case problem != nil && (problem.Reason != actor.ReasonBadType || !strings.Contains(problem.Detail, c.problem)):
			t.Errorf("%s: problem = %+v, want bad-type with %q", name, problem, c.problem)
		}
	}
}

func FuzzTextValue(f *testing.F) {
	f.Add([]byte("hello"))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, text []byte) {
		v, problem := actor.TextValue(text)
		if problem != nil {
			return
		}
		var w wrapperspb.StringValue // the same wire form as a StringWrapper
		if err := proto.Unmarshal(v.Data, &w); err != nil || w.GetValue() != string(text) {
			t.Errorf("TextValue(%q) = %x, which reads as %q, %v", text, v.Data, w.GetValue(), err)
		}
	})
}
