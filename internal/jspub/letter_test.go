package jspub_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

func TestEachMessageOfManyHasItsOwnHeadersAndNoOthers(t *testing.T) {
	t.Parallel()
	atomic, inBatches := openWriter(t, jetstream.StreamConfig{AllowAtomicPublish: true})
	single, singly := openWriter(t, jetstream.StreamConfig{})
	fast, inFastBatches, _ := openFast(t, jetstream.StreamConfig{})
	for name, c := range map[string]struct {
		writer *jspub.Writer
		stream jetstream.Stream
	}{
		"singly": {single, singly}, "in atomic batches": {atomic, inBatches}, "in fast batches": {fast, inFastBatches},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := func(i int) []string {
				n := strconv.Itoa(i)
				return [][]string{{"A", n}, {"A", n, "B", "b" + n}, {"B", n, "A", "a" + n}, {}, {"A", n, "C", ""}}[(i*i+i/3)%5]
			}
			const n = 700
			for i, r := range writeAll(t, c.writer, n, func(i int) *jspub.Write { return plain("s."+strconv.Itoa(i), headers(i)...) }) {
				if r.Outcome != actor.Stored {
					t.Fatalf("write %d = %+v", i, r)
				}
				m, err := c.stream.GetMsg(t.Context(), r.Seq)
				if err != nil {
					t.Fatal(err)
				}
				want := nats.Header{}
				for h := headers(i); len(h) > 0; h = h[2:] {
					want[h[0]] = []string{h[1]}
				}
				got := nats.Header{}
				for name, v := range m.Header {
					if len(name) == 1 {
						got[name] = v
					}
				}
				if diff := cmp.Diff(want, got); diff != "" || m.Subject != "s."+strconv.Itoa(i) || string(m.Data) != m.Subject {
					t.Fatalf("message %d on %s with %q (-want +got):\n%s", i, m.Subject, m.Data, diff)
				}
			}
		})
	}
}
