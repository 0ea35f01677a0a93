package actor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jetfn/jetfn/internal/mutant"
)

// AnyName stands for all types of a namespace in a PauseKey.
const AnyName = "*"

// pausePause is the first pause before the record of a pause is written again,
// in milliseconds; it doubles up to pausePauseMax.
const (
	pausePause    = 100
	pausePauseMax = 5000
)

// PauseKey is what may get no calls: an address or, if Whole is set, all of
// its type, whose name may be AnyName.
type PauseKey struct {
	Address Address
	Whole   bool
}

// PauseType is the key of a whole function type.
func PauseType(t TypeName) PauseKey { return PauseKey{Address: Address{Type: t}, Whole: true} }

// PauseAddress is the key of one address.
func PauseAddress(a Address) PauseKey { return PauseKey{Address: a} }

// String is the type or the address.
func (k PauseKey) String() string {
	if k.Whole {
		return k.Address.Type.String()
	}
	return k.Address.String()
}

// PauseCause is the failure that has paused something.
type PauseCause struct {
	Address    Address // whose message failed
	Reason     string
	Error      string
	HTTPStatus int
	Endpoint   string
	Attempts   int
	FirstAt    int64 // Unix milliseconds
	LastAt     int64
}

// PauseNews is what the record of a key says as of a revision. News may come
// in any order, and more than once: the highest revision holds.
type PauseNews struct {
	Key      PauseKey
	Revision uint64
	Paused   bool
}

// pauseState is what a partition knows of a key.
type pauseState struct {
	revision uint64
	paused   bool
	own      *ownPause // decided here and not recorded yet; nil: none
}

// ownPause is a pause that follows from a failure.
type ownPause struct {
	cause PauseCause
	after uint64 // the revision that the record follows
	wait  int64  // before the next try
}

func (s *pauseState) barring() bool { return s != nil && (s.paused || s.own != nil) }

// Pause takes news of what gets no calls. What is sent there waits, in order,
// as it does for a slow function; calls under way come to their end.
func (p *Partition) Pause(news ...PauseNews) {
	freed := map[PauseKey]bool{}
	for _, n := range news {
		s := p.pauses[n.Key]
		if s == nil {
			s = &pauseState{}
			p.pauses[n.Key] = s
		}
		if n.Revision <= s.revision && !mutant.On("pause-news-any-order") {
			continue
		}
		before := s.barring()
		s.revision, s.paused, s.own = n.Revision, n.Paused, nil
		p.countBar(before, s.barring())
		if before && !s.barring() {
			freed[n.Key] = true
		}
	}
	if len(freed) > 0 && !mutant.On("resume-forgets") {
		p.free(freed)
	}
}

// countBar keeps the number of keys that bar calls.
func (p *Partition) countBar(before, now bool) {
	switch {
	case now && !before:
		p.bars++
	case before && !now:
		p.bars--
	}
}

// free lets what waited because of keys go on.
func (p *Partition) free(keys map[PauseKey]bool) {
	var list []*activation
	wide := false
	for k := range keys {
		wide = wide || k.Whole
		if act := p.activations[k.Address]; act != nil && !k.Whole {
			list = append(list, act)
		}
	}
	if wide {
		list = nil
		for a, act := range p.activations {
			if keys[PauseAddress(a)] || keys[PauseType(a.Type)] || keys[PauseType(TypeName{a.Type.Namespace, AnyName})] {
				list = append(list, act)
			}
		}
	}
	slices.SortFunc(list, func(a, b *activation) int { return strings.Compare(a.addr.Key(), b.addr.Key()) })
	for _, act := range list {
		if act.phase == actIdle && !p.paused(act.addr) {
			p.schedule(act)
		}
	}
}

// paused reports whether an address gets no calls because it is paused, or its
// type.
func (p *Partition) paused(a Address) bool {
	return p.bars > 0 && (p.pauses[PauseAddress(a)].barring() || p.pauses[PauseType(a.Type)].barring() ||
		p.pauses[PauseType(TypeName{a.Type.Namespace, AnyName})].barring())
}

// barred reports whether an address gets no call now: it is paused, or an edit
// is due.
func (p *Partition) barred(a Address) bool {
	return p.paused(a) && !mutant.On("pause-ignored") || len(p.edits[a]) > 0
}

// park lets an activation wait until it isn't barred any more. That time isn't
// counted against its batch.
func (p *Partition) park(act *activation) {
	act.phase = actIdle
	p.excuse(act)
}

// halt pauses the address, or its type, whose message has failed for good. The
// message stays at the head of its queue, with a fresh budget for when the
// pause is over.
func (p *Partition) halt(act *activation, then Then, failure *InvokeError) {
	k := PauseAddress(act.addr)
	if then == ThenPauseFunction {
		k = PauseType(act.addr.Type)
	}
	cause := PauseCause{
		Address: act.addr, Reason: failure.Reason, Error: failure.Error(), HTTPStatus: failure.HTTPStatus, Endpoint: failure.Endpoint,
		Attempts: act.answered.calls, FirstAt: act.answered.firstAt, LastAt: act.startedAt,
	}
	act.attempts, act.roundAt = 0, 0
	if mutant.On("pause-loses-place") && len(act.queue) > 0 {
		act.batch, act.queue[0] = []queuedInput{act.queue[0]}, act.batch[0]
	}
	s := p.pauses[k]
	if s == nil {
		s = &pauseState{}
		p.pauses[k] = s
	}
	if s.barring() {
		return // meanwhile somebody else has
	}
	s.own = &ownPause{cause: cause, after: s.revision, wait: pausePause}
	p.countBar(false, true)
	what := "address paused after a failure"
	if k.Whole {
		what = "function paused after a failure"
	}
	p.warn(what, act.addr, fmt.Sprintf("%s: %s; attempts: %d; once it is mended: jetfn fn resume %s", cause.Reason, cause.Error, cause.Attempts, k))
	p.request(writePause{key: k, cause: cause, revision: s.own.after})
}

// pauseWritten takes the outcome of the record of a pause that was to follow
// revision after. A pause that the record of another one has overtaken is heard
// of by news.
func (p *Partition) pauseWritten(k PauseKey, after uint64, res WriteResult) {
	s := p.pauses[k]
	if s == nil || s.own == nil || s.own.after != after {
		return // there was newer news, and maybe another pause since
	}
	switch {
	case res.Outcome == Stored:
		s.revision, s.paused, s.own = max(res.Seq, s.revision), true, nil
	case res.Outcome == Rejected && res.Seq > s.own.after:
		return
	case res.Outcome == Rejected: // the mark that a resumption left has expired
		s.own.after = res.Seq
		p.request(writePause{key: k, cause: s.own.cause, revision: s.own.after})
	default:
		own := s.own
		if mutant.On("pause-unwritten") {
			return
		}
		p.after(own.wait, func() {
			if s.own == own {
				p.request(writePause{key: k, cause: own.cause, revision: own.after})
			}
		})
		own.wait = min(2*own.wait, pausePauseMax)
	}
}

// Backlog counts the messages that wait or are being handled, by function
// type.
func (p *Partition) Backlog() map[TypeName]int {
	out := map[TypeName]int{}
	for a, act := range p.activations {
		if n := len(act.queue) + len(act.spilled) + len(act.batch); n > 0 {
			out[a.Type] += n
		}
	}
	return out
}
