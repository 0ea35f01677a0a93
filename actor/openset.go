package actor

import "slices"

// openSet is a source's inputs that are accepted, decided in commits, and not
// consumed: the holes of PROTOCOL M3. A function that is too slow, or paused,
// leaves hundreds of thousands of them, and recovery needs every one. So it is
// one sorted list of 16 bytes each, not a map and a heap of four times as much.
type openSet struct {
	list []openInput // in order; the first one is open
	shut int         // how many of list are not open any more
}

// openInput is an inputRef, and whether it has been consumed meanwhile.
type openInput struct {
	seq   uint64
	index uint32
	shut  bool
}

// openSlack is how many consumed inputs a list may keep at least.
const openSlack = 256

func (o openInput) ref() inputRef { return inputRef{o.seq, int(o.index)} }

// find is where ref is, or would be.
func (s *openSet) find(ref inputRef) (i int, found bool) {
	return slices.BinarySearchFunc(s.list, ref, func(o openInput, ref inputRef) int { return o.ref().compare(ref) })
}

// add opens ref. Nearly always it is behind all others, as commits decide
// inputs in the stream's order.
func (s *openSet) add(ref inputRef) {
	o := openInput{seq: ref.seq, index: uint32(ref.index)}
	if n := len(s.list); n == 0 || s.list[n-1].ref().compare(ref) < 0 {
		s.list = append(s.list, o)
		return
	}
	i, found := s.find(ref)
	switch {
	case !found:
		s.list = slices.Insert(s.list, i, o)
	case s.list[i].shut:
		s.list[i].shut = false
		s.shut--
	}
}

// remove closes ref if it is open.
func (s *openSet) remove(ref inputRef) {
	i, found := s.find(ref)
	if !found || s.list[i].shut {
		return
	}
	s.list[i].shut = true
	s.shut++
	for len(s.list) > 0 && s.list[0].shut {
		s.list = s.list[1:]
		s.shut--
	}
	if s.shut > len(s.list)/2+openSlack {
		s.list = slices.DeleteFunc(s.list, func(o openInput) bool { return o.shut })
		s.shut = 0
	}
	if len(s.list) == 0 {
		s.list = nil
	}
}

func (s *openSet) has(ref inputRef) bool {
	i, found := s.find(ref)
	return found && !s.list[i].shut
}

// len is how many are open.
func (s *openSet) len() int { return len(s.list) - s.shut }

// lowest is the first one that is open.
func (s *openSet) lowest() (ref inputRef, ok bool) {
	if len(s.list) == 0 {
		return inputRef{}, false
	}
	return s.list[0].ref(), true
}

// of returns the indexes that are open in the message seq, in order.
func (s *openSet) of(seq uint64) (indexes []int) {
	from, _ := s.find(inputRef{seq: seq})
	for _, o := range s.list[from:] {
		if o.seq != seq {
			break
		}
		if !o.shut {
			indexes = append(indexes, int(o.index))
		}
	}
	return indexes
}

// refs are all of them, in order.
func (s *openSet) refs() []inputRef {
	refs := make([]inputRef, 0, s.len())
	for _, o := range s.list {
		if !o.shut {
			refs = append(refs, o.ref())
		}
	}
	return refs
}
