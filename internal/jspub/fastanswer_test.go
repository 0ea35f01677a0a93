package jspub_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker/brokertest"
	"github.com/jetfn/jetfn/internal/jspub"
)

// pretender answers in place of a stream: a message of a fast batch with what
// batch makes of the batch's id and the message's number, and a single one
// with an acknowledgement. It notes the numbers of single ones.
type pretender struct {
	nc     *nats.Conn
	writer *jspub.Writer
	// Eight messages go singly and the next two together, since two are enough
	// for a batch. Answers come when all is there that is to come, so that the
	// others are in one batch.
	all   chan struct{}
	first string
}

func pretend(t *testing.T, batch func(id string, number int, last bool) string) *pretender {
	t.Helper()
	_, stream, _ := openFast(t, jetstream.StreamConfig{})
	p := &pretender{nc: brokertest.Start(t).Conn(), all: make(chan struct{})}
	single := 0
	if _, err := p.nc.Subscribe("s.>", func(m *nats.Msg) {
		<-p.all
		var answer string
		if parts := strings.Split(m.Reply, "."); strings.HasSuffix(m.Reply, ".$FI") {
			n, err := strconv.Atoi(parts[len(parts)-3])
			if err != nil {
				t.Error(err)
			}
			id, last := parts[len(parts)-6], parts[len(parts)-2] == "2"
			switch {
			case p.first == "":
				p.first = id
			case id != p.first:
				answer = batch(id, n, last)
			case last:
				answer = fmt.Sprintf(`{"stream":"S","seq":10,"batch":%q,"count":2}`, id)
			}
		} else {
			single++
			answer = fmt.Sprintf(`{"stream":"S","seq":%d}`, single)
		}
		if answer == "" {
			return
		}
		if err := m.Respond([]byte(answer)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	pub, err := jspub.New(p.nc, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pub.Close)
	p.writer = pub.NewFastWriter(stream)
	return p
}

// write writes ten messages and then n in one batch, and returns the outcomes
// of these.
func (p *pretender) write(n int) []actor.WriteResult {
	answers := make(chan actor.WriteResult, 10)
	for i := range 10 {
		p.writer.Write(numbered(i), func(r actor.WriteResult) { answers <- r })
	}
	results := make([]actor.WriteResult, n)
	var answered sync.WaitGroup
	answered.Add(n)
	for i := range n {
		p.writer.Write(numbered(i), func(r actor.WriteResult) { results[i] = r; answered.Done() })
	}
	close(p.all)
	answered.Wait()
	return results
}

func TestAnswersToAFastBatch(t *testing.T) {
	t.Parallel()
	const full, gone = `{"error":{"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}`,
		`{"error":{"err_code":10208,"description":"batch publish ID unknown"},"stream":"S","seq":0}`
	ack := func(id string, count int, seq uint64) string {
		return fmt.Sprintf(`{"stream":"S","seq":%d,"batch":%q,"count":%d}`, seq, id, count)
	}
	// There are eight single messages before the batch of four.
	for name, c := range map[string]struct {
		batch func(id string, number int, last bool) string
		want  string // S: stored, and where, from 9 on singly. U: unknown
	}{
		"all is well": {func(id string, _ int, last bool) string {
			if last {
				return ack(id, 4, 20)
			}
			return `{"type":"ack","seq":0,"msgs":500}`
		}, "S17 S18 S19 S20"},
		"the second one is lost": {func(id string, number int, _ bool) string {
			switch number {
			case 3:
				return ack(id, 1, 20)
			case 4:
				return gone
			}
			return ""
		}, "S20 S9 S10 S11"},
		"the third one is refused": {func(id string, number int, _ bool) string {
			switch number {
			case 3:
				return ack(id, 2, 20)
			case 4:
				return gone
			}
			return ""
		}, "S19 S20 S9 S10"},
		"the first one is refused": {func(_ string, number int, _ bool) string {
			if number == 1 {
				return full
			}
			return gone
		}, "S9 S10 S11 S12"},
		"each one is refused": {func(string, int, bool) string { return full }, "S9 S10 S11 S12"},
		"the second one is refused, and those behind it are stored": {func(id string, number int, last bool) string {
			switch {
			case number == 2:
				return full
			case last:
				return ack(id, 4, 20)
			}
			return ""
		}, "S20 U U U"},
		"the last one is refused": {func(_ string, _ int, last bool) string {
			if last {
				return full
			}
			return ""
		}, "U U U U"},
		"the server forgets the batch half way": {func(_ string, number int, _ bool) string {
			if number > 2 {
				return gone
			}
			return ""
		}, "U U U U"},
		"an error says nothing": {func(_ string, number int, _ bool) string {
			if number == 1 {
				return `{"error":{"err_code":10008,"description":"system unavailable"}}`
			}
			return gone
		}, "U U U U"},
		"another batch is acknowledged": {func(_ string, _ int, last bool) string {
			if last {
				return ack("other", 4, 20)
			}
			return ""
		}, "U U U U"},
		"more is acknowledged than was sent": {func(id string, _ int, last bool) string {
			if last {
				return ack(id, 5, 20)
			}
			return ""
		}, "U U U U"},
		"messages are acknowledged as single ones": {func(_ string, number int, _ bool) string {
			return fmt.Sprintf(`{"stream":"S","seq":%d}`, number+8)
		}, "U U U U"},
		"it is no JSON": {func(string, int, bool) string { return "yes" }, "U U U U"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pretend(t, c.batch)
			var got []string
			for _, r := range p.write(4) {
				switch r.Outcome {
				case actor.Stored:
					got = append(got, fmt.Sprintf("S%d", r.Seq))
				case actor.Unknown:
					got = append(got, "U")
				default:
					got = append(got, fmt.Sprintf("%+v", r))
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFastBatchWhoseAcknowledgementIsLostIsUnknownAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pretend(t, func(_ string, number int, _ bool) string {
			if number == 1 {
				return `{"type":"ack","seq":0,"msgs":500}`
			}
			return ""
		})
		start := time.Now()
		for i, r := range p.write(100) {
			if r.Outcome != actor.Unknown || !errors.Is(r.Err, jspub.ErrTimeout) {
				t.Fatalf("write %d of the batch = %+v, want a timeout", i, r)
			}
		}
		if took := time.Since(start); took != jspub.DefaultTimeout {
			t.Errorf("it took %v", took)
		}
		if r := writeAll(t, p.writer, 1, func(i int) *jspub.Write { return numbered(i) })[0]; r.Outcome != actor.Stored {
			t.Errorf("a write after it = %+v", r)
		}
	})
}
