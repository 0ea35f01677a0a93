package actor

import (
	"fmt"
	"testing"
)

// benchCommit is a commit of n invocations as a keyed counter makes them: one
// message in, one state written, one egress message out.
func benchCommit(n int) *commit {
	c := &commit{time: 1_700_000_000_000, progress: []progress{{source: SourceMailbox, high: 1_000_000}}}
	fn := TypeName{"bench", "counter"}
	for i := range n {
		a := Address{fn, fmt.Sprintf("k%d", i)}
		v := StateValue{Name: "count", Value: Value{"io.statefun.types/long", make([]byte, 9)}, WrittenAt: c.time}
		c.invocations = append(c.invocations, invocation{
			target: a, time: c.time, consumed: []InputID{{SourceMailbox, uint64(1_000_000 + i), 0}},
			mutations: []stateMutation{{name: v.Name, value: v}},
		})
		c.egress = append(c.egress, egressEffect{
			source: a, message: EgressMessage{ID: TypeName{"bench", "records"}, Value: Value{"bench/record", make([]byte, 100)}},
		})
	}
	return c
}

func BenchmarkCommitEncode(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("invocations=%d", n), func(b *testing.B) {
			c := benchCommit(n)
			b.SetBytes(int64(len(c.encode())))
			b.ReportAllocs()
			for b.Loop() {
				c.encode()
			}
		})
	}
}

func BenchmarkCommitDecode(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("invocations=%d", n), func(b *testing.B) {
			body := benchCommit(n).encode()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decodeCommit(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStateApply(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("values=%d", n), func(b *testing.B) {
			var s State
			for i := range n {
				s = s.With(StateValue{Name: fmt.Sprintf("value-%d", i), Value: Value{"t/t", make([]byte, 9)}})
			}
			muts := []stateMutation{{name: s[n/2].Name, value: s[n/2]}}
			b.ReportAllocs()
			for b.Loop() {
				s = s.apply(muts)
			}
		})
	}
}
