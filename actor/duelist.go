package actor

import (
	"slices"
	"sort"
)

// dueBlock is how many timers a block of a dueList has at most.
const dueBlock = 512

// dueList holds timers in the order in which they fire. It is a list of sorted
// blocks, so that with a million timers adding one, removing one, and reading
// on from a place move a few kilobytes at most.
type dueList struct {
	blocks [][]*timer // none is empty
}

// newDueList takes the timers over, in any order.
func newDueList(list []*timer) dueList {
	slices.SortFunc(list, func(a, b *timer) int { return a.place().Compare(b.place()) })
	var d dueList
	for block := range slices.Chunk(list, dueBlock/2) {
		d.blocks = append(d.blocks, append(make([]*timer, 0, dueBlock), block...))
	}
	return d
}

// find is where the first timer at or behind a place is.
func (d *dueList) find(at TimerPlace) (block, index int) {
	block = sort.Search(len(d.blocks), func(i int) bool {
		return d.blocks[i][len(d.blocks[i])-1].place().Compare(at) >= 0
	})
	if block == len(d.blocks) {
		return block, 0
	}
	index, _ = slices.BinarySearchFunc(d.blocks[block], at, func(tm *timer, at TimerPlace) int { return tm.place().Compare(at) })
	return block, index
}

func (d *dueList) add(tm *timer) {
	if len(d.blocks) == 0 {
		d.blocks = [][]*timer{append(make([]*timer, 0, dueBlock), tm)}
		return
	}
	block, index := d.find(tm.place())
	if block == len(d.blocks) { // behind all
		block--
		index = len(d.blocks[block])
	}
	if len(d.blocks[block]) == dueBlock {
		half := d.blocks[block][dueBlock/2:]
		d.blocks = slices.Insert(d.blocks, block+1, append(make([]*timer, 0, dueBlock), half...))
		clear(half)
		d.blocks[block] = d.blocks[block][:dueBlock/2]
		if index > dueBlock/2 {
			block, index = block+1, index-dueBlock/2
		}
	}
	d.blocks[block] = slices.Insert(d.blocks[block], index, tm)
}

// remove takes tm out; it must be there.
func (d *dueList) remove(tm *timer) {
	block, index := d.find(tm.place())
	list := d.blocks[block]
	switch {
	case len(list) == 1:
		d.blocks = slices.Delete(d.blocks, block, block+1)
	case index == 0: // mostly the next one to fire
		list[0] = nil
		d.blocks[block] = list[1:]
	default:
		d.blocks[block] = slices.Delete(list, index, index+1)
	}
}

// first is the timer that fires next; nil if there is none.
func (d *dueList) first() *timer {
	if len(d.blocks) == 0 {
		return nil
	}
	return d.blocks[0][0]
}

// after yields the timers behind a place, in order.
func (d *dueList) after(at TimerPlace, yield func(*timer) bool) {
	block, index := d.find(at)
	for ; block < len(d.blocks); block, index = block+1, 0 {
		for _, tm := range d.blocks[block][index:] {
			if tm.place() != at && !yield(tm) {
				return
			}
		}
	}
}
