package actor

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// everything lets go-cmp compare the unexported fields of records.
func everything() cmp.Options {
	return cmp.Options{
		cmp.AllowUnexported(record{}, commit{}, checkpoint{}, progress{}, pairNumber{}, inputRef{}, invocation{}, stateMutation{},
			numberedSend{}, egressEffect{}, goneTimer{}, sinkPosition{}, recordID{}, streamBreak{}),
		cmpopts.EquateEmpty(),
	}
}

func drawAddress(t *rapid.T) Address {
	part := rapid.StringN(1, 8, 20)
	return Address{TypeName{part.Draw(t, "ns"), part.Draw(t, "type")}, part.Draw(t, "id")}
}

func drawEnvelope(t *rapid.T) Envelope {
	e := Envelope{Target: drawAddress(t), Value: Value{rapid.String().Draw(t, "value type"), rapid.SliceOf(rapid.Byte()).Draw(t, "data")}}
	if rapid.Bool().Draw(t, "has caller") {
		e.Caller = drawAddress(t)
	}
	e.Trace.Parent = rapid.String().Draw(t, "traceparent")
	return e
}

func drawProgress(t *rapid.T) progress {
	p := progress{source: SourceMailbox, high: rapid.Uint64().Draw(t, "high"), newest: rapid.Int64().Draw(t, "newest"), since: rapid.Uint64().Draw(t, "since")}
	for range rapid.IntRange(0, 2).Draw(t, "breaks") {
		p.breaks = append(p.breaks, streamBreak{rapid.Uint64().Draw(t, "at"), rapid.Uint64().Draw(t, "shift")})
	}
	seq := uint64(0)
	for range rapid.IntRange(0, 5).Draw(t, "refs") {
		seq += rapid.Uint64Range(0, 1<<40).Draw(t, "delta")
		p.refs = append(p.refs, inputRef{seq, rapid.IntRange(0, 9).Draw(t, "index")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "lost") {
		p.lost = append(p.lost, inputRef{rapid.Uint64().Draw(t, "seq"), rapid.IntRange(0, 9).Draw(t, "index")})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "pairs") {
		p.accepted = append(p.accepted, pairNumber{i, rapid.Uint64().Draw(t, "number"), rapid.Uint64().Draw(t, "epoch")})
	}
	return p
}

func drawCommit(t *rapid.T) *commit {
	c := &commit{time: rapid.Int64().Draw(t, "time")}
	few := rapid.IntRange(0, 3)
	for range few.Draw(t, "progress") {
		c.progress = append(c.progress, drawProgress(t))
	}
	for range few.Draw(t, "invocations") {
		v := invocation{target: drawAddress(t), time: rapid.Int64().Draw(t, "at"), consumed: []InputID{{SourceIngress, 7, 2}}}
		v.mutations = append(v.mutations, stateMutation{name: "gone", delete: true},
			stateMutation{name: "renewed", renew: true, value: StateValue{ExpiresAt: rapid.Int64().Draw(t, "until")}},
			stateMutation{name: "set", value: StateValue{Name: "set", Value: Value{"t/t", []byte("v")}, WrittenAt: 5, ExpiresAt: rapid.Int64().Draw(t, "expires")}})
		c.invocations = append(c.invocations, v)
	}
	for range few.Draw(t, "sends") {
		c.sends = append(c.sends, numberedSend{rapid.IntRange(0, 63).Draw(t, "to"), rapid.Uint64().Draw(t, "number"), drawEnvelope(t)})
	}
	for i := range few.Draw(t, "timers") {
		c.timersSet = append(c.timersSet, Timer{TimerID{1, 2, i}, rapid.Int64().Draw(t, "due"), rapid.String().Draw(t, "token"), drawEnvelope(t)})
		c.timersGone = append(c.timersGone, goneTimer{TimerID{1, 1, i}, rapid.Bool().Draw(t, "fired")})
	}
	for range few.Draw(t, "replies") {
		c.replies = append(c.replies, drawEnvelope(t))
	}
	for range few.Draw(t, "egress") {
		c.egress = append(c.egress, egressEffect{drawAddress(t), Trace{Parent: "p"}, EgressMessage{TypeName{"e", "g"}, "key", "topic", Value{"t", []byte("x")}}})
		c.deadLetters = append(c.deadLetters, DeadLetter{drawEnvelope(t), ReasonStatus, "error", 500, "http://f", 3, 4, 5})
	}
	return c
}

func TestCommitsReadBackAndAreByteStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCommit(t)
		body := c.encode()
		got, err := decodeCommit(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got, everything()); diff != "" {
			t.Errorf("commit read back (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(body, got.encode()); diff != "" {
			t.Errorf("commit encoded again differs:\n%s", diff)
		}
	})
}

func TestCheckpointsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &checkpoint{applied: rapid.Uint64().Draw(t, "applied"), timers: rapid.Bool().Draw(t, "timers")}
		c.progress = append(c.progress, drawProgress(t))
		c.next, c.delivered = []pairNumber{{1, 2, 0}, {3, 4, 0}}, []pairNumber{{1, 1, 0}}
		c.sinks[1] = sinkPosition{rapid.Bool().Draw(t, "used"), rapid.Uint64().Draw(t, "seq")}
		got, err := decodeCheckpoint(c.encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, got, everything()); diff != "" {
			t.Errorf("checkpoint read back (-want +got):\n%s", diff)
		}
	})
}

// What is stored from the first release on must stay readable.
func TestRecordFormatIsFrozen(t *testing.T) {
	t.Parallel()
	c := &commit{
		time:     1,
		progress: []progress{{source: SourceMailbox, high: 9, accepted: []pairNumber{{3, 4, 0}}, refs: []inputRef{{7, 0}, {8, 1}}}},
		invocations: []invocation{{
			target: Address{TypeName{"n", "t"}, "i"}, time: 2, consumed: []InputID{{SourceMailbox, 9, 0}},
			mutations: []stateMutation{{name: "s", value: StateValue{Name: "s", Value: Value{"x/y", []byte{1}}, WrittenAt: 2}}},
		}},
		sends: []numberedSend{{5, 6, Envelope{Target: Address{TypeName{"n", "u"}, "j"}, Value: Value{"x/y", []byte{2}}}}},
	}
	r := record{
		kind: kindCommit, id: recordID{0x0102030405060708, 9}, epoch: 2, commit: 3, prevSeq: 4, prevSum: 5, checkpoint: 6, time: 7, body: c.encode(),
	}
	const want = "080110021a1001020304050607080000000000000009200228033004390500000000000000400648077a65" +
		"0801121b0a076d61696c626f7810091a0408031004220208072204080110011a2b0a090a016e1201741a016910021a0b0a07" +
		"6d61696c626f781009220f0a01731a080a03782f7912010120022217080510061a110a016e1201751a016a3a03782f79420102"
	if got := hex.EncodeToString(r.encode()); got != want {
		t.Errorf("record = %s, want %s", got, want)
	}
	back, err := decodeRecord(r.encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&r, back, everything()); diff != "" {
		t.Errorf("record read back (-want +got):\n%s", diff)
	}
}

func TestRecordsOfANewerFormatAreRefused(t *testing.T) {
	t.Parallel()
	data := (&record{kind: kindOpen}).encode()
	data[1] = 2 // the version's value
	if _, err := decodeRecord(data); err == nil {
		t.Error("decodeRecord of format version 2 = nil, want an error")
	}
}

func FuzzRecordsOfAnyBytes(f *testing.F) {
	f.Add((&record{kind: kindCommit, body: (&commit{time: 1, sends: []numberedSend{{1, 2, Envelope{}}}}).encode()}).encode())
	f.Add((&record{kind: kindCheckpoint, body: (&checkpoint{applied: 3}).encode()}).encode())
	f.Fuzz(func(_ *testing.T, data []byte) {
		r, err := decodeRecord(data)
		if err != nil {
			return
		}
		_, _ = decodeCommit(r.body)
		_, _ = decodeCheckpoint(r.body)
		_, _ = ParseTimer(r.body)
		_, _ = ParseEnvelope(r.body)
	})
}
