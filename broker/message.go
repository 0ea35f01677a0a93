package broker

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/jetfn/jetfn/actor"
)

// stored is a message of the mailbox or the ingress stream, or one of a pack.
type stored struct {
	subject string // of one in a pack: see App.subjectOf
	key     string // of one in a pack
	said    said
	data    []byte
	seq     uint64
	time    time.Time
	own     bool   // a worker wrote it
	caller  string // as a key; of own messages only
}

// said is what an outside message says about itself in its headers.
type said struct {
	valueType   string
	contentType string
	trace       actor.Trace
	msgID       string
	delay       string
}

func saidIn(h nats.Header) said {
	if len(h) == 0 {
		return said{}
	}
	return said{
		valueType: lookup(h, HeaderType), contentType: lookup(h, headerContentType),
		trace: traceOf(h), msgID: lookup(h, headerMsgID), delay: lookup(h, HeaderDelay),
	}
}

// decode makes a delivery of a stored message, and says whose it is. It fails
// only if a newer jetfn wrote the message; what can't be understood otherwise
// becomes an input with a Problem.
func (a *App) decode(source actor.Source, m *stored, targets Targets) (partition int, d actor.Delivery, err error) {
	d = actor.Delivery{Source: source, Seq: m.seq, Time: m.time.UnixMilli(), Dedup: m.said.msgID != ""}
	if source == actor.SourceIngress {
		partition = a.decodeIngress(m, targets, &d)
	} else {
		partition, err = a.decodeMailbox(m, &d)
	}
	for i := range d.Inputs {
		d.Inputs[i].Envelope.StoredAt = d.Time
	}
	return partition, d, err
}

func (a *App) decodeMailbox(m *stored, d *actor.Delivery) (int, error) {
	s, ok := a.names.parseMailbox(m.subject)
	switch {
	case !ok || s.partition >= a.creation.Partitions:
		d.Inputs = []actor.Input{a.noAddress(m)}
		return 0, nil
	case s.internal:
		return s.partition, a.decodeInternal(m, s, d)
	case s.packed:
		return s.partition, a.decodePack(m, s, d)
	}
	d.Inputs = []actor.Input{a.decodeOutside(m, s)}
	return s.partition, nil
}

func (a *App) decodeInternal(m *stored, s mailboxSubject, d *actor.Delivery) error {
	send, err := decodeSend(m.data)
	if errors.Is(err, errNewer) {
		return fmt.Errorf("mailbox message %d: %w", m.seq, err)
	}
	d.Dedup = false
	if err == nil && (send.from != s.from || s.from >= a.creation.Partitions) {
		err = fmt.Errorf("internal message says it is from partition %d", send.from)
	}
	if err != nil {
		d.Inputs = []actor.Input{a.forged(m, err)}
		return nil
	}
	d.Internal, d.From, d.Number, d.Delivered, d.Epoch, d.First = true, send.from, send.number, send.delivered, send.epoch, send.first
	d.Inputs = make([]actor.Input, len(send.envelopes))
	for i := range send.envelopes {
		d.Inputs[i].Envelope = send.envelopes[i]
	}
	return nil
}

// decodePack makes one delivery of all messages in a pack.
func (a *App) decodePack(m *stored, s mailboxSubject, d *actor.Delivery) error {
	messages, err := decodePack(m.data)
	if errors.Is(err, errNewer) {
		return fmt.Errorf("mailbox message %d: %w", m.seq, err)
	}
	d.Dedup = false // the id of the pack itself is of no use later
	if err != nil {
		d.Inputs = []actor.Input{a.forged(m, err)}
		return nil
	}
	d.Inputs = make([]actor.Input, len(messages))
	for i := range messages {
		p := &messages[i]
		d.Dedup = d.Dedup || p.said.msgID != ""
		one := &stored{key: p.key, said: p.said, data: p.data, seq: m.seq, time: m.time, own: p.own, caller: p.caller}
		in := &d.Inputs[i]
		if strings.Count(p.key, ".") != 2 {
			*in = a.noAddress(one)
		} else {
			*in = a.decodeOutside(one, mailboxSubject{partition: s.partition, key: p.key})
		}
		// Who keeps one message should not keep the whole pack.
		if v := &in.Envelope.Value; len(messages) > 1 && len(v.Data) > 0 && &v.Data[0] == &p.data[0] {
			v.Data = bytes.Clone(v.Data)
		}
	}
	return nil
}

// subjectOf is what a message was published to.
func (a *App) subjectOf(m *stored) string {
	if m.key != "" {
		return a.names.fnOf(m.key)
	}
	return m.subject
}

func (a *App) forged(m *stored, err error) actor.Input {
	return badAddress(m, actor.Address{}, fmt.Sprintf("subject %q is reserved for jetfn, which did not write this: %v; publish to %s", a.subjectOf(m), err, a.names.fnForm()))
}

func (a *App) noAddress(m *stored) actor.Input {
	return badAddress(m, actor.Address{}, fmt.Sprintf("subject %q is no address; publish to %s", a.subjectOf(m), a.names.fnForm()))
}

