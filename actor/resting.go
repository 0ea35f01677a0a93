package actor

import "encoding/binary"

// restingOverhead is about what a resting state takes besides its bytes.
const restingOverhead = 96

// resting is the cache of states that nobody needs now and that are stored as
// they are: the longest unused ones go when there are too many, or when they
// take too much. With many addresses most of the memory is here, so each state
// is one piece of bytes, which the garbage collector doesn't look into.
type resting struct {
	most, mostBytes int
	bytes           int
	index           map[string]int // slots, by the packed key
	slots           []restingSlot
	free            []int // of slots
	oldest, newest  int   // slots; none if index is empty
	room            []byte
}

// restingSlot is a place in the order of use.
type restingSlot struct {
	key          string // the beginning of packed
	packed       string
	older, newer int
}

func newResting(most, mostBytes int) *resting {
	return &resting{most: most, mostBytes: mostBytes, index: map[string]int{}}
}

func (r *resting) has(k StateKey) bool {
	r.room = packKey(r.room[:0], k)
	_, ok := r.index[string(r.room)]
	return ok
}

// put takes a clean entry in.
func (r *resting) put(e *entry) {
	b := packKey(r.room[:0], e.key)
	n := len(b)
	b = packEntry(b, e)
	r.room = b
	if cap(b) > 1<<16 {
		r.room = nil
	}
	packed := string(b)
	i := len(r.slots)
	if f := len(r.free); f > 0 {
		i, r.free = r.free[f-1], r.free[:f-1]
	} else {
		r.slots = append(r.slots, restingSlot{})
	}
	r.slots[i] = restingSlot{key: packed[:n], packed: packed, older: r.newest}
	if len(r.index) == 0 {
		r.oldest = i
	} else {
		r.slots[r.newest].newer = i
	}
	r.newest = i
	r.index[packed[:n]] = i
	r.bytes += len(packed) + restingOverhead
	for len(r.index) > 0 && (len(r.index) > r.most || r.bytes > r.mostBytes) {
		r.remove(r.oldest)
	}
}

// take moves what rests of e's key into e, and reports whether there is any.
func (r *resting) take(e *entry) bool {
	if len(r.index) == 0 {
		return false
	}
	r.room = packKey(r.room[:0], e.key)
	i, ok := r.index[string(r.room)]
	if !ok {
		return false
	}
	s := &r.slots[i]
	unpackEntry(s.packed[len(s.key):], e)
	r.remove(i)
	return true
}

func (r *resting) remove(i int) {
	s := r.slots[i]
	delete(r.index, s.key)
	r.bytes -= len(s.packed) + restingOverhead
	if i == r.oldest {
		r.oldest = s.newer
	} else {
		r.slots[s.older].newer = s.newer
	}
	if i == r.newest {
		r.newest = s.older
	} else {
		r.slots[s.newer].older = s.older
	}
	r.slots[i] = restingSlot{}
	r.free = append(r.free, i)
}

func packText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func packKey(b []byte, k StateKey) []byte {
	b = packText(b, k.Address.Type.Namespace)
	b = packText(b, k.Address.Type.Name)
	b = packText(b, k.Address.ID)
	return packText(b, k.Entry)
}

// packEntry appends what unpackEntry needs of a clean entry.
func packEntry(b []byte, e *entry) []byte {
	for _, n := range [...]uint64{e.base, e.revision, e.stored, e.epoch, e.commit, uint64(len(e.durable))} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendVarint(b, e.changed)
	for i := range e.durable {
		v := &e.durable[i]
		b = packText(packText(b, v.Name), v.Value.Type)
		b = binary.AppendUvarint(b, uint64(len(v.Value.Data)))
		b = append(b, v.Value.Data...)
		b = binary.AppendVarint(binary.AppendVarint(b, v.WrittenAt), v.ExpiresAt)
	}
	if e.absent {
		return append(b, 1)
	}
	return append(b, 0)
}

func unpackEntry(packed string, e *entry) {
	u := unpacker(packed)
	e.base, e.revision, e.stored, e.epoch, e.commit = u.uvarint(), u.uvarint(), u.uvarint(), u.uvarint(), u.uvarint()
	n := int(u.uvarint())
	e.changed = u.varint()
	if n > 0 {
		e.durable = make(State, n)
	}
	for i := range e.durable {
		v := &e.durable[i]
		v.Name, v.Value.Type, v.Value.Data = u.text(), u.text(), []byte(u.text())
		v.WrittenAt, v.ExpiresAt = u.varint(), u.varint()
	}
	e.absent = u == "\x01"
	e.current, e.loaded = e.durable, true
}

// unpacker is what is left to read of what was packed here a while ago.
type unpacker string

func (u *unpacker) uvarint() uint64 {
	var n uint64
	for i := range len(*u) {
		c := (*u)[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			*u = (*u)[i+1:]
			break
		}
	}
	return n
}

func (u *unpacker) varint() int64 {
	n := u.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) text() string {
	n := u.uvarint()
	t := (*u)[:n]
	*u = (*u)[n:]
	return string(t)
}
