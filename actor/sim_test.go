package actor

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// Lookup makes the world its own catalog.
func (w *world) Lookup(t TypeName) (FunctionSpec, bool) {
	return FunctionSpec{MaxBatch: w.maxBatch, Policy: Policy{Attempts: 1000, Budget: 1 << 50}}, t.Name == "count"
}

func address(i int) Address { return Address{TypeName{"sim", "count"}, "id" + strconv.Itoa(i)} }

// function counts its messages, emits the count, and passes a message with
// hops left on: at once, later, or later with a cancelled twin.
func (w *world) function(b *Batch) *Effects {
	e := &Effects{}
	count := 0
	if s, ok := b.State.Get("n"); ok {
		count, _ = strconv.Atoi(string(s.Value.Data))
	}
	for i := range b.Envelopes {
		count++
		hops, _ := strconv.Atoi(string(b.Envelopes[i].Value.Data))
		e.Egress = append(e.Egress, EgressMessage{ID: TypeName{"sim", "out"}, Value: Value{Data: []byte(strconv.Itoa(count))}})
		if hops <= 0 {
			continue
		}
		self, _ := strconv.Atoi(b.Target.ID[2:])
		target, value := address((self*7+hops)%5), Value{Data: []byte(strconv.Itoa(hops - 1))}
		token := fmt.Sprintf("%s-%d", b.Target.ID, count)
		switch hops % 3 {
		case 0:
			e.Sends = append(e.Sends, Send{target, value})
		case 1:
			e.Delayed = append(e.Delayed, Delayed{Delay: 1e6 * 30, Target: target, Value: value})
		case 2:
			e.Delayed = append(e.Delayed,
				Delayed{Delay: 1e6 * 20, Target: target, Value: value},
				Delayed{Delay: 1e6 * 1000, Target: target, Value: value, Token: token})
			if count > 1 || true {
				e.Delayed = append(e.Delayed, Delayed{Cancel: true, Token: token})
			}
		}
	}
	e.Mutations = []Mutation{{Name: "n", Value: Value{Data: []byte(strconv.Itoa(count))}}}
	return e
}

func runWorld(seed uint64, verbose bool) *world {
	w := &world{
		verbose: verbose, rnd: rand.New(rand.NewPCG(seed, 1)), parts: 2, chaos: true, loss: 1 + int(seed%4)*2, slow: int(seed%3) * 15, maxBatch: 1 + int(seed%5),
		maxRecord: 600 + int(seed%2)*10_000, maxPack: 400 + int(seed/2%2)*4000, kv: map[string][]kvRev{},
		timers: map[worldTimer]bool{}, timerVal: map[worldTimer]Timer{}, accepted: map[string]int{}, mailTrim: make([]uint64, 2),
	}
	for i := range w.parts {
		w.journals = append(w.journals, &memLog{})
		w.spawn(i)
	}
	expect := map[string]int{}
	window := int64(200) // in half of the worlds everything comes at once
	if seed%2 == 0 {
		window = 1500
	}
	for range 40 {
		w.at(w.rnd.Int64N(window), func() {
			a, hops := address(w.rnd.IntN(5)), w.rnd.IntN(5)
			seq := uint64(len(w.mailbox) + 1)
			w.mailbox = append(w.mailbox, mailEntry{seq: seq, part: a.Partition(w.parts), d: Delivery{
				Source: SourceMailbox, Seq: seq, Time: w.now, From: -1, Inputs: []Input{{Envelope: Envelope{Target: a, Value: Value{Data: []byte(strconv.Itoa(hops))}}}},
			}})
			for i := hops; ; i-- {
				expect[a.ID]++
				if i == 0 {
					break
				}
				self, _ := strconv.Atoi(a.ID[2:])
				a = address((self*7 + i) % 5)
			}
		})
	}
	for range 12 {
		w.at(w.rnd.Int64N(2500), func() { w.disturb() })
	}
	w.at(2600, func() { w.chaos = false })
	for steps := 0; len(w.queue) > 0 && w.now < 60_000 && steps < 400_000; steps++ {
		e := heap.Pop(&w.queue).(worldEvent)
		w.now = e.at
		e.do()
		w.revive()
	}
	w.check(expect)
	return w
}

// disturb kills, freezes or supersedes an owner.
func (w *world) disturb() {
	o := w.owners[w.rnd.IntN(len(w.owners))]
	switch w.rnd.IntN(3) {
	case 0:
		o.dead = true
	case 1:
		o.frozen = true
		w.at(w.rnd.Int64N(400), func() { o.frozen = false })
		w.spawn(o.part)
	case 2:
		w.spawn(o.part)
	}
}

// revive makes sure that every partition has an owner that isn't dead.
func (w *world) revive() {
	for part := range w.parts {
		if !slices.ContainsFunc(w.owners, func(o *owner) bool { return o.part == part && !o.dead }) {
			w.spawn(part)
		}
	}
}

func (w *world) check(expect map[string]int) {
	for i, j := range w.journals {
		for id, tm := range j.timers {
			w.errorf("partition %d: timer %v never fired: %s", i, id, tm)
		}
		for to, n := range j.sends {
			for _, o := range w.owners {
				if o.part == to && !o.dead {
					if got := o.p.intake(SourceMailbox).taken[i]; got != n {
						w.errorf("sends %d to %d: %d, accepted %d", i, to, n, got)
					}
				}
			}
		}
	}
	for id, want := range expect {
		a := Address{TypeName{"sim", "count"}, id}
		revs := w.kv[a.Key()]
		got := "none"
		if len(revs) > 0 {
			s, _ := revs[len(revs)-1].rec.State.Get("n")
			got = string(s.Value.Data)
		}
		if got != strconv.Itoa(want) {
			w.errorf("count of %s = %s, want %d", id, got, want)
		}
		var out []string
		for _, e := range w.sinks[sinkEgress] {
			if e.mark == nil && e.msg.Source == a {
				out = append(out, string(e.msg.Egress.Value.Data))
			}
		}
		for i, s := range out {
			if s != strconv.Itoa(i+1) || len(out) != want {
				w.errorf("egress of %s = %v, want 1..%d", id, out, want)
				break
			}
		}
	}
}

const simSeeds = 120

func TestEveryMessageCountsOnceUnderChaos(t *testing.T) {
	t.Parallel()
	for seed := range uint64(simSeeds) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			if len(runWorld(seed, false).errs) == 0 {
				return
			}
			w := runWorld(seed, true)
			for _, line := range w.log {
				t.Log(line)
			}
			for _, line := range w.errs {
				t.Error(line)
			}
		})
	}
}
