package caller

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jetfn/jetfn/actor"
)

func all() cmp.Option {
	return cmp.AllowUnexported(request{}, answer{}, record{}, waiter{})
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	r := request{
		what: whatCall, target: actor.Address{Type: actor.TypeName{Namespace: "a", Name: "b"}, ID: "c/d é"},
		value: actor.Value{Type: "t", Data: []byte("v")}, later: true, until: 7, delay: 9,
	}
	got, err := decodeRequest(r.encode().Data)
	if diff := cmp.Diff(r, got, all()); err != nil || diff != "" {
		t.Errorf("request: %v (-want +got):\n%s", err, diff)
	}
	look := request{what: whatLook}
	if got, err := decodeRequest(look.encode().Data); err != nil || got.what != whatLook {
		t.Errorf("request to look = %+v, %v", got, err)
	}
	kept := record{
		answer: answer{status: statusStored, value: actor.Value{Type: "t", Data: []byte("v")}, input: actor.InputID{Source: "s", Seq: 3, Index: 2}},
		print:  []byte("p"), waiting: []waiter{{"w-1", 5}, {"w-2", 6}},
	}
	back, err := decodeRecord(kept.encode().Data)
	if diff := cmp.Diff(&kept, back, all()); err != nil || diff != "" {
		t.Errorf("record: %v (-want +got):\n%s", err, diff)
	}
	told, err := decodeAnswer(kept.answer.encode().Data)
	if diff := cmp.Diff(kept.answer, told, all()); err != nil || diff != "" {
		t.Errorf("answer: %v (-want +got):\n%s", err, diff)
	}
}

func TestValuesWithTheSameBytesAndAnotherTypeDiffer(t *testing.T) {
	t.Parallel()
	a, b := fingerprint(actor.Value{Type: "a", Data: []byte("b")}), fingerprint(actor.Value{Type: "ab"})
	if string(a) == string(b) {
		t.Error("their fingerprints are equal")
	}
}

func FuzzRead(f *testing.F) {
	r := request{what: whatSend, target: actor.Address{Type: actor.TypeName{Namespace: "a", Name: "b"}, ID: "c"}, value: actor.Value{Type: "t", Data: []byte("v")}}
	kept := record{answer: answer{status: statusAnswered}, print: []byte("p"), waiting: []waiter{{"w-1", 5}}}
	f.Add(r.encode().Data)
	f.Add(kept.encode().Data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeRequest(data); err == nil {
			if again, err := decodeRequest(r.encode().Data); err != nil || !cmp.Equal(r.target, again.target) {
				t.Errorf("request %+v is read back as %+v, %v", r, again, err)
			}
		}
		if kept, err := decodeRecord(data); err == nil {
			if _, err := decodeRecord(kept.encode().Data); err != nil {
				t.Errorf("record %+v is not read back: %v", kept, err)
			}
		}
		_, _ = decodeAnswer(data) // must not panic
	})
}
