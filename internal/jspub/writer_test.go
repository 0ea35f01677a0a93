package jspub_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/jspub"
)

// openWriter returns a Writer that makes batches, and its stream.
func openWriter(t *testing.T, cfg jetstream.StreamConfig) (*jspub.Writer, jetstream.Stream) {
	t.Helper()
	js := brokertest.Start(t)
	cfg.Name, cfg.Subjects = "S", []string{"s.>"}
	stream, err := jspub.EnsureStream(t.Context(), js, cfg, jspub.Verify)
	if err != nil {
		t.Fatal(err)
	}
	p, err := jspub.New(js.Conn(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p.NewWriter(stream, true), stream
}

// writeAll writes n messages at once and returns their outcomes.
func writeAll(t *testing.T, w *jspub.Writer, n int, message func(i int) *jspub.Write) []actor.WriteResult {
	t.Helper()
	type outcome struct {
		i int
		r actor.WriteResult
	}
	answers := make(chan outcome, n)
	for i := range n {
		w.Write(message(i), func(r actor.WriteResult) { answers <- outcome{i, r} })
	}
	results := make([]actor.WriteResult, n)
	for range n {
		a := <-answers
		results[a.i] = a.r
	}
	return results
}

func plain(subject string, headers ...string) *jspub.Write {
	m := &jspub.Write{Subject: subject, Data: []byte(subject)}
	for i := 0; i < len(headers); i += 2 {
		m.Header = append(m.Header, jspub.Field{Name: headers[i], Value: headers[i+1]})
	}
	return m
}

func TestWhatPilesUpIsStoredInBatchesAndEachLearnsWhere(t *testing.T) {
	t.Parallel()
	w, stream := openWriter(t, jetstream.StreamConfig{AllowAtomicPublish: true})
	const n = 3000
	results := writeAll(t, w, n, func(i int) *jspub.Write {
		m := plain("s." + strconv.Itoa(i))
		m.ID = "id" + strconv.Itoa(i)
		return m
	})
	batched := 0
	for i, r := range results {
		if r.Outcome != actor.Stored || r.Seq != uint64(i+1) {
			t.Fatalf("write %d = %+v, want it stored at %d", i, r, i+1)
		}
		if i%100 != 50 {
			continue
		}
		m, err := stream.GetMsg(t.Context(), r.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "s."+strconv.Itoa(i) {
			t.Fatalf("at %d there is %s", r.Seq, m.Subject)
		}
		if inBatch := m.Header.Get("Nats-Batch-Id") != ""; inBatch {
			batched++
			if id := m.Header.Get("Nats-Msg-Id"); id != "" {
				t.Errorf("a message in a batch has the id %s", id)
			}
		} else if m.Header.Get("Nats-Msg-Id") == "" {
			t.Errorf("a single message has no id: %v", m.Header)
		}
	}
	if batched == 0 {
		t.Error("no message was in a batch")
	}
}

func TestAWriteThatMustNotBeStoredTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	w, stream := openWriter(t, jetstream.StreamConfig{AllowAtomicPublish: true})
	const n, bad, large = 500, 333, 444
	results := writeAll(t, w, n, func(i int) *jspub.Write {
		m := plain("s."+strconv.Itoa(i), "Nats-Expected-Last-Subject-Sequence", "0")
		switch i {
		case bad:
			m.Header[0].Value = "7"
		case large:
			m.Data = make([]byte, 2<<20) // more than the server takes
		}
		return m
	})
	for i, r := range results {
		want := actor.Stored
		switch i {
		case bad:
			want = actor.Rejected
		case large:
			want = actor.Refused
		}
		if r.Outcome != want {
			t.Errorf("write %d = %+v, want outcome %d", i, r, want)
		}
		if r.Outcome != actor.Stored {
			continue
		}
		m, err := stream.GetMsg(t.Context(), r.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "s."+strconv.Itoa(i) {
			t.Errorf("write %d is said to be at %d, where %s is", i, r.Seq, m.Subject)
		}
	}
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != n-2 {
		t.Errorf("the stream has %d messages, %v, want %d", info.State.Msgs, err, n-2)
	}
}

func TestAStreamThatTakesNoBatchesGetsSingleMessages(t *testing.T) {
	t.Parallel()
	w, stream := openWriter(t, jetstream.StreamConfig{})
	for i, r := range writeAll(t, w, 300, func(int) *jspub.Write { return plain("s.a") }) {
		if r.Outcome != actor.Stored || r.Seq != uint64(i+1) {
			t.Fatalf("write %d = %+v, want it stored at %d", i, r, i+1)
		}
	}
	m, err := stream.GetMsg(t.Context(), 200)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Header["Nats-Batch-Id"]; ok {
		t.Errorf("message 200 has headers %v", m.Header)
	}
}

func TestAStreamOfAnOlderJetfnIsMadeToTakeBatches(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	cfg := jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	cfg.AllowAtomicPublish = true
	stream, err := jspub.EnsureStream(t.Context(), js, cfg, jspub.Verify)
	if err != nil {
		t.Fatal(err)
	}
	if !stream.CachedInfo().Config.AllowAtomicPublish {
		t.Error("it still takes none")
	}
	cfg.AllowAtomicPublish = false // the older one comes back
	if _, err := jspub.EnsureStream(t.Context(), js, cfg, jspub.Verify); err != nil {
		t.Error(err)
	}
}

func TestWritesAfterTheEndAreUnknown(t *testing.T) {
	t.Parallel()
	w, stream := openWriter(t, jetstream.StreamConfig{AllowAtomicPublish: true})
	first := writeAll(t, w, 100, func(int) *jspub.Write { return plain("s.a") })
	if first[99].Outcome != actor.Stored {
		t.Fatalf("a write before = %+v", first[99])
	}
	closed := brokertest.Start(t).Conn()
	p, err := jspub.New(closed, 0)
	if err != nil {
		t.Fatal(err)
	}
	w = p.NewWriter(stream, true)
	p.Close()
	closed.Close()
	for i, r := range writeAll(t, w, 100, func(int) *jspub.Write { return plain("s.a") }) {
		if r.Outcome != actor.Unknown || !strings.Contains(r.Err.Error(), "closed") {
			t.Fatalf("write %d = %+v, want unknown, closed", i, r)
		}
	}
}
