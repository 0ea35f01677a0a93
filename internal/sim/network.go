package sim

import (
	"errors"

	"github.com/jetfn/jetfn/actor"
)

var (
	errTimeout = errors.New("no answer in time")
	errFull    = errors.New("the stream is full")
	errBusy    = errors.New("wrong last sequence: another append is on its way")
	errRead    = errors.New("the read failed")
)

// lane is a connection whose packets arrive in the order they were sent.
type lane struct {
	last   int64  // arrival of the newest packet
	broken bool   // until its owner is told
	lost   bool   // what is on it is lost, else it arrives late
	late   int64  // by so much
	told   bool   // its owner was told
	marked bool   // a broken one is used again from the next marker on only
	broke  func() // called when it breaks, unless nil
}

// delay is how long something takes on its way.
func (w *World) delay() int64 {
	k := &w.plan.Knobs
	if w.chance(k.LongDelays, Late) {
		return w.rnd.Int64N(k.LongDelay)
	}
	return w.rnd.Int64N(k.Delay)
}

// packet is a write on its way to a port.
type packet struct {
	port  string
	lane  *lane // nil: it may overtake others
	whole bool  // only its lane may lose it or delay it, not the network
	twice bool  // the network may repeat it
	slow  int64 // more of a delay
	do    func() actor.WriteResult
	done  func(actor.WriteResult)
}

// write sends a packet: it may be stored, now, late, twice or never, and the
// answer may come or not. The port tells its caller once.
func (o *owner) write(p packet) {
	w, k := o.w, &o.w.plan.Knobs
	if o.era != w.era {
		return
	}
	arrive, back, acked, stored := w.delay()+p.slow, w.delay(), true, true
	switch {
	case !p.whole && w.chance(k.Lose, Lost):
		w.hit(Lost)
		stored, acked = false, false
	case w.chance(k.LoseAck, AckLost):
		w.hit(AckLost)
		acked = false
	case w.chance(k.LateAck, AckLate):
		w.hit(AckLate)
		if late := w.rnd.Int64N(k.Timeout); p.port == "journal" || p.lane != nil || w.rnd.IntN(2) == 0 {
			back += late
		} else {
			arrive += late
		}
	case !p.whole && w.chance(k.Delaying, Late):
		arrive += k.Timeout + w.rnd.Int64N(k.LongDelay)
	}
	if l := p.lane; l != nil {
		if !l.broken && w.chance(k.Breaks, Break) {
			w.hit(Break)
			l.broken, l.lost, l.late = true, w.rnd.IntN(2) == 0, k.Timeout+w.rnd.Int64N(k.LongDelay)
			w.log(o, "fault", "the connection for %s breaks", p.port)
			if l.broke != nil {
				l.broke()
			}
		}
		if l.broken {
			acked, stored, arrive = false, stored && !l.lost, arrive+l.late
		}
		arrive = max(arrive, l.last+1-w.now)
		l.last = w.now + arrive
	}
	if arrive+back >= k.Timeout && acked {
		acked = false
	}
	if stored && arrive > k.Timeout {
		w.hit(Late)
	}
	if !acked {
		w.after(k.Timeout, func() {
			if p.lane != nil && p.lane.broken {
				p.lane.told = true
				if !p.lane.marked {
					*p.lane = lane{}
				}
			}
			p.done(actor.WriteResult{Outcome: actor.Unknown, Err: errTimeout})
		})
	}
	if stored {
		w.after(arrive, func() { o.arrive(&p, back, acked) })
	}
	if stored && p.twice && w.chance(k.Repeat, Duplicate) {
		w.hit(Duplicate)
		w.after(arrive+w.rnd.Int64N(k.LongDelay), func() {
			if o.era == w.era {
				p.do()
			}
		})
	}
}

func (o *owner) arrive(p *packet, back int64, acked bool) {
	w := o.w
	if o.era != w.era {
		return
	}
	if o.dead {
		w.hit(DeadPacket)
	}
	res := actor.WriteResult{Outcome: actor.Refused, Err: errFull}
	if w.full[p.port] <= w.now {
		res = p.do()
	}
	if res.Outcome == actor.Stored && (!acked || back > 50) && p.port == "journal" {
		o.at("append-unseen")
	}
	if acked {
		w.after(back, func() { p.done(res) })
	}
}

// reached is called where an owner hands something to the network; false if
// it has died before that, or at that moment and nothing got out.
func (o *owner) reached(step string) bool {
	if o.dead {
		return false
	}
	o.at(step)
	if o.dead && o.w.rnd.IntN(2) == 0 {
		return false
	}
	o.published++
	return true
}

// answered is called with each answer, before its owner gets it.
func (o *owner) answered(step string, done func(actor.WriteResult)) func(actor.WriteResult) {
	return func(res actor.WriteResult) {
		if res.Outcome == actor.Stored {
			o.at(step)
		}
		done(res)
	}
}

// readFails decides whether a read has to be repeated.
func (o *owner) readFails() error {
	if o.w.chance(o.w.plan.Knobs.ReadErrors, ReadError) {
		o.w.hit(ReadError)
		return errRead
	}
	return nil
}

// later is when a clean-up lands.
func (o *owner) later(do func()) {
	w := o.w
	if w.chance(w.plan.Knobs.LateTrims, LateTrim) {
		w.hit(LateTrim)
		w.after(w.rnd.Int64N(w.plan.Knobs.LongDelay), func() {
			if o.era == w.era {
				do()
			}
		})
		return
	}
	do()
}

// stored runs a write of a fake, which answers at once.
func stored(write func(done func(actor.WriteResult))) (res actor.WriteResult) {
	write(func(r actor.WriteResult) { res = r })
	return res
}
