package actor

import (
	"errors"
	"time"

	"github.com/jetfn/jetfn/internal/mutant"
)

// activation is an address that has something to do: its queue, and the call
// in flight or waiting for its next attempt.
type activation struct {
	addr  Address
	state *entry
	// entries are those that the batch has asked for, sorted by name.
	entries []*entry
	phase   activationPhase

	queue   []queuedInput
	bytes   int
	spilled []spilledInput // behind queue
	fetches int            // of spilled inputs under way
	arrived []*fetch       // of the same round, not in the queue yet

	batch     []queuedInput // in flight, or to be tried again
	attempts  int           // answered failures of batch
	firstAt   int64         // first attempt of a message of batch
	roundAt   int64         // when the budget of batch began
	startedAt int64         // the attempt in flight
	burst     uint64        // that it belongs to
	excused   int64         // time within the budget that wasn't the function's fault
	excusedAt int64         // since when batch waits for no fault of the function's; zero: it does not
	calls     int           // attempts of any kind, for the function to see
	doubt     int           // of them, those that an earlier owner may have made
	answered  answered      // of them, those that may have reached the function
	policy    Policy        // of the call in flight: its function may be another one when it ends

	span Span // of batch, if it is traced

	failure  *InvokeError // the latest one
	failedAt int64

	suspect int // messages left of a batch that failed for good
	cap     int // largest batch while suspect > 0
}

type activationPhase uint8

const (
	actIdle    activationPhase = iota
	actLoading                 // waiting for its state
	actStalled                 // waiting for the backlog of effects to shrink
	actReady                   // waiting for a place among the calls
	actRunning
	actBackoff
)

type queuedInput struct {
	id       InputID
	envelope *Envelope
	tried    *tries // in batches that were split; nil: never
}

// tries are the attempts that a message has behind it.
type tries struct {
	calls    int
	firstAt  int64
	answered answered
}

// answered are attempts that may have reached the function: all but those at
// an endpoint that can't be reached.
type answered struct {
	calls   int
	firstAt int64
}

// enqueue adds an accepted input to its address.
func (p *Partition) enqueue(id InputID, e *Envelope) {
	spec, known := p.function(e.Target)
	act := p.activations[e.Target]
	if !known && act == nil { // else it may not overtake what is given up, or in flight
		p.giveUp(id, e, p.unserved(e.Target.Type))
		return
	}
	if act == nil {
		act = &activation{addr: e.Target, state: p.states.use(StateKey{Address: e.Target})}
		p.activations[e.Target] = act
	}
	size := e.Size()
	full := len(act.queue) >= spec.maxBatch() || p.resident >= p.cfg.ResidentInputs || p.residentBytes >= p.cfg.ResidentBytes
	if len(act.spilled) > 0 || full {
		p.spill(act, id)
	} else {
		p.hold(act, queuedInput{id: id, envelope: e}, size)
	}
	p.schedule(act)
}

func (p *Partition) hold(act *activation, q queuedInput, size int) {
	act.queue = append(act.queue, q)
	act.bytes += size
	p.resident++
	p.residentBytes += size
}

// schedule moves an idle activation on: to its next batch, to reading spilled
// inputs again, or out of memory.
func (p *Partition) schedule(act *activation) {
	p.refill(act)
	if act.phase != actIdle || p.draining {
		return
	}
	if len(act.queue) == 0 && len(act.batch) == 0 {
		if len(act.spilled) == 0 {
			delete(p.activations, act.addr)
			p.states.release(act.state)
			p.dropEntries(act)
		}
		return
	}
	if p.barred(act.addr) {
		p.park(act)
		return
	}
	p.excuse(act)
	act.phase = actLoading
	p.states.whenLoaded(act.state, func() { p.ready(act) })
}

// ready asks for a place among the calls, unless too much is unapplied (P2).
func (p *Partition) ready(act *activation) {
	if p.applier.crowded(1) {
		act.phase = actStalled
		p.stalled = append(p.stalled, act)
		return
	}
	spec, known := p.function(act.addr)
	switch {
	case !known:
		p.forgo(act)
		return
	case spec.Function == nil:
		p.await(act, spec.AwaitedUntil)
		return
	}
	act.phase = actReady
	p.request(readyCall{target: act.addr, endpoint: spec.Endpoint, limit: spec.MaxConcurrent})
}

// unstall resumes activations once the backlog of effects has shrunk.
func (p *Partition) unstall() {
	if len(p.stalled) == 0 || p.applier.crowded(2) {
		return
	}
	list := p.stalled
	p.stalled = nil
	for _, act := range list {
		p.ready(act)
	}
}

