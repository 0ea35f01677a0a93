package gateway

import (
	"bytes"
	"strconv"
)

// plainAnswer returns the body of an answer if all of it is there and nothing
// else is: one of status 200 with our content type and a length, whose header
// says nothing more of the body or the connection. That is what functions
// answer nearly always. Every other one is for the standard library to read.
func plainAnswer(answer []byte) (body []byte, ok bool) {
	status, rest, _ := bytes.Cut(answer, crlf())
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) || !isText(status) {
		return nil, false
	}
	length, typed := -1, false
	for {
		line, after, found := bytes.Cut(rest, crlf())
		if !found {
			return nil, false
		}
		rest = after
		if len(line) == 0 {
			return rest, typed && length == len(rest)
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !isPlain(name, value) {
			return nil, false
		}
		value = bytes.Trim(value, " \t")
		switch headerKind(name) {
		case headerLength:
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || length >= 0 {
				return nil, false
			}
			length = int(n)
		case headerOfType:
			if typed || string(value) != contentType {
				return nil, false
			}
			typed = true
		case headerConnection:
			if !bytes.EqualFold(value, []byte("keep-alive")) {
				return nil, false
			}
		case headerOfBody:
			return nil, false
		case headerOther:
		}
	}
}

func crlf() []byte { return []byte("\r\n") }

type plainHeader uint8

const (
	headerOther plainHeader = iota
	headerLength
	headerOfType
	headerConnection
	headerOfBody // which says how the body has to be read
)

func headerKind(name []byte) plainHeader {
	is := func(other string) bool { return bytes.EqualFold(name, []byte(other)) }
	switch {
	case is("Content-Length"):
		return headerLength
	case is("Content-Type"):
		return headerOfType
	case is("Connection"):
		return headerConnection
	case is("Content-Encoding"), is("Transfer-Encoding"), is("Trailer"), is("Upgrade"):
		return headerOfBody
	}
	return headerOther
}

// isPlain reports whether a header's name is of letters, digits and dashes,
// and its value is text.
func isPlain(name, value []byte) bool {
	for _, c := range name {
		if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return len(name) > 0 && isText(value)
}

// isText reports whether line has no control characters, but for tabs.
func isText(line []byte) bool {
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
