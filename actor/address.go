package actor

import (
	"errors"
	"fmt"
	"strings"
)

// MaxSubjectBytes is the longest escaped address, "ns.type.id", that jetfn
// accepts: NATS subjects have to stay below the server's control line limit.
const MaxSubjectBytes = 3500

// ErrBadAddress is wrapped by every error about an address that can't be used.
var ErrBadAddress = errors.New("bad address")

// TypeName names a function type, a value type, an ingress or an egress:
// "namespace/name". Its zero value names nothing.
type TypeName struct {
	Namespace string
	Name      string
}

// ParseTypeName reads "namespace/name". Exactly one slash is allowed, and
// neither part may be empty.
func ParseTypeName(s string) (TypeName, error) {
	ns, name, ok := strings.Cut(s, "/")
	if !ok || ns == "" || name == "" || strings.Contains(name, "/") {
		return TypeName{}, fmt.Errorf("type name %q is not of the form namespace/name", s)
	}
	return TypeName{Namespace: ns, Name: name}, nil
}

func (n TypeName) String() string { return n.Namespace + "/" + n.Name }

// IsZero reports whether n names nothing.
func (n TypeName) IsZero() bool { return n == TypeName{} }

// Address is one instance of a function: its type and an id. The zero value
// is no address; an Envelope without a caller carries it.
type Address struct {
	Type TypeName
	ID   string
}

// ParseAddress reads "namespace/type/id". The text is split at its first two
// slashes; %2F stands for a slash inside a part and %25 for a per cent sign.
func ParseAddress(s string) (Address, error) {
	parts := strings.SplitN(s, "/", 3)
	if len(parts) != 3 {
		return Address{}, fmt.Errorf("%w: %q is not of the form namespace/type/id", ErrBadAddress, s)
	}
	a := Address{
		Type: TypeName{Namespace: slashDecoder.Replace(parts[0]), Name: slashDecoder.Replace(parts[1])},
		ID:   slashDecoder.Replace(parts[2]),
	}
	return a, a.Check()
}

var (
	slashDecoder   = strings.NewReplacer("%2F", "/", "%2f", "/", "%25", "%")                         //nolint:gochecknoglobals // immutable
	percentEncoder = strings.NewReplacer("%2F", "%252F", "%2f", "%252f", "%25", "%2525")             //nolint:gochecknoglobals // immutable
	partEncoder    = strings.NewReplacer("%2F", "%252F", "%2f", "%252f", "%25", "%2525", "/", "%2F") //nolint:gochecknoglobals // immutable
)

// String is the text that ParseAddress reads back.
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	if !strings.Contains(a.ID, "%") && !strings.ContainsAny(a.Type.Namespace, "%/") && !strings.ContainsAny(a.Type.Name, "%/") {
		return a.Type.Namespace + "/" + a.Type.Name + "/" + a.ID
	}
	return partEncoder.Replace(a.Type.Namespace) + "/" + partEncoder.Replace(a.Type.Name) + "/" + percentEncoder.Replace(a.ID)
}

// IsZero reports whether a is no address.
func (a Address) IsZero() bool { return a == Address{} }

// Check returns an error that wraps ErrBadAddress if a can't be the target of
// a message: a part is empty, or its escaped form exceeds MaxSubjectBytes.
func (a Address) Check() error {
	switch {
	case a.Type.Namespace == "":
		return fmt.Errorf("%w: empty namespace in %q", ErrBadAddress, a.String())
	case a.Type.Name == "":
		return fmt.Errorf("%w: empty type in %q", ErrBadAddress, a.String())
	case a.ID == "":
		return fmt.Errorf("%w: empty id in %q", ErrBadAddress, a.String())
	}
	if n := escapedLen(a.Type.Namespace) + escapedLen(a.Type.Name) + escapedLen(a.ID) + len(".."); n > MaxSubjectBytes {
		return fmt.Errorf("%w: %s with an id of %d bytes is %d bytes long when escaped, the limit is %d",
			ErrBadAddress, a.Type, len(a.ID), n, MaxSubjectBytes)
	}
	return nil
}

// Key is a as NATS subject tokens and as the key of its state:
// "<ns>.<type>.<id>", each part escaped.
func (a Address) Key() string {
	return Escape(a.Type.Namespace) + "." + Escape(a.Type.Name) + "." + Escape(a.ID)
}

// ParseKey reads what Key wrote. Tokens that are not in canonical escaped
// form are refused with an error that names the right key.
func ParseKey(key string) (Address, error) {
	if n := strings.Count(key, ".") + 1; n != 3 {
		return Address{}, fmt.Errorf("%w: %q has %d tokens, want <ns>.<type>.<id>", ErrBadAddress, key, n)
	}
	var tokens [3]string
	var rest string
	tokens[0], rest, _ = strings.Cut(key, ".")
	tokens[1], tokens[2], _ = strings.Cut(rest, ".")
	var parts [3]string
	canonical := true
	for i, token := range tokens {
		part, err := Unescape(token)
		if err != nil {
			return Address{}, fmt.Errorf("%w: %q: %w", ErrBadAddress, key, err)
		}
		parts[i] = part
		canonical = canonical && Escape(part) == token
	}
	a := Address{Type: TypeName{Namespace: parts[0], Name: parts[1]}, ID: parts[2]}
	if !canonical {
		return a, fmt.Errorf("%w: %q is not in canonical form, use %q", ErrBadAddress, key, a.Key())
	}
	return a, a.Check()
}

// Partition is the partition that owns a when there are n of them.
func (a Address) Partition(n int) int { return PartitionOf(a.ID, n) }