// granted starts the call to endpoint that readyCall asked for.
func (p *Partition) granted(a Address, endpoint string) {
	act := p.activations[a]
	if act == nil || act.phase != actReady || p.draining || p.stopped() || p.barred(a) {
		if act != nil && act.phase == actReady {
			p.park(act)
		}
		p.request(giveBack{Place{Function: a.Type, Endpoint: endpoint}})
		return
	}
	spec, known := p.function(a)
	if !known || spec.Function == nil || spec.Endpoint != endpoint && !mutant.On("granted-elsewhere") { // it has changed meanwhile
		p.request(giveBack{Place{Function: a.Type, Endpoint: endpoint}})
		p.ready(act)
		return
	}
	p.unexcuse(act)
	if len(act.batch) == 0 {
		p.fillBatch(act, &spec)
	}
	act.phase, act.startedAt, act.policy = actRunning, p.now, spec.Policy.WithDefaults()
	act.burst = p.burst.begin(p.now)
	act.calls++
	if act.firstAt == 0 {
		act.firstAt = p.now
	}
	if act.roundAt == 0 {
		act.roundAt, act.excused = p.now, 0
	}
	b := &Batch{Target: a, Attempt: act.calls, Envelopes: make([]Envelope, len(act.batch)), Span: act.span}
	b.State, b.Entries = act.shown(p.now)
	for i, q := range act.batch {
		b.Envelopes[i] = *q.envelope
		if spec.Inputs {
			b.Inputs = append(b.Inputs, q.id)
		}
	}
	p.calls++
	p.request(invokeCall{function: spec.Function, endpoint: spec.Endpoint, batch: b, policy: act.policy})
	p.refill(act)
}

func (s *FunctionSpec) maxBatch() int {
	if s.MaxBatch > 0 {
		return s.MaxBatch
	}
	return 1000
}

func (s *FunctionSpec) maxBatchBytes() int {
	if s.MaxBatchBytes > 0 {
		return s.MaxBatchBytes
	}
	return 4 << 20
}

// fillBatch takes the next batch off the queue, capped by count and bytes.
func (p *Partition) fillBatch(act *activation, spec *FunctionSpec) {
	p.dropEntries(act)
	limit := spec.maxBatch()
	if act.suspect > 0 {
		limit = min(limit, act.cap, act.suspect) // what follows is above suspicion, and stays apart
	}
	n, bytes := 0, 0
	for n < len(act.queue) && n < limit {
		size := act.queue[n].envelope.Size()
		if n > 0 && bytes+size > spec.maxBatchBytes() {
			break
		}
		n, bytes = n+1, bytes+size
	}
	act.batch = append([]queuedInput(nil), act.queue[:n]...)
	act.queue = act.queue[n:]
	act.bytes -= bytes
	p.resident -= n
	p.residentBytes -= bytes
	act.attempts, act.firstAt, act.roundAt, act.excused, act.calls, act.doubt, act.span = 0, 0, 0, 0, 0, 0, Span{}
	act.answered = answered{}
	for _, q := range act.batch {
		if q.tried != nil && q.tried.calls > act.calls {
			act.calls, act.firstAt, act.answered = q.tried.calls, q.tried.firstAt, q.tried.answered
		}
	}
	if p.mayBeKnown(act.batch) {
		act.calls, act.doubt = act.calls+1, 1
	}
}

// mayBeKnown reports whether an earlier owner may have called the function with
// one of the inputs: it was stored before this owner ran.
func (p *Partition) mayBeKnown(batch []queuedInput) bool {
	for i := range batch {
		if n := p.intake(batch[i].id.Source); n.fresh == 0 || batch[i].id.Seq < n.fresh {
			return true
		}
	}
	return false
}

// invoked takes a call's answer.
func (p *Partition) invoked(b *Batch, effects *Effects, err error) {
	p.calls--
	a := b.Target
	act := p.activations[a]
	if act == nil || act.phase != actRunning {
		return
	}
	act.phase, act.span = actIdle, b.Span
	p.burst.end(act.burst)
	p.stats.Invocations++
	loading, err := p.wantsEntries(act, err)
	if loading {
		p.editNext(a)
		return
	}
	if err == nil {
		err = p.accept(act, effects)
	}
	if err == nil {
		p.succeeded(act)
	} else {
		p.failed(act, err)
	}
	p.editNext(a)
	if p.activations[a] == act {
		p.schedule(act)
	}
}

func (p *Partition) succeeded(act *activation) {
	p.stats.Messages += uint64(len(act.batch))
	if act.suspect > 0 {
		act.suspect -= len(act.batch)
		act.cap *= 2
	}
	act.batch = nil
}

