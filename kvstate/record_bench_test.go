package kvstate_test

import (
	"testing"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/kvstate"
)

const benchKey = "bench.counter.k1"

// benchRecord is the state of a keyed counter.
func benchRecord() actor.StateRecord {
	return actor.StateRecord{Partition: 7, Epoch: 3, Commit: 123_456, State: actor.State{{
		Name: "count", Value: actor.Value{Type: "io.statefun.types/long", Data: make([]byte, 9)}, WrittenAt: 1_700_000_000_000,
	}}}
}

func BenchmarkEncode(b *testing.B) {
	r := benchRecord()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kvstate.Encode(benchKey, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := kvstate.Encode(benchKey, benchRecord())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kvstate.Decode(benchKey, data); err != nil {
			b.Fatal(err)
		}
	}
}
