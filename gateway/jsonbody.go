package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"unicode/utf8"
)

// readJSON reads a body that has to be one JSON object, with members of into
// only and nothing behind it. The form is how to write such a body.
func readJSON[T any](body []byte, into *T, form string) *Problem {
	if err := decodeObject(body, into); err != nil {
		return problem(badBody, fmt.Sprintf("the body is not of the form %s: %v", form, err))
	}
	return nil
}

func decodeObject[T any](body []byte, into *T) error {
	switch {
	case !utf8.Valid(body): // the decoder would put U+FFFD there
		return errors.New("it is not valid UTF-8")
	case !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")): // null would say nothing
		return errors.New("it is no object")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err //nolint:wrapcheck // it says all
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

// closed is a schema of what readJSON takes: objects without other members.
func closed(s schema) schema {
	s = maps.Clone(s)
	if items, ok := s["items"].(schema); ok {
		s["items"] = closed(items)
	}
	properties, ok := s["properties"].(map[string]schema)
	if !ok {
		return s
	}
	all := map[string]schema{}
	for name, p := range properties {
		all[name] = closed(p)
	}
	s["properties"], s["additionalProperties"] = all, false
	return s
}
