package actor

import "strings"

// OwnNamespace is the namespace of the function types that are jetfn's own:
// no module binds them, and only a worker sends to them from outside.
const OwnNamespace = "jetfn"

// waitingPrefix begins the id of a caller that waits for one reply and has no
// state: "w-<gateway>-<call>".
const waitingPrefix = "w-"

// FailureType is the type of the value that tells a caller that its message
// was given up; see ParseFailure. The envelope that brings it has no Caller,
// which those of functions always have.
const FailureType = "jetfn/failure"

// CallerType is the type of the addresses that stand for callers from outside
// who want an answer: what a function sends there is the answer.
func CallerType() TypeName { return TypeName{Namespace: OwnNamespace, Name: "caller"} }

// WaitingCaller is the address of the caller that waits at a gateway under the
// name call, both without "-". A message to it never enters a mailbox: it
// leaves as a reply when the commit that sends it is durable.
func WaitingCaller(gateway, call string) Address {
	return Address{Type: CallerType(), ID: waitingPrefix + gateway + "-" + call}
}

// WaitsAt returns the gateway at which a waits for a reply, if it is a
// WaitingCaller.
func (a Address) WaitsAt() (gateway string, ok bool) {
	if !a.waits() {
		return "", false
	}
	gateway, _, ok = strings.Cut(a.ID[len(waitingPrefix):], "-")
	return gateway, ok
}

func (a Address) waits() bool {
	return a.Type.Namespace == OwnNamespace && a.Type == CallerType() && strings.HasPrefix(a.ID, waitingPrefix)
}

// Failure is why a message was given up, as its caller is told.
type Failure struct {
	Reason     string // one of the Reason constants
	Error      string
	HTTPStatus int // zero: there was none
	Attempts   int
	Letter     SinkID // of the dead letter
}

// Value is f as a caller gets it.
func (f *Failure) Value() Value {
	w := fieldWriter{}
	w.text(1, f.Reason)
	w.text(2, f.Error)
	w.int(3, f.HTTPStatus)
	w.int(4, f.Attempts)
	w.int(5, f.Letter.Partition)
	w.uint(6, f.Letter.Epoch)
	w.uint(7, f.Letter.Commit)
	w.int(8, f.Letter.Index)
	return Value{Type: FailureType, Data: w.b}
}

// ParseFailure reads what Failure.Value wrote.
func ParseFailure(v Value) (Failure, error) {
	var out Failure
	err := readFields(v.Data, func(f *field) error {
		switch f.num {
		case 1:
			out.Reason = f.text()
		case 2:
			out.Error = f.text()
		case 3:
			out.HTTPStatus = f.int()
		case 4:
			out.Attempts = f.int()
		case 5:
			out.Letter.Partition = f.int()
		case 6:
			out.Letter.Epoch = f.v
		case 7:
			out.Letter.Commit = f.v
		case 8:
			out.Letter.Index = f.int()
		}
		return nil
	})
	return out, err
}

// send adds a message to the commit being assembled: as a numbered send, or as
// a reply if its target waits at a gateway.
func (p *Partition) send(c *commit, e *Envelope) {
	if e.Target.waits() {
		c.replies = append(c.replies, *e)
		return
	}
	to := e.Target.Partition(p.cfg.Partitions)
	c.sends = append(c.sends, numberedSend{to: to, number: p.outbox.number(to), envelope: *e})
}

// tellCaller answers the caller of a message that becomes the commit's dead
// letter number index, if one waits for an answer.
func (p *Partition) tellCaller(c *commit, d *DeadLetter, index int) {
	if d.Envelope.Caller.Type != CallerType() {
		return
	}
	f := Failure{
		Reason: d.Reason, Error: d.Error, HTTPStatus: d.HTTPStatus, Attempts: d.Attempts,
		Letter: SinkID{p.cfg.Partition, p.writer.epoch, p.writer.commit, index},
	}
	p.send(c, &Envelope{Target: d.Envelope.Caller, Value: f.Value(), Trace: d.Envelope.Trace})
}
