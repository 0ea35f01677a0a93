package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/broker"
	"github.com/jetfn/jetfn/broker/brokertest"
)

const trimPartitions = 3

// trimmed is an application with messages for three partitions in turn.
type trimmed struct {
	app    *broker.App
	stream jetstream.Stream
}

func fillMailbox(t *testing.T, count, size int) *trimmed {
	t.Helper()
	js := brokertest.Start(t)
	app := brokertest.Open(t, js.Conn(), broker.Config{App: "app", Partitions: trimPartitions})
	stream, err := js.Stream(t.Context(), "APP_MAILBOX")
	if err != nil {
		t.Fatal(err)
	}
	ids := idsByPartition(trimPartitions)
	body := []byte(strings.Repeat("x", size))
	for i := range count {
		if _, err := js.PublishAsync("app.fn.ns.f."+ids[i%trimPartitions], body); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	return &trimmed{app, stream}
}

// idsByPartition has an id for each partition.
func idsByPartition(n int) []string {
	ids := make([]string, n)
	for i, found := 0, 0; found < n; i++ {
		id := fmt.Sprintf("id%d", i)
		if p := (actor.Address{Type: actor.TypeName{Namespace: "ns", Name: "f"}, ID: id}).Partition(n); ids[p] == "" {
			ids[p] = id
			found++
		}
	}
	return ids
}

// trim has a partition be done with what is below before.
func (m *trimmed) trim(t *testing.T, p int, before uint64) {
	t.Helper()
	if err := m.app.Ports(p).Inbox.Trim(t.Context(), actor.SourceMailbox, before); err != nil {
		t.Fatal(err)
	}
}

// wants checks how many messages there are, and where they begin.
func (m *trimmed) wants(t *testing.T, when string, messages, first uint64) {
	t.Helper()
	info, err := m.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := info.State; s.Msgs != messages || s.FirstSeq != first {
		t.Errorf("%s there are %d messages from %d on, want %d from %d on", when, s.Msgs, s.FirstSeq, messages, first)
	}
}

func TestWhatAllPartitionsAreDoneWithGoesAtOnce(t *testing.T) {
	t.Parallel()
	m := fillMailbox(t, 300, 10)
	for p := range trimPartitions - 1 {
		m.trim(t, p, 201)
	}
	m.wants(t, "when one partition has said nothing", 300-2*67, 3)
	m.trim(t, trimPartitions-1, 151)
	m.wants(t, "when it has", 300-2*67-50, 153)
	for p := range trimPartitions {
		m.trim(t, p, 301)
	}
	m.wants(t, "when all are done", 0, 301)
}

func TestABacklogIsNotReadForEveryPurge(t *testing.T) {
	t.Parallel()
	m := fillMailbox(t, 900, 100_000) // 90 MB
	m.trim(t, 0, 31)
	m.wants(t, "when a partition with a backlog is done with little", 900, 1)
	m.trim(t, 1, 901)
	m.wants(t, "when another one is done with all", 600, 1)
	m.trim(t, 2, 451)
	m.wants(t, "when all are done with that little", 600-2*10, 31)
	m.trim(t, 2, 601)
	m.wants(t, "when the third one is done with most", 600-10-200, 31)
	m.trim(t, 0, 751)
	m.wants(t, "when the first one is done with most", 50+100, 603)
	m.trim(t, 0, 901)
	m.trim(t, 2, 901)
	m.wants(t, "when all are done", 0, 901)
}
