package jspub_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/gather"
	"github.com/jetfn/jetfn/internal/jspub"
)

// openFast returns a Writer that makes fast batches, and its stream.
func openFast(t *testing.T, cfg jetstream.StreamConfig) (*jspub.Writer, jetstream.Stream, *nats.Conn) {
	t.Helper()
	js := brokertest.Start(t)
	cfg.Name, cfg.Subjects = "S", []string{"s.>"}
	cfg.AllowBatchPublish = true
	stream, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	p, err := jspub.New(js.Conn(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p.NewFastWriter(stream), stream, js.Conn()
}

// numbered is a write with an id, to a subject of its own.
func numbered(i int, headers ...string) *jspub.Write {
	m := plain("s."+strconv.Itoa(i), headers...)
	m.ID = "id" + strconv.Itoa(i)
	return m
}

func subjectAt(t *testing.T, stream jetstream.Stream, seq uint64) (subject string, single bool) {
	t.Helper()
	m, err := stream.GetMsg(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	return m.Subject, m.Header.Get("Nats-Msg-Id") != ""
}

func messages(t *testing.T, stream jetstream.Stream) uint64 {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

func TestWhatPilesUpIsAcknowledgedTogetherAndEachLearnsWhereItIs(t *testing.T) {
	t.Parallel()
	w, stream, nc := openFast(t, jetstream.StreamConfig{})
	const n = 5000
	before := nc.Stats().InMsgs
	results := writeAll(t, w, n, func(i int) *jspub.Write { return numbered(i) })
	if answers := nc.Stats().InMsgs - before; answers > n/4 {
		t.Errorf("%d messages had %d answers", n, answers)
	}
	singles := 0
	for i, r := range results {
		if r.Outcome != actor.Stored || r.Seq != uint64(i+1) {
			t.Fatalf("write %d = %+v, want it stored at %d", i, r, i+1)
		}
		if i%50 != 0 {
			continue
		}
		subject, single := subjectAt(t, stream, r.Seq)
		if subject != "s."+strconv.Itoa(i) {
			t.Fatalf("at %d there is %s", r.Seq, subject)
		}
		if single {
			singles++
		}
	}
	if singles == 0 || singles > 50 {
		t.Errorf("%d of a hundred messages were written singly; the first is, and most are not", singles)
	}
}

func TestASingleMessageDoesNotWaitForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := openFast(t, jetstream.StreamConfig{})
		for i := range 20 {
			start := time.Now()
			r := writeAll(t, w, 1, func(int) *jspub.Write { return numbered(i) })[0]
			if took := time.Since(start); r.Outcome != actor.Stored || took != 0 {
				t.Errorf("write %d = %+v, after %v", i, r, took)
			}
			time.Sleep(11 * time.Second) // longer than the server keeps a batch that rests
		}
	})
}

func TestAFastBatchEndsBeforeWhatMayNotBeStoredAndOthersAreStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bad  map[int]actor.Outcome
		make func(i int) *jspub.Write
	}{
		"an expected sequence": {map[int]actor.Outcome{333: actor.Rejected}, func(int) *jspub.Write {
			return plain("s.bad", "Nats-Expected-Last-Subject-Sequence", "7")
		}},
		"several, neighbours too": {map[int]actor.Outcome{8: actor.Rejected, 9: actor.Rejected, 40: actor.Rejected, 499: actor.Rejected}, func(int) *jspub.Write {
			return plain("s.bad", "Nats-Expected-Last-Subject-Sequence", "7")
		}},
		"too large for the stream": {map[int]actor.Outcome{100: actor.Refused}, func(int) *jspub.Write {
			m := plain("s.bad")
			m.Data = make([]byte, 10_000)
			return m
		}},
		"too large for the server": {map[int]actor.Outcome{100: actor.Refused, 499: actor.Refused}, func(int) *jspub.Write {
			m := plain("s.bad")
			m.Data = make([]byte, 2<<20)
			return m
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, stream, _ := openFast(t, jetstream.StreamConfig{MaxMsgSize: 5000})
			const n = 500
			last := uint64(0)
			for i, r := range writeAll(t, w, n, func(i int) *jspub.Write {
				if _, bad := c.bad[i]; bad {
					return c.make(i)
				}
				return numbered(i)
			}) {
				if want := c.bad[i]; r.Outcome != want {
					t.Fatalf("write %d = %+v, want outcome %d", i, r, want)
				}
				if r.Outcome != actor.Stored {
					continue
				}
				if subject, _ := subjectAt(t, stream, r.Seq); subject != "s."+strconv.Itoa(i) || r.Seq <= last {
					t.Fatalf("write %d is said to be at %d, where %s is, and the one before it at %d", i, r.Seq, subject, last)
				}
				last = r.Seq
			}
			if got := messages(t, stream); got != uint64(n-len(c.bad)) {
				t.Errorf("the stream has %d messages, want %d", got, n-len(c.bad))
			}
		})
	}
}

func TestAStreamThatGetsFullTakesTheFirstMessages(t *testing.T) {
	t.Parallel()
	w, stream, _ := openFast(t, jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 100})
	for i, r := range writeAll(t, w, 300, func(i int) *jspub.Write { return numbered(i) }) {
		if i < 100 && (r.Outcome != actor.Stored || r.Seq != uint64(i+1)) || i >= 100 && r.Outcome != actor.Refused {
			t.Fatalf("write %d = %+v", i, r)
		}
	}
	if got := messages(t, stream); got != 100 {
		t.Errorf("the stream has %d messages", got)
	}
}

