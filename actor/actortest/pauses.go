package actortest

import (
	"testing"

	"github.com/jetfn/jetfn/actor"
)

// PauseStore is an actor.PauseStore and the operator's hand in it.
type PauseStore interface {
	actor.PauseStore
	// SetPaused pauses or resumes as an operator does, and returns the news.
	SetPaused(t *testing.T, k actor.PauseKey, paused bool) actor.PauseNews
	// Paused returns the records there are, resumptions too, in the order of
	// the keys.
	Paused(t *testing.T) []Paused
}

// TestPauseStore runs the suite of actor.PauseStore. Open is called once a
// test.
func TestPauseStore(t *testing.T, open func(t *testing.T) PauseStore) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, PauseStore){
		"a pause is read back with its cause":              readsPauses,
		"a pause is stored once for the revision it knows": pauseTwice,
		"a pause can't undo a resumption":                  pauseAfterResumption,
		"an operator's word goes over any":                 operatorsWord,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func cause(id string) actor.PauseCause {
	return actor.PauseCause{
		Address: address(id), Reason: actor.ReasonStatus, Error: "status 500: ü \x01", HTTPStatus: 500, Endpoint: "http://f",
		Attempts: 7, FirstAt: 1700000000123, LastAt: 1700000009456,
	}
}

func pause(t *testing.T, s actor.PauseStore, k actor.PauseKey, revision uint64) actor.WriteResult {
	t.Helper()
	return Await(t, func(done func(actor.WriteResult)) { s.Pause(k, cause("x.1"), revision, done) })
}

func readsPauses(t *testing.T, s PauseStore) {
	t.Helper()
	one, whole := actor.PauseAddress(address("x.1/y")), actor.PauseType(actor.TypeName{Namespace: "a", Name: actor.AnyName})
	r := pause(t, s, one, 0)
	if r.Outcome != actor.Stored {
		t.Fatalf("Pause = %+v, want Stored", r)
	}
	n := s.SetPaused(t, whole, true)
	if n.Revision <= r.Seq || n.Key != whole || !n.Paused {
		t.Errorf("SetPaused = %+v, want a later revision than %d", n, r.Seq)
	}
	for _, p := range s.Paused(t) {
		switch p.Key {
		case one:
			equal(t, "the failure's", p, Paused{actor.PauseNews{Key: one, Revision: r.Seq, Paused: true}, cause("x.1")})
		case whole:
			equal(t, "the operator's", p, Paused{PauseNews: n})
		default:
			t.Errorf("%+v is paused", p)
		}
	}
	if got := len(s.Paused(t)); got != 2 {
		t.Errorf("%d records, want 2", got)
	}
}

func pauseTwice(t *testing.T, s PauseStore) {
	t.Helper()
	k := actor.PauseAddress(address("x"))
	first := pause(t, s, k, 0)
	again := pause(t, s, k, 0)
	if first.Outcome != actor.Stored || again.Outcome != actor.Rejected || again.Seq != first.Seq {
		t.Errorf("Pause twice = %+v, %+v; want Stored, then Rejected with its revision", first, again)
	}
}

func pauseAfterResumption(t *testing.T, s PauseStore) {
	t.Helper()
	k := actor.PauseType(actor.TypeName{Namespace: "a", Name: "b.c"})
	first := pause(t, s, k, 0)
	resumed := s.SetPaused(t, k, false)
	if late := pause(t, s, k, 0); late.Outcome != actor.Rejected || late.Seq != resumed.Revision {
		t.Errorf("a late Pause = %+v, want Rejected with revision %d", late, resumed.Revision)
	}
	if late := pause(t, s, k, first.Seq); late.Outcome != actor.Rejected {
		t.Errorf("a late Pause = %+v, want Rejected", late)
	}
	if list := s.Paused(t); len(list) != 1 || list[0].Paused || list[0].Revision != resumed.Revision {
		t.Errorf("Paused = %+v, want the resumption", list)
	}
	if anew := pause(t, s, k, resumed.Revision); anew.Outcome != actor.Stored {
		t.Errorf("Pause after the resumption = %+v, want Stored", anew)
	}
}

func operatorsWord(t *testing.T, s PauseStore) {
	t.Helper()
	k := actor.PauseAddress(address("x"))
	pause(t, s, k, 0)
	for _, paused := range []bool{false, false, true, true, false} {
		n := s.SetPaused(t, k, paused)
		if list := s.Paused(t); len(list) != 1 || list[0].PauseNews != n || n.Paused != paused {
			t.Errorf("after SetPaused(%v) = %+v there is %+v", paused, n, list)
		}
	}
}
