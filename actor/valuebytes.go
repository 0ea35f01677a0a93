package actor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// vendorPrefix begins a Content-Type that names a value type. What follows is
// taken literally, since "vnd.<ns>/<name>" is no valid media type.
const vendorPrefix = "application/vnd."

// ValueFrom makes a Value of bytes from outside. typ is what the sender named
// as their type, empty if nothing; else contentType decides: a vendor type
// names the value's type, text or nothing means UTF-8 text, and all others
// are a Problem.
func ValueFrom(typ, contentType string, body []byte) (Value, *Problem) {
	if typ != "" {
		return Value{Type: typ, Data: body}, nil
	}
	if name, ok := strings.CutPrefix(contentType, vendorPrefix); ok {
		if _, err := ParseTypeName(name); err != nil {
			return Value{Data: body}, badType(fmt.Sprintf("content type %q: %v; write %s<namespace>/<name>", contentType, err, vendorPrefix))
		}
		return Value{Type: name, Data: body}, nil
	}
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "", "text/plain":
		return TextValue(body)
	default:
		return Value{Data: body}, badType(fmt.Sprintf("content type %q does not say the value's type: send text as text/plain, other values as %s<namespace>/<name>", contentType, vendorPrefix))
	}
}

// TextValue wraps UTF-8 text as a StateFun string.
func TextValue(text []byte) (Value, *Problem) {
	if !utf8.Valid(text) {
		return Value{Data: text}, badType("text is not valid UTF-8; name the type of raw bytes")
	}
	if len(text) == 0 {
		return Value{Type: StringType, Data: []byte{}}, nil
	}
	data := make([]byte, 0, len(text)+6)
	data = protowire.AppendTag(data, 1, protowire.BytesType)
	return Value{Type: StringType, Data: protowire.AppendBytes(data, text)}, nil
}

func badType(detail string) *Problem { return &Problem{Reason: ReasonBadType, Detail: detail} }
