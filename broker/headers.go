package broker

import (
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
)

// Headers of messages from and to the outside.
const (
	HeaderID          = "Jetfn-Id"
	HeaderType        = "Jetfn-Type"
	HeaderDelay       = "Jetfn-Delay"
	HeaderSource      = "Jetfn-Source"
	HeaderKey         = "Jetfn-Key"
	HeaderTopic       = "Jetfn-Topic"
	HeaderCallID      = "Jetfn-Call-Id"
	HeaderTraceParent = "traceparent"
	HeaderTraceState  = "tracestate"

	headerContentType = "Content-Type"
	headerMsgID       = jetstream.MsgIDHeader
	headerExpected    = jetstream.ExpectedLastSubjSeqHeader
	headerExpectedOf  = jetstream.ExpectedLastSubjSeqSubjHeader
	headerRollup      = jetstream.MsgRollup
	headerTTL         = jetstream.MsgTTLHeader
	headerOperation   = "KV-Operation"

	operationPurge = "PURGE"
	markerTTL      = "24h" // removal markers must outlive every late write
)

// lookup finds a header under any spelling of its case, as publishers write
// them differently.
func lookup(h nats.Header, name string) string {
	if v, ok := h[name]; ok && len(v) > 0 {
		return v[0]
	}
	for k, v := range h {
		if len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

func traceOf(h nats.Header) actor.Trace {
	if len(h) == 0 {
		return actor.Trace{}
	}
	return actor.Trace{Parent: lookup(h, HeaderTraceParent), State: lookup(h, HeaderTraceState)}
}

func setTrace(h nats.Header, t actor.Trace) {
	setText(h, HeaderTraceParent, t.Parent)
	setText(h, HeaderTraceState, t.State)
}

// setText sets a header unless text is empty. A header is one line without
// blanks around it, so control characters, and blanks at the ends, are
// written as %XX.
func setText(h nats.Header, name, text string) {
	if text == "" {
		return
	}
	h[name] = []string{headerText(text)}
}

func headerText(s string) string {
	const hex = "0123456789ABCDEF"
	if !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7F }) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		edge := c == ' ' && (i == 0 || i == len(s)-1)
		if c >= 0x20 && c != 0x7F && !edge {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}
