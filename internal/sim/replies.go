package sim

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/jetfn/jetfn/actor"
)

// caller is whom the answer to an outside message goes to, the index-th of the
// plan's items; every third is one that nobody waits for.
func caller(index int, o *op) actor.Address {
	if index%3 == 0 {
		return actor.Address{}
	}
	return actor.WaitingCaller("g"+strconv.Itoa(index%2), o.ID)
}

// answer answers each message whose caller waits: at once, or some time later.
func (v *invocation) answer(e *actor.Envelope, o op) {
	if _, waits := e.Caller.WaitsAt(); !waits {
		return
	}
	if o.N == 7 {
		v.delay(20*o.Hops, e.Caller, v.message(o, "answer", o.N), "")
		return
	}
	v.send(e.Caller, v.message(o, "answer", o.N))
}

// replyKey tells replies apart: each answers another message, or is the answer
// of another call.
func replyKey(e *actor.Envelope) string { return e.Target.ID + " " + replyText(e) }

func replyText(e *actor.Envelope) string {
	if e.Value.Type == actor.FailureType {
		f, err := actor.ParseFailure(e.Value)
		if err != nil {
			return err.Error()
		}
		return "given up as " + f.Reason + " " + letterText(f.Letter)
	}
	return readOp(e.Value).ID
}

func letterText(id actor.SinkID) string {
	return strings.Join([]string{
		strconv.Itoa(id.Partition), strconv.FormatUint(id.Epoch, 10), strconv.FormatUint(id.Commit, 10), strconv.Itoa(id.Index),
	}, "-")
}

// failures are the replies that a commit's dead letters ask for.
func (f *folding) failures() (out []actor.Envelope) {
	for i := range f.c.DeadLetters {
		d := &f.c.DeadLetters[i]
		if _, waits := d.Envelope.Caller.WaitsAt(); !waits {
			continue
		}
		failure := actor.Failure{Reason: d.Reason, Error: d.Error, HTTPStatus: d.HTTPStatus, Attempts: d.Attempts, Letter: f.id(i)}
		out = append(out, actor.Envelope{Target: d.Envelope.Caller, Value: failure.Value()})
	}
	return out
}

// replies checks the replies: those of the invocations, of the timers that
// fired, and of the messages given up, each in order (G1). It takes them out
// of what the commit has to send.
func (f *folding) replies(fired *[]actor.Envelope) {
	g := f.g
	failed := f.failures()
	queues := []*[]actor.Envelope{&f.sent, fired, &failed}
	var wanted [3][]actor.Envelope
	for i, q := range queues {
		var rest []actor.Envelope
		for _, e := range *q {
			if _, waits := e.Target.WaitsAt(); waits {
				wanted[i] = append(wanted[i], e)
			} else {
				rest = append(rest, e)
			}
		}
		*q = rest
	}
	for i := range f.c.Replies {
		got, found := &f.c.Replies[i], false
		for q := range wanted {
			if found = len(wanted[q]) > 0 && sameEnvelope(&wanted[q][0], got); found {
				wanted[q] = wanted[q][1:]
				break
			}
		}
		if !found {
			g.fail("commit %d replies %s, which nobody asked for", f.rec.Commit, replyKey(got))
		}
		g.replies[replyKey(got)] = 0
	}
	if n := len(wanted[0]) + len(wanted[1]) + len(wanted[2]); n > 0 {
		g.fail("commit %d lacks %d replies", f.rec.Commit, n)
	}
}

// replied judges a reply on its way (J5).
func (g *ghost) replied(e *actor.Envelope) {
	key := replyKey(e)
	times, ok := g.replies[key]
	if !ok {
		g.fail("reply %s leaves, but is not in a durable commit (J5)", key)
	}
	g.replies[key] = times + 1
}

// checkReplies checks that every reply left at least once (G1).
func (g *ghost) checkReplies() {
	for _, key := range sortedKeys(g.replies, cmp.Compare[string]) {
		if g.replies[key] == 0 {
			g.fail("reply %s never left (G1)", key)
		}
	}
}