func (a *App) decodeOutside(m *stored, s mailboxSubject) actor.Input {
	target, err := actor.ParseKey(s.key)
	if err != nil {
		detail := err.Error()
		if target.Type.Namespace != "" && target.Check() == nil {
			detail = fmt.Sprintf("the address in %q is not in canonical form; publish to %s", a.subjectOf(m), a.names.fn(target))
		}
		return badAddress(m, target, detail)
	}
	if p := target.Partition(a.creation.Partitions); p != s.partition {
		return badAddress(m, target, fmt.Sprintf("%s belongs to partition %d, but the message is in partition %d; publish to %s", target, p, s.partition, a.names.fn(target)))
	}
	if target.Type.Namespace == actor.OwnNamespace && !m.own {
		return badAddress(m, target, notForOutsiders(target))
	}
	in := input(m, target, "")
	if m.own && m.caller != "" {
		if in.Envelope.Caller, err = actor.ParseKey(m.caller); err != nil {
			return a.forged(m, fmt.Errorf("its caller: %w", err))
		}
	}
	return in
}

func notForOutsiders(target actor.Address) string {
	return fmt.Sprintf("functions of the namespace %s are jetfn's own, and %s takes no messages from outside; send to a function of a module", actor.OwnNamespace, target.Type)
}

// decodeIngress makes one input per target of the ingress.
func (a *App) decodeIngress(m *stored, targets Targets, d *actor.Delivery) int {
	p, tokens, ok := a.names.parseInbox(m.subject)
	if !ok || p >= a.creation.Partitions {
		d.Inputs = []actor.Input{badAddress(m, actor.Address{}, fmt.Sprintf("ingress record on %q has no key, or too many tokens; publish to %s", a.names.came(m.subject), a.names.ingressForm()))}
		return 0
	}
	var parts [3]string
	for i, t := range tokens {
		part, err := actor.Unescape(t)
		if err != nil {
			d.Inputs = []actor.Input{badAddress(m, actor.Address{}, fmt.Sprintf("ingress record on %q: %v; publish to %s", a.names.came(m.subject), err, a.names.ingressForm()))}
			return p
		}
		parts[i] = part
	}
	for i, t := range tokens {
		if actor.Escape(parts[i]) != t {
			d.Inputs = []actor.Input{badAddress(m, actor.Address{ID: parts[2]}, fmt.Sprintf("ingress record on %q is not in canonical form; publish to %s", a.names.came(m.subject), a.names.ingress(parts[0], parts[1], parts[2])))}
			return p
		}
	}
	ingress := actor.TypeName{Namespace: parts[0], Name: parts[1]}
	types, valueType, declared := targets(ingress, m.seq)
	var routings []Routing
	if a.cfg.Routings != nil {
		routings = a.cfg.Routings(ingress, m.seq)
	}
	if !declared || len(types)+len(routings) == 0 {
		d.Inputs = []actor.Input{noTargets(m, ingress, parts[2])}
		return p
	}
	d.Inputs = make([]actor.Input, 0, len(types)+len(routings))
	for _, t := range types {
		target := actor.Address{Type: t, ID: parts[2]}
		in := input(m, target, valueType)
		if t.Namespace == actor.OwnNamespace {
			in = badAddress(m, target, notForOutsiders(target))
		}
		d.Inputs = append(d.Inputs, in)
	}
	for _, r := range routings {
		d.Inputs = append(d.Inputs, r.routed(m, parts[2]))
	}
	return p
}

// input makes an input of an outside message. valueType is what the ingress
// declares, which wins over the message's own word.
func input(m *stored, target actor.Address, valueType string) actor.Input {
	in := actor.Input{Envelope: actor.Envelope{Target: target, Trace: m.said.trace}}
	typ := valueType
	if typ == "" {
		typ = m.said.valueType
	}
	in.Envelope.Value, in.Problem = actor.ValueFrom(typ, m.said.contentType, m.data)
	if err := target.Check(); err != nil {
		in.Problem = &actor.Problem{Reason: actor.ReasonBadAddress, Detail: err.Error()}
	}
	if m.said.delay != "" && in.Problem == nil {
		in.Route, in.Problem = m.delayed()
	}
	return in
}

// delayed is what a message that names a delay becomes; nil if the delay is
// zero. The delay counts from when the message was stored.
func (m *stored) delayed() (*actor.Route, *actor.Problem) {
	d, bad := actor.ParseDelay(m.said.delay)
	if bad != nil {
		bad.Detail = "header " + HeaderDelay + ": " + bad.Detail
		return nil, bad
	}
	if d == 0 {
		return nil, nil
	}
	return &actor.Route{DueAt: m.time.Add(d).UnixMilli()}, nil
}

func badAddress(m *stored, target actor.Address, detail string) actor.Input {
	in := input(m, target, "")
	in.Route = nil
	in.Problem = &actor.Problem{Reason: actor.ReasonBadAddress, Detail: detail}
	return in
}
