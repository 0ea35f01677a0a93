package actor

const (
	// lingerTime is how long a commit waits for calls in flight at most.
	lingerTime = 2 // milliseconds
	// burstTime is how long after the first call of a burst others belong to it.
	burstTime = 10 // milliseconds
)

// burst is the calls that began at about the same time. Messages come in packs,
// so calls are made in bursts and end in bursts: without a wait, the first one
// that ends has a commit for itself. Calls that began earlier are most likely
// slow ones, which nobody should wait for.
type burst struct {
	number uint64
	began  int64
	calls  int // in flight
}

// begin notes that a call begins, and returns its burst's number.
func (b *burst) begin(now int64) uint64 {
	if b.number == 0 || now-b.began >= burstTime {
		*b = burst{number: b.number + 1, began: now}
	}
	b.calls++
	return b.number
}

// end notes that a call of the burst with that number has ended.
func (b *burst) end(number uint64) {
	if number == b.number {
		b.calls--
	}
}

// linger has the next commit wait for the rest of the burst, if there is one.
// It is called before the result of a call is completed.
func (p *Partition) linger() {
	if len(p.completed) == 0 && p.burst.calls > 0 {
		p.commitAt = p.now + lingerTime // Wake sees to it that somebody looks then
	}
}

// lingers reports whether what is completed waits for more.
func (p *Partition) lingers() bool {
	return p.burst.calls > 0 && p.now < p.commitAt && !p.draining
}
