package actortest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/jetfn/jetfn/actor"
)

// TestJournal runs the suite of actor.Journal.
func TestJournal(t *testing.T, open func(t *testing.T) actor.Journal) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, actor.Journal){
		"an empty journal has no records":                    emptyJournal,
		"an append must follow the last record":              appendFollows,
		"records are read back in order":                     readsInOrder,
		"a pipelined append behind a rejected one fails too": pipelinedAppend,
		"a purge never removes the last record":              purgeKeepsLast,
		"a record of the largest size is stored":             largestRecord,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func appendTo(t *testing.T, j actor.Journal, data string, after uint64) actor.WriteResult {
	t.Helper()
	return Await(t, func(done func(actor.WriteResult)) { j.Append([]byte(data), after, done) })
}

func emptyJournal(t *testing.T, j actor.Journal) {
	t.Helper()
	if e, err := j.Last(t.Context()); !errors.Is(err, actor.ErrNotFound) {
		t.Errorf("Last of an empty journal = %v, %v, want ErrNotFound", e, err)
	}
	for _, from := range []uint64{0, 1, 1000} {
		if e, err := j.Next(t.Context(), from); !errors.Is(err, actor.ErrNotFound) {
			t.Errorf("Next(%d) of an empty journal = %v, %v, want ErrNotFound", from, e, err)
		}
	}
	if err := j.Purge(t.Context(), 100); err != nil {
		t.Errorf("Purge of an empty journal = %v, want nil", err)
	}
	wantRejected(t, "Append after a record that never was", appendTo(t, j, "x", 7), 0)
}

func appendFollows(t *testing.T, j actor.Journal) {
	t.Helper()
	one := wantStored(t, "first Append", appendTo(t, j, "one", 0))
	wantRejected(t, "Append to a journal believed empty", appendTo(t, j, "other", 0), one)
	two := wantStored(t, "second Append", appendTo(t, j, "two", one))
	if two <= one {
		t.Errorf("the second record's sequence = %d, want above %d", two, one)
	}
	wantRejected(t, "Append after the first record", appendTo(t, j, "other", one), two)
	wantRejected(t, "Append of the same bytes again", appendTo(t, j, "two", one), two)
	last, err := j.Last(t.Context())
	if err != nil {
		t.Fatalf("Last = %v", err)
	}
	equal(t, "Last", last, actor.Entry{Seq: two, Data: []byte("two")})
}

func readsInOrder(t *testing.T, j actor.Journal) {
	t.Helper()
	var want []actor.Entry
	after := uint64(0)
	for i := range 20 {
		data := fmt.Sprintf("record %d \x00\xff", i)
		after = wantStored(t, "Append", appendTo(t, j, data, after))
		want = append(want, actor.Entry{Seq: after, Data: []byte(data)})
	}
	equal(t, "records", readJournal(t, j), want)
	if err := j.Purge(t.Context(), want[5].Seq); err != nil {
		t.Fatalf("Purge = %v", err)
	}
	equal(t, "records after a purge below the sixth", readJournal(t, j), want[5:])
}

func readJournal(t *testing.T, j actor.Journal) []actor.Entry {
	t.Helper()
	var got []actor.Entry
	for from := uint64(0); ; {
		e, err := j.Next(t.Context(), from)
		if errors.Is(err, actor.ErrNotFound) {
			return got
		}
		if err != nil {
			t.Fatalf("Next(%d) = %v", from, err)
		}
		got = append(got, e)
		from = e.Seq + 1
	}
}

func pipelinedAppend(t *testing.T, j actor.Journal) {
	t.Helper()
	one := wantStored(t, "Append", appendTo(t, j, "one", 0))
	results := AwaitAll(t, 3, func(i int, done func(actor.WriteResult)) {
		j.Append([]byte{byte(i)}, one, done)
	})
	two := wantStored(t, "first of three", results[0])
	wantRejected(t, "second of three", results[1], two)
	wantRejected(t, "third of three", results[2], two)
	equal(t, "number of records", len(readJournal(t, j)), 2)
}

func purgeKeepsLast(t *testing.T, j actor.Journal) {
	t.Helper()
	one := wantStored(t, "Append", appendTo(t, j, "one", 0))
	two := wantStored(t, "Append", appendTo(t, j, "two", one))
	if err := j.Purge(t.Context(), two+100); err != nil {
		t.Fatalf("Purge = %v", err)
	}
	equal(t, "records", readJournal(t, j), []actor.Entry{{Seq: two, Data: []byte("two")}})
	wantRejected(t, "Append to a journal believed empty", appendTo(t, j, "zombie", 0), two)
	wantStored(t, "Append after the last", appendTo(t, j, "three", two))
}

func largestRecord(t *testing.T, j actor.Journal) {
	t.Helper()
	data := bytes.Repeat([]byte{'x'}, j.MaxRecord())
	r := Await(t, func(done func(actor.WriteResult)) { j.Append(data, 0, done) })
	wantStored(t, "Append of MaxRecord bytes", r)
	last, err := j.Last(t.Context())
	if err != nil || len(last.Data) != len(data) {
		t.Errorf("Last = %d bytes, %v, want %d bytes", len(last.Data), err, len(data))
	}
}