func TestSequencesAmongOtherWritersAreWhereAMessageIsAtTheLatest(t *testing.T) {
	t.Parallel()
	w, stream, nc := openFast(t, jetstream.StreamConfig{})
	others, err := jspub.New(nc, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(others.Close)
	end := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
				if _, err := others.Do(t.Context(), &nats.Msg{Subject: "s.other"}); err != nil {
					return
				}
			}
		}
	}()
	results := writeAll(t, w, 2000, func(i int) *jspub.Write { return numbered(i) })
	close(end)
	<-ended
	at := map[string]uint64{}
	for seq := uint64(1); seq <= messages(t, stream); seq++ {
		subject, _ := subjectAt(t, stream, seq)
		at[subject] = seq
	}
	for i, r := range results {
		is := at["s."+strconv.Itoa(i)]
		if r.Outcome != actor.Stored || is == 0 || r.Seq < is || i > 0 && (r.Seq <= results[i-1].Seq || is <= at["s."+strconv.Itoa(i-1)]) {
			t.Fatalf("write %d = %+v, it is at %d, behind one at %d", i, r, is, at["s."+strconv.Itoa(i-1)])
		}
	}
}

func TestWhereBatchesAreNotTakenAllGoSingly(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := jspub.New(js.Conn(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	for i, r := range writeAll(t, p.NewFastWriter(stream), 300, func(i int) *jspub.Write { return numbered(i) }) {
		if r.Outcome != actor.Stored || r.Seq != uint64(i+1) {
			t.Fatalf("write %d = %+v", i, r)
		}
		if _, single := subjectAt(t, stream, r.Seq); !single {
			t.Fatalf("write %d has no id", i)
		}
	}
}

func TestAStreamOfAnOlderJetfnIsMadeToTakeFastBatches(t *testing.T) {
	t.Parallel()
	js := brokertest.Start(t)
	cfg := jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowAtomicPublish: true}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	cfg.AllowBatchPublish = true
	for range 2 {
		stream, err := jspub.EnsureStream(t.Context(), js, cfg, jspub.Adapt)
		if err != nil {
			t.Fatal(err)
		}
		if have := stream.CachedInfo().Config; !have.AllowBatchPublish || !have.AllowAtomicPublish {
			t.Error("it still takes none")
		}
	}
	cfg.AllowBatchPublish = false // the older one comes back
	if _, err := jspub.EnsureStream(t.Context(), js, cfg, jspub.Adapt); err != nil {
		t.Error(err)
	}
}

func TestWithoutAnAcknowledgementAFastBatchIsUnknown(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*nats.Conn, *jspub.Publisher){
		"publisher":  func(_ *nats.Conn, p *jspub.Publisher) { p.Close() },
		"connection": func(nc *nats.Conn, _ *jspub.Publisher) { nc.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stream, _ := openFast(t, jetstream.StreamConfig{})
			deaf := brokertest.Start(t).Conn() // it has no such stream, and somebody who doesn't answer
			if _, err := deaf.SubscribeSync("s.>"); err != nil {
				t.Fatal(err)
			}
			p, err := jspub.New(deaf, 0)
			if err != nil {
				t.Fatal(err)
			}
			w := p.NewFastWriter(stream)
			outcomes := make(chan actor.WriteResult, 100)
			for i := range 100 {
				w.Write(numbered(i), func(r actor.WriteResult) { outcomes <- r })
			}
			end(deaf, p)
			for range 100 {
				if r := <-outcomes; r.Outcome != actor.Unknown || !strings.Contains(r.Err.Error(), "closed") {
					t.Fatalf("outcome = %+v, want unknown, closed", r)
				}
			}
		})
	}
}

func TestAConnectionThatBreaksInFastBatchesLeavesNoGapInALane(t *testing.T) {
	t.Parallel()
	w, stream, nc := openFast(t, jetstream.StreamConfig{})
	again := make(chan struct{}, 1)
	nc.SetReconnectHandler(func(*nats.Conn) { again <- struct{}{} })
	const lanes, each = 2, 2000
	var results []actor.WriteResult
	for g := range uint64(lanes) {
		connection := nc.Stats().Reconnects + 1 // as Publisher.Connection has it
		lane, first := make([]actor.WriteResult, each), make(chan struct{})
		var answered sync.WaitGroup
		answered.Add(each)
		for i := range each {
			if i == each/2 {
				<-first // is acknowledged
				if err := nc.ForceReconnect(); err != nil {
					t.Error(err)
				}
			}
			m := numbered(int(g)*each + i)
			m.Lane = gather.Lane{Key: 1, Generation: g + 1}
			m.Connection = connection
			w.Write(m, func(r actor.WriteResult) {
				if lane[i] = r; i == 0 {
					close(first)
				}
				answered.Done()
			})
		}
		answered.Wait()
		results = append(results, lane...)
		<-again
	}
	at := map[int]uint64{}
	before := -1
	for seq := uint64(1); seq <= messages(t, stream); seq++ {
		subject, _ := subjectAt(t, stream, seq)
		i, err := strconv.Atoi(strings.TrimPrefix(subject, "s."))
		if err != nil {
			t.Fatal(err)
		}
		if i <= before || i > 0 && i%each != 0 && i != before+1 {
			t.Fatalf("behind write %d there is %d", before, i)
		}
		at[i], before = seq, i
	}
	stored := 0
	for i, r := range results {
		switch {
		case r.Outcome == actor.Stored && at[i] == r.Seq:
			stored++
		case r.Outcome != actor.Unknown:
			t.Fatalf("write %d = %+v, and is at %d", i, r, at[i])
		}
	}
	if stored == 0 || stored == len(results) {
		t.Errorf("%d of %d writes are known to be stored", stored, len(results))
	}
}
