package sim

import "container/heap"

// queue is virtual time: what happens next, in order of time and of asking.
type queue struct {
	now    int64 // Unix milliseconds
	order  uint64
	events eventHeap
	steps  int
}

type event struct {
	at    int64
	order uint64
	do    func()
}

// after calls do once delay milliseconds have passed.
func (q *queue) after(delay int64, do func()) {
	q.order++
	heap.Push(&q.events, event{q.now + max(delay, 0), q.order, do})
}

// next lets the next event happen; false if there is none.
func (q *queue) next() bool {
	if len(q.events) == 0 {
		return false
	}
	e, _ := heap.Pop(&q.events).(event)
	q.now = e.at
	q.steps++
	e.do()
	return true
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }

func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}

func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds an event.
func (h *eventHeap) Push(x any) {
	e, _ := x.(event)
	*h = append(*h, e)
}

// Pop removes the last element.
func (h *eventHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return last
}
