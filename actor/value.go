package actor

import "strings"

// StringType is the type name of a StateFun string: a StringWrapper message.
const StringType = "io.statefun.types/string"

// Value is typed bytes: a message's argument, a state's content, an egress
// payload. Data is never modified after the Value was made. Type is kept as
// text, since functions may use any, also one without a slash.
type Value struct {
	Type string
	Data []byte
}

// Trace is W3C trace context, as it came in and goes on. Zero means none.
type Trace struct {
	Parent string // traceparent
	State  string // tracestate
}

// traceparentSize is that of "00-<trace id>-<span id>-<flags>".
const traceparentSize = 55

// ID is the trace's id in hex; empty if there is none.
func (t *Trace) ID() string {
	if len(t.Parent) < traceparentSize {
		return ""
	}
	return t.Parent[3:35]
}

// Sampled reports whether whoever began the trace wants it to be recorded.
func (t *Trace) Sampled() bool {
	return len(t.Parent) >= traceparentSize && (t.Parent[traceparentSize-1]-'0')&1 == 1
}

// delayedMark is the tracestate of a message that a function sends later: what
// processes it is linked to what sent it, and is no part of its trace, which
// would never end where a function wakes itself.
const delayedMark = "jetfn=delayed"

// delayed returns t with the mark.
func (t Trace) delayed() Trace {
	if t.State != "" {
		t.State = "," + t.State
	}
	t.State = delayedMark + t.State
	return t
}

// Delayed returns the trace context of the span that sent a delayed message,
// and whether t is that of one.
func (t Trace) Delayed() (Trace, bool) {
	rest, ok := strings.CutPrefix(t.State, delayedMark)
	if ok {
		t.State = strings.TrimPrefix(rest, ",")
	}
	return t, ok
}

// Envelope is a message on its way to a function.
type Envelope struct {
	Target Address
	Caller Address // zero: from outside
	Value  Value
	Trace  Trace
	// StoredAt is when the message was stored, in Unix milliseconds; zero if
	// that isn't known. It is told by whoever delivers it, and not stored in it.
	StoredAt int64
}

// Size is about what the envelope takes in memory and on the wire, in bytes.
func (e *Envelope) Size() int {
	return len(e.Target.ID) + len(e.Caller.ID) + len(e.Value.Type) + len(e.Value.Data) + len(e.Trace.Parent) + len(e.Trace.State) + 64
}

// StateValue is one named state of an address.
type StateValue struct {
	Name  string
	Value Value
	// WrittenAt is when the value was last written, in Unix milliseconds by
	// the journal's time.
	WrittenAt int64
	// ExpiresAt is when it ceases to exist; zero means never.
	ExpiresAt int64
}

// State is all that an address remembers, sorted by name. It is immutable:
// With and Without return changed copies.
type State []StateValue

// Get returns the value called name.
func (s State) Get(name string) (StateValue, bool) {
	for i := range s {
		if s[i].Name == name {
			return s[i], true
		}
	}
	return StateValue{}, false
}

// With returns s with v in it, in place of one of the same name.
func (s State) With(v StateValue) State {
	out := make(State, 0, len(s)+1)
	done := false
	for _, old := range s {
		if !done && old.Name >= v.Name {
			out, done = append(out, v), true
			if old.Name == v.Name {
				continue
			}
		}
		out = append(out, old)
	}
	if !done {
		out = append(out, v)
	}
	return out
}

// Without returns s less the value called name.
func (s State) Without(name string) State {
	out := make(State, 0, len(s))
	for _, old := range s {
		if old.Name != name {
			out = append(out, old)
		}
	}
	return out
}

// Size is the number of bytes of names, types and data.
func (s State) Size() int {
	n := 0
	for i := range s {
		n += s[i].size()
	}
	return n
}

func (v *StateValue) size() int { return len(v.Name) + len(v.Value.Type) + len(v.Value.Data) }
