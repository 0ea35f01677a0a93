package actor_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/jetfn/jetfn/actor"
)

func TestAddressTextAndKeyReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringN(1, 20, 60)
		a := actor.Address{Type: actor.TypeName{Namespace: part.Draw(t, "ns"), Name: part.Draw(t, "type")}, ID: part.Draw(t, "id")}
		if got, err := actor.ParseAddress(a.String()); err != nil || got != a {
			t.Errorf("ParseAddress(%q) = %#v, %v, want %#v", a.String(), got, err, a)
		}
		if got, err := actor.ParseKey(a.Key()); err != nil || got != a {
			t.Errorf("ParseKey(%q) = %#v, %v, want %#v", a.Key(), got, err, a)
		}
	})
}

func TestEscapedTextIsOneCanonicalToken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		token := actor.Escape(s)
		if token == "" || strings.ContainsAny(token, ". *>/\x00\t") {
			t.Errorf("Escape(%q) = %q, not one token", s, token)
		}
		if got, err := actor.Unescape(token); err != nil || got != s {
			t.Errorf("Unescape(%q) = %q, %v, want %q", token, got, err, s)
		}
	})
}

func TestEscapeIsFrozen(t *testing.T) {
	t.Parallel()
	golden := map[string]string{
		"": "=", "plain-Text_09": "plain-Text_09", "a.b": "a=2Eb", "a b": "a=20b", "*>": "=2A=3E", "ü": "=C3=BC", "=": "=3D", "a/b": "a=2Fb",
	}
	for s, want := range golden {
		if got := actor.Escape(s); got != want {
			t.Errorf("Escape(%q) = %q, want %q", s, got, want)
		}
	}
}

// The partitions are what nats-server 2.15.2 stores such subjects under; a
// test of package broker compares the two live.
func TestPartitionFunctionIsFrozen(t *testing.T) {
	t.Parallel()
	golden := map[string]int{"Ada": 27, "Grace": 11, "Alan": 7}
	for id, want := range golden {
		if got := actor.PartitionOf(id, 64); got != want {
			t.Errorf("PartitionOf(%q, 64) = %d, want %d", id, got, want)
		}
	}
}

func TestBadAddressesAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", "a/b", "/b/c", "a//c", "a/b/", "a/b/" + strings.Repeat("x", 4000)} {
		if _, err := actor.ParseAddress(text); !errors.Is(err, actor.ErrBadAddress) {
			t.Errorf("ParseAddress(%.20q) = %v, want ErrBadAddress", text, err)
		}
	}
	for _, key := range []string{"a.b", "a.b.c.d", "a.b.=", "a.b.=2", "a.b.=zz", "a.b.=41", "a.b.ü", "a.b.=2e"} {
		if _, err := actor.ParseKey(key); !errors.Is(err, actor.ErrBadAddress) {
			t.Errorf("ParseKey(%q) = %v, want ErrBadAddress", key, err)
		}
	}
}

func TestKeyThatIsNotCanonicalNamesTheRightOne(t *testing.T) {
	t.Parallel()
	if _, err := actor.ParseKey("ns.type.=41"); err == nil || !strings.Contains(err.Error(), `"ns.type.A"`) {
		t.Errorf("ParseKey = %v, want an error that names ns.type.A", err)
	}
}
