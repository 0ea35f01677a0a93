package actor

import "container/heap"

// alarm is something to do at a time.
type alarm struct {
	at    int64 // Unix milliseconds
	order uint64
	do    func()
}

// alarms is a heap of alarms; equal times go off in the order they were set.
type alarms struct {
	heap  alarmHeap
	count uint64
}

func (a *alarms) set(at int64, do func()) {
	a.count++
	heap.Push(&a.heap, alarm{at, a.count, do})
}

// next is when the earliest goes off; ok is false if none is set.
func (a *alarms) next() (at int64, ok bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

// goOff runs what is due, in order.
func (a *alarms) goOff(now int64) {
	for len(a.heap) > 0 && a.heap[0].at <= now {
		heap.Pop(&a.heap).(alarm).do()
	}
}

type alarmHeap []alarm

func (h alarmHeap) Len() int { return len(h) }

func (h alarmHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}

func (h alarmHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push adds an alarm.
func (h *alarmHeap) Push(x any) { *h = append(*h, x.(alarm)) }

// Pop removes the last element.
func (h *alarmHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = alarm{}
	*h = old[:len(old)-1]
	return last
}
