package jspub

import "github.com/nats-io/nats.go"

// Field is a header of a message.
type Field struct{ Name, Value string }

// letter is the client library's message, made again and again: a map of
// headers of its own for each would cost more than the rest of a publish. What
// follows one another mostly has the same headers, and then only their values
// change. It belongs to one goroutine at a time.
type letter struct {
	msg    nats.Msg
	names  []string // of the headers
	values []string // each one's, which the map refers to
}

// letter returns one to fill; give it back.
func (p *Publisher) letter() *letter {
	if l, ok := p.letters.Get().(*letter); ok {
		return l
	}
	return &letter{msg: nats.Msg{Header: nats.Header{}}}
}

// giveBack takes a letter, which lets go of what it said.
func (p *Publisher) giveBack(l *letter) {
	l.msg.Subject, l.msg.Reply, l.msg.Data = "", "", nil
	clear(l.values)
	p.letters.Put(l)
}

// say makes l a message with these headers.
func (l *letter) say(subject string, data []byte, header, more []Field) {
	l.msg.Subject, l.msg.Data = subject, data
	if !l.has(header, more) {
		l.rename(header, more)
	}
	for i := range header {
		l.values[i] = header[i].Value
	}
	for i := range more {
		l.values[len(header)+i] = more[i].Value
	}
}

// has reports whether the headers are those of the last message.
func (l *letter) has(header, more []Field) bool {
	if len(l.names) != len(header)+len(more) {
		return false
	}
	for i := range header {
		if l.names[i] != header[i].Name {
			return false
		}
	}
	for i := range more {
		if l.names[len(header)+i] != more[i].Name {
			return false
		}
	}
	return true
}

// rename has l take other headers.
func (l *letter) rename(header, more []Field) {
	clear(l.msg.Header)
	l.names = l.names[:0]
	for _, list := range [][]Field{header, more} {
		for i := range list {
			l.names = append(l.names, list[i].Name)
		}
	}
	l.values = make([]string, len(l.names))
	for i, name := range l.names {
		l.msg.Header[name] = l.values[i : i+1 : i+1]
	}
}
