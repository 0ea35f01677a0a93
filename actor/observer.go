package actor

// Observer is told what becomes of messages, by the partition or by its host.
// Its methods don't block, change nothing that they are given, and are called
// from many goroutines. Without one nothing of it costs anything.
type Observer interface {
	// Accepted is told that a message for a function of type t was accepted.
	Accepted(t TypeName)
	// Invoking is told of a call that is about to begin. It sets b.Span if the
	// batch has none and is traced, and returns what is told of the call's end;
	// nil: nobody wants to know.
	Invoking(b *Batch) Invocation
	// Retreated is told that the batch of d was put back without a result, to
	// be called in smaller ones.
	Retreated(d *Done)
	// Committed is told that a commit is durable.
	Committed(c *Committed)
	// Applied is told that all effects of a commit are in place, if it is
	// traced.
	Applied(c *Committed)
}

// Invocation is one call of a function that is traced.
type Invocation interface {
	// End is told how the call went; it is called once.
	End(effects *Effects, err error)
}

// Exchanges is told of the requests that one call of a function makes over the
// network.
type Exchanges interface {
	// Begin is told that a request to url begins. It returns the trace context
	// that goes with it, and what is told of its end: the status of the answer,
	// zero without one, and why there is none.
	Begin(url string) (t Trace, end func(status int, err error))
}

// Span is what processes a batch, from its first attempt to its commit, as a
// part of a trace. It is the host's; the partition carries it from one attempt
// to the next and gives its trace to all messages that the batch sends.
type Span struct {
	Trace Trace // zero: not traced
	Began int64 // the first attempt, in Unix nanoseconds
	Ended int64 // the latest attempt, in Unix nanoseconds
	// Exchanges is told of each request of the attempt that begins; nil: nobody
	// wants to know.
	Exchanges Exchanges
}

// Traced reports whether there is one.
func (s *Span) Traced() bool { return s.Trace.Parent != "" }

// Committed is a durable commit as an Observer sees it.
type Committed struct {
	Partition     int
	Epoch, Number uint64
	Done          []Done
	Traced        bool  // at least one of Done is
	DurableAt     int64 // in Unix nanoseconds, for the Observer's own use
}

// Done is what one commit did for one address: a batch that was processed, or
// a message that was given up.
type Done struct {
	Target Address
	Span   Span
	Time   int64 // when it was done, in Unix milliseconds of the partition's time
	Calls  int   // attempts
	Letter *DeadLetter
	inputs []queuedInput
}

// Len is the number of its messages.
func (d *Done) Len() int { return len(d.inputs) }

// Message is one of them. Its value may have been dropped.
func (d *Done) Message(i int) *Envelope { return d.inputs[i].envelope }

// Input is the identity of the same one.
func (d *Done) Input(i int) InputID { return d.inputs[i].id }

// observed is the view of what is done, for the commit that packs it.
func (c *completion) observed() Done {
	d := Done{Target: c.target, Span: c.span, Time: c.time, Calls: c.calls, inputs: c.batch}
	if len(c.letters) > 0 {
		d.Letter = &c.letters[0]
	}
	return d
}

// observe gathers what an observer is told of a commit; nil without one.
func (p *Partition) observe(number uint64, batch []*completion) *Committed {
	if p.cfg.Observer == nil {
		return nil
	}
	c := &Committed{Partition: p.cfg.Partition, Epoch: p.writer.epoch, Number: number, Done: make([]Done, 0, len(batch))}
	for _, done := range batch {
		if len(done.batch) == 0 {
			continue // a timer that fired, or what was routed
		}
		c.Done = append(c.Done, done.observed())
		c.Traced = c.Traced || done.span.Traced()
	}
	return c
}