// failed decides what a failed call means: wait, try again, split, give up.
func (p *Partition) failed(act *activation, err error) {
	var failure *InvokeError
	if !errors.As(err, &failure) {
		failure = &InvokeError{Reason: ReasonProtocol, Err: err}
	}
	act.failure, act.failedAt = failure, p.now
	policy := act.policy
	if failure.Kind == Unreachable {
		act.excused += p.now - act.startedAt
		p.excuse(act)
		p.retry(act, max(policy.BackoffMin, failure.RetryAfter))
		return
	}
	act.attempts++
	if act.answered.calls++; act.answered.calls == 1 {
		act.answered.firstAt = act.startedAt
	}
	wait := p.backoff(&policy, act.attempts)
	if failure.RetryAfter > 0 {
		wait = failure.RetryAfter
	}
	spent := time.Duration(p.now-act.roundAt-act.excused) * time.Millisecond
	exhausted := failure.Kind == Final || act.attempts >= policy.Attempts || spent+wait >= policy.Budget
	probing := act.suspect > 0 && len(act.batch) > 1
	switch {
	case !exhausted && !probing:
		p.retry(act, wait)
	case len(act.batch) > 1:
		p.split(act)
	case policy.Then != ThenDeadLetter:
		p.halt(act, policy.Then, failure)
	default:
		p.abandon(act, failure)
	}
}

// excuse leaves the time from now to the next call out of the batch's budget:
// it waits for no fault of the function's.
func (p *Partition) excuse(act *activation) {
	if len(act.batch) > 0 && act.excusedAt == 0 {
		act.excusedAt = p.now
	}
}

// unexcuse ends that time.
func (p *Partition) unexcuse(act *activation) {
	if act.excusedAt != 0 {
		act.excused += p.now - act.excusedAt
		act.excusedAt = 0
	}
}

// retry tries the same batch again after a pause.
func (p *Partition) retry(act *activation, wait time.Duration) {
	p.stats.Retries++
	act.phase = actBackoff
	p.after(max(wait.Milliseconds(), 1), func() {
		if act.phase == actBackoff {
			act.phase = actIdle
			p.schedule(act)
		}
	})
}

// backoff doubles from the policy's minimum to its maximum; the upper half of
// it is jitter.
func (p *Partition) backoff(policy *Policy, attempt int) time.Duration {
	d := policy.BackoffMin
	for range attempt - 1 {
		if d *= 2; d >= policy.BackoffMax {
			d = policy.BackoffMax
			break
		}
	}
	return d/2 + time.Duration(p.rand.Int64N(int64(d/2)+1))
}

// split puts a batch that failed for good back, to be tried in halves: one
// poisonous message must not take the others with it.
func (p *Partition) split(act *activation) {
	n := len(act.batch)
	if p.cfg.Observer != nil && act.span.Traced() {
		p.request(tellRetreat{&Done{Target: act.addr, Span: act.span, Time: p.now, Calls: act.calls, inputs: act.batch}})
	}
	if act.suspect == 0 {
		act.suspect = n
	}
	act.cap = (n + 1) / 2
	tried := &tries{calls: act.calls - act.doubt, firstAt: act.firstAt, answered: act.answered}
	for i := range act.batch {
		q := &act.batch[i]
		q.tried = tried
		size := q.envelope.Size()
		act.bytes += size
		p.residentBytes += size
	}
	p.resident += n
	act.queue = append(append(make([]queuedInput, 0, n+len(act.queue)), act.batch...), act.queue...)
	act.batch = nil
	p.stats.Retries++
}

// abandon makes a dead letter of a batch of one.
func (p *Partition) abandon(act *activation, failure *InvokeError) {
	q := act.batch[0]
	if act.suspect > 0 {
		act.suspect--
	}
	act.batch = nil
	c := p.giveUp(q.id, q.envelope, &DeadLetter{
		Reason: failure.Reason, Error: failure.Error(), HTTPStatus: failure.HTTPStatus, Endpoint: failure.Endpoint,
		Attempts: act.answered.calls, FirstAt: act.answered.firstAt, LastAt: act.startedAt,
	})
	c.span, c.calls = act.span, act.calls
}

// giveUp consumes an input as a dead letter.
func (p *Partition) giveUp(id InputID, e *Envelope, d *DeadLetter) *completion {
	c := &completion{target: e.Target, consumed: []InputID{id}, size: e.Size()}
	if p.cfg.Observer != nil {
		c.batch = []queuedInput{{id: id, envelope: e}}
	}
	p.refuse(c, e, d)
	p.complete(c)
	return c
}

// refuse adds a dead letter of e to c.
func (p *Partition) refuse(c *completion, e *Envelope, d *DeadLetter) {
	d.Envelope = *e
	c.letters = append(c.letters, *d)
	p.stats.DeadLetters++
}
