package actor

import (
	"errors"
	"slices"
)

const (
	// fetchAhead is how many spilled inputs of an address are asked for at
	// once.
	fetchAhead = 64
	// shareMost is how many inputs an address may have queued to get those
	// that others have asked for.
	shareMost = 4 * fetchAhead
)

// spilledInput is an InputID of a queued input that is not in memory, in half
// of its bytes: there may be a million.
type spilledInput struct {
	seq    uint64
	index  uint32
	source uint32 // its place in Partition.sources
}

// spill queues an input by its id alone.
func (p *Partition) spill(act *activation, id InputID) {
	source := slices.IndexFunc(p.sources, func(n *intake) bool { return n.source == id.Source })
	act.spilled = append(act.spilled, spilledInput{id.Seq, uint32(id.Index), uint32(source)})
	p.spilled++
}

func (p *Partition) spilledID(s spilledInput) InputID {
	return InputID{p.sources[s.source].source, s.seq, int(s.index)}
}

// refill reads spilled inputs of act again when its queue runs low. While an
// address has spilled inputs, everything that follows is spilled too, so that
// order is kept.
//
// It asks for no more stored messages than are likely to hold fetchAhead inputs
// together, whoever they are for: share gives the rest to others. Else each of
// a thousand addresses would read the same messages for itself.
func (p *Partition) refill(act *activation) {
	if act.fetches > 0 || len(act.spilled) == 0 || len(act.queue) > fetchAhead/2 {
		return
	}
	n := min(fetchAhead, len(act.spilled))
	var last fetchKey
	for i, messages := 0, 0; i < n; i++ {
		id := p.spilledID(act.spilled[i])
		key := fetchKey{id.Source, id.Seq}
		if key != last {
			if messages++; messages > max(fetchAhead/max(p.inEach, 1), 1) {
				return
			}
			last = key
		}
		if len(p.fetching[key]) == 0 {
			p.readAgain(id.Source, id.Seq)
		}
		p.fetching[key] = append(p.fetching[key], &fetch{act: act, id: id})
		act.fetches++
	}
}

type fetchKey struct {
	source Source
	seq    uint64
}

// fetch is one spilled input that is being read again.
type fetch struct {
	act      *activation
	id       InputID
	envelope *Envelope
}

// readAgain asks for the message at place.
func (p *Partition) readAgain(source Source, place uint64) {
	seq, _ := p.intake(source).breaks.seq(place)
	p.request(fetchInput{source, place, seq})
}

// fetched takes a stored message that was read again.
func (p *Partition) fetched(source Source, place uint64, d *Delivery, err error) {
	key := fetchKey{source, place}
	waiting := p.fetching[key]
	if len(waiting) == 0 || p.stopped() {
		return
	}
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			p.doubt("input %s/%d is open, but its stream does not hold it any more", source, place)
			return
		}
		p.after(statePause, func() { p.readAgain(source, place) })
		return
	}
	if n := p.intake(source); n.contradicts(place, d.Time) {
		p.wentBack(n, d)
		return
	}
	d.Seq = place
	delete(p.fetching, key)
	p.inEach = len(d.Inputs)
	for _, f := range waiting {
		f.envelope = d.envelope(f.id.Index)
		f.act.arrived = append(f.act.arrived, f)
		f.act.fetches--
		if f.act.fetches == 0 {
			p.unspill(f.act)
		}
	}
	p.share(d)
}

// envelope is a copy of an input's: a reference would keep all of them in
// memory. It is nil if there is no such input.
func (d *Delivery) envelope(index int) *Envelope {
	if index >= len(d.Inputs) {
		return nil
	}
	e := d.Inputs[index].Envelope
	return &e
}

// unspill puts the inputs of a finished round of reading into the queue, in
// their order.
func (p *Partition) unspill(act *activation) {
	byID := make(map[InputID]*Envelope, len(act.arrived))
	for _, f := range act.arrived {
		byID[f.id] = f.envelope
	}
	n := len(act.arrived)
	act.arrived = nil
	for _, s := range act.spilled[:n] {
		id := p.spilledID(s)
		if e := byID[id]; e != nil {
			p.hold(act, queuedInput{id: id, envelope: e}, e.Size())
			continue
		}
		gone := &Envelope{Target: act.addr}
		p.giveUp(id, gone, &DeadLetter{Reason: ReasonBadAddress, Error: "the ingress no longer has this target"})
	}
	act.spilled = act.spilled[n:]
	p.spilled -= n
	p.schedule(act)
}

// share gives those inputs of a message that nobody has asked for to the
// addresses for which they are the next ones, while there is room.
func (p *Partition) share(d *Delivery) {
	for i := range d.Inputs {
		if p.resident >= p.cfg.ResidentInputs || p.residentBytes >= p.cfg.ResidentBytes {
			return
		}
		act := p.activations[d.Inputs[i].Envelope.Target]
		if act == nil || act.fetches > 0 || len(act.spilled) == 0 || len(act.queue) >= shareMost {
			continue
		}
		id := InputID{d.Source, d.Seq, i}
		if p.spilledID(act.spilled[0]) != id {
			continue
		}
		e := d.envelope(i)
		p.hold(act, queuedInput{id: id, envelope: e}, e.Size())
		act.spilled = act.spilled[1:]
		p.spilled--
	}
}
