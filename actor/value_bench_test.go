package actor_test

import (
	"fmt"
	"testing"

	"github.com/jetfn/jetfn/actor"
)

func BenchmarkEscape(b *testing.B) {
	for name, text := range map[string]string{"plain": "customer-12345", "escaped": "münchen/12.34@example.org"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				actor.Escape(text)
			}
		})
	}
}

func BenchmarkUnescape(b *testing.B) {
	for name, text := range map[string]string{"plain": "customer-12345", "escaped": "münchen/12.34@example.org"} {
		b.Run(name, func(b *testing.B) {
			token := actor.Escape(text)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := actor.Unescape(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPartitionOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		actor.PartitionOf("customer-12345", 64)
	}
}

func BenchmarkParseKey(b *testing.B) {
	key := actor.Address{Type: actor.TypeName{Namespace: "bench", Name: "counter"}, ID: "customer-12345"}.Key()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := actor.ParseKey(key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTextValue(b *testing.B) {
	text := make([]byte, 150)
	for i := range text {
		text[i] = 'x'
	}
	b.ReportAllocs()
	for b.Loop() {
		actor.TextValue(text)
	}
}

func BenchmarkEnvelope(b *testing.B) {
	e := actor.Envelope{
		Target: actor.Address{Type: actor.TypeName{Namespace: "bench", Name: "counter"}, ID: "k1"},
		Caller: actor.Address{Type: actor.TypeName{Namespace: "bench", Name: "counter"}, ID: "k2"},
		Value:  actor.Value{Type: actor.StringType, Data: make([]byte, 150)},
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			actor.AppendEnvelope(nil, &e)
		}
	})
	b.Run("parse", func(b *testing.B) {
		data := actor.AppendEnvelope(nil, &e)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := actor.ParseEnvelope(data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkStateWith(b *testing.B) {
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprintf("values=%d", n), func(b *testing.B) {
			var s actor.State
			for i := range n {
				s = s.With(actor.StateValue{Name: fmt.Sprintf("value-%d", i), Value: actor.Value{Type: "t/t", Data: make([]byte, 9)}})
			}
			b.ReportAllocs()
			for b.Loop() {
				s = s.With(s[n/2])
			}
		})
	}
}
